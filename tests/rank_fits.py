"""Fit small models by one rank or several, and compare what they have learned."""

import itertools
from pathlib import Path

import polars as pl
import pytest
import torch
from rank_threads import together
from toys import TINY

import gru4rec as g4r
from gru4rec.training import ONE, Ranks

BASE = {
    **TINY,
    "encoder.hidden_size": 8,
    "training.lanes": 5,
    "training.epochs": 1,
    "training.learning_rate": 0.02,
    "training.precision": "float32",
    "training.embedding_dropout": 0.0,
    "training.hidden_dropout": 0.0,
}


def fitted(ranks: Ranks, log: pl.DataFrame, **how: object) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**BASE, **how.pop("settings", {})})
    return g4r.GRU4Rec(config, device="cpu").fit(log, ranks=ranks, **how)


def weights_of(recommender: g4r.GRU4Rec) -> dict[str, torch.Tensor]:
    return recommender.model.state_dict()


def assert_learn_the_same(log: pl.DataFrame, size: int, tolerance: float = 1e-5, **how) -> None:
    one = fitted(ONE, log, **how)
    first, *others = together(size, lambda ranks: fitted(ranks, log, **how))
    for name, weight in weights_of(first).items():
        torch.testing.assert_close(
            weight, weights_of(one)[name], rtol=1e-3, atol=tolerance, msg=name
        )
        for other in others:
            assert torch.equal(weight, weights_of(other)[name]), name
    losses = [row["loss"] for row in one.meta.history]
    assert [row["loss"] for row in first.meta.history] == pytest.approx(losses, rel=1e-5)


def interrupted(log: pl.DataFrame, keep: Path, size: int, windows: int = 7, **how) -> None:
    """Stop a training of so many ranks once the last of them asks for it."""

    def work(ranks: Ranks) -> None:
        asked = itertools.count(1)
        stopping = (lambda: next(asked) >= windows) if ranks.rank == size - 1 else lambda: False
        with pytest.raises(g4r.StoppedError):
            fitted(ranks, log, keep=keep, stopping=stopping, **how)

    together(size, work)
