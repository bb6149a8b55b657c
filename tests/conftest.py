"""Logs and recommenders that many tests share."""

import os
import pickle  # noqa: TID251 - to forbid it

import polars as pl
import pytest
from hypothesis import settings
from toys import TINY

import gru4rec as g4r

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the command line does, before torch

# How long an example takes says nothing on a shared machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def tiny() -> g4r.Config:
    """A config that trains in a blink."""
    return g4r.Config().replace(TINY)


@pytest.fixture(scope="session")
def log() -> pl.DataFrame:
    """A generated log of 500 sessions over 60 items."""
    return g4r.generate_clicks(sessions=500, items=60, categories=3, seed=1)


@pytest.fixture(scope="session")
def trained(log: pl.DataFrame) -> g4r.GRU4Rec:
    """GRU4Rec fitted on `log`; for reading only."""
    return g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)


@pytest.fixture(autouse=True)
def nothing_is_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any use of pickle by the package is a failure."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("something was unpickled")

    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
