"""Logs and recommenders that many tests share, and how all tests run."""

from __future__ import annotations

import gc
import os
import pickle  # noqa: TID251 - to forbid it

# Set before torch and Polars are imported; tests run beside each other. With one
# thread torch sums in one order. Annotations stay text: the process that hands out tests imports
# no torch.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["POLARS_MAX_THREADS"] = "2"
os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # for the test of two threads; as the program does

import polars as pl
import pytest
from hypothesis import settings
from toys import TINY

import gru4rec as g4r

# How long an example takes says nothing on a shared machine: no deadline.
settings.register_profile("quick", deadline=None, max_examples=10, derandomize=True)
settings.register_profile("full", deadline=None, max_examples=50)
settings.load_profile("quick")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The pages take longest, and a file is for one worker: it had better begin with them."""
    items.sort(key=lambda item: item.get_closest_marker("docs") is None)


def pytest_collection_finish() -> None:
    """What was imported is never garbage: the collector need not look at it after each test."""
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests for a GPU are for where there is one."""
    import torch

    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("torch finds no GPU here")


@pytest.fixture
def tiny() -> g4r.Config:
    """A config that trains in a blink."""
    return g4r.Config().replace(TINY)


@pytest.fixture(scope="session")
def log() -> pl.DataFrame:
    """A generated log of 200 sessions over 60 items."""
    return g4r.generate_clicks(sessions=200, items=60, categories=3, seed=1)


@pytest.fixture(scope="session")
def trained(log: pl.DataFrame) -> g4r.GRU4Rec:
    """GRU4Rec fitted on `log`; for reading only."""
    return g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)


@pytest.fixture(autouse=True)
def no_file_waits_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


@pytest.fixture(autouse=True)
def nothing_is_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any use of pickle by the package is a failure."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("something was unpickled")

    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
