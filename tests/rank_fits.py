"""Fit small models by one rank or several, and compare what they have learned."""

import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from rank_threads import together
from toys import TINY

import gru4rec as g4r
from gru4rec.training import ONE, Ranks, load_snapshot

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


def fitted(
    ranks: Ranks, log: pl.DataFrame, *, base: Mapping[str, Any] = BASE, **how: Any
) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**base, **how.pop("settings", {})})
    return g4r.GRU4Rec(config, device="cpu").fit(log, ranks=ranks, **how)


def weights_of(recommender: g4r.GRU4Rec) -> dict[str, torch.Tensor]:
    return recommender.model.state_dict()


def assert_equal_replicas(recommenders: Sequence[g4r.GRU4Rec]) -> None:
    first, *others = map(weights_of, recommenders)
    for name, weight in first.items():
        for other in others:
            assert torch.equal(weight, other[name]), name


def assert_close(one: g4r.GRU4Rec, other: g4r.GRU4Rec, tolerance: float = 1e-5) -> None:
    for name, weight in weights_of(one).items():
        torch.testing.assert_close(
            weights_of(other)[name], weight, rtol=1e-3, atol=tolerance, msg=name
        )


def assert_learn_the_same(log: pl.DataFrame, size: int, tolerance: float = 1e-5, **how) -> None:
    one = fitted(ONE, log, **how)
    replicas = together(size, lambda ranks: fitted(ranks, log, **how))
    assert_equal_replicas(replicas)
    assert_close(one, replicas[0], tolerance)
    losses = [row["loss"] for row in one.meta.history]
    assert [row["loss"] for row in replicas[0].meta.history] == pytest.approx(losses, rel=1e-5)


def interrupted(log: pl.DataFrame, keep: Path, size: int, windows: int = 7, **how) -> None:
    """Stop a training of so many ranks once the last of them asks for it."""

    def work(ranks: Ranks) -> None:
        asked = itertools.count(1)
        stopping = (lambda: next(asked) >= windows) if ranks.rank == size - 1 else lambda: False
        with pytest.raises(g4r.StoppedError):
            fitted(ranks, log, keep=keep, stopping=stopping, **how)

    together(size, work)


def assert_goes_on(
    log: pl.DataFrame,
    keep: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    before: int,
    after: int,
    windows: int = 7,
    tolerance: float = 1e-5,
    **how: Any,
) -> None:
    """Stop a training of so many ranks, and go on with so many to what one learns undisturbed."""
    undisturbed = fitted(ONE, log, **how)
    interrupted(log, keep, before, windows, **how)
    snapshot = load_snapshot(keep)
    assert snapshot is not None
    assert snapshot.processes == before
    with caplog.at_level(logging.INFO, logger="gru4rec"):
        gone_on = together(after, lambda ranks: fitted(ranks, log, keep=keep, resume=True, **how))
    assert_equal_replicas(gone_on)
    assert_close(undisturbed, gone_on[0], tolerance)
    said = f"it was trained by {before} processes, and goes on by {after}"
    assert (said in caplog.text) == (before != after)
