"""A program for torchrun: fit with many settings, and write what each rank has learned."""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from safetensors.torch import save_file

import gru4rec as g4r
from gru4rec.training import LOSSES, Ranks, join_ranks

BASE = {
    "encoder.hidden_size": 8,
    "encoder.repeats": False,
    "training.neighbours": 0,
    "training.lanes": 5,
    "training.steps": 4,
    "training.negatives": 16,
    "training.epochs": 0.5,
    "training.learning_rate": 0.02,
    "training.precision": "float32",
    "training.embedding_dropout": 0.0,
    "training.hidden_dropout": 0.0,
}


def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=50, items=60, categories=3, seed=1)


def settings() -> Iterator[dict[str, Any]]:
    """Every loss with every scoring, embedding, and with momentum and without."""
    embeddings, scorings = ("shared", "separate", "onehot"), ("dot", "cosine")
    for loss, scoring, embedding, momentum in itertools.product(
        LOSSES, scorings, embeddings, (0.0, 0.2)
    ):
        yield {
            **BASE,
            "training.loss": loss,
            "training.scoring": scoring,
            "encoder.embedding": embedding,
            "training.momentum": momentum,
        }


def fitted(asked: dict[str, Any], ranks: Ranks) -> g4r.GRU4Rec:
    return g4r.GRU4Rec(g4r.Config().replace(asked), device="cpu").fit(log(), ranks=ranks)


def main() -> None:
    with join_ranks() as ranks:
        for number, asked in enumerate(settings()):
            weights = fitted(asked, ranks).model.state_dict()
            save_file(weights, Path(sys.argv[1]) / f"{number}-{ranks.rank}.safetensors")


if __name__ == "__main__":
    main()
