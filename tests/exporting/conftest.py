"""Small models to export, and what runs their graphs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from toys import TINY

import gru4rec as g4r
from gru4rec.serving import INDICATORS, RepeatHead

Fit = Callable[..., g4r.GRU4Rec]

HEAD = RepeatHead.of(0.4, np.random.default_rng(3).normal(0, 6, INDICATORS.shape[1]))


@pytest.fixture(scope="session")
def clicks() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=80, items=30, categories=3, seed=2)


@pytest.fixture(scope="session")
def fit(clicks: pl.DataFrame) -> Fit:
    """Trains a small model on `clicks`; each once."""
    made: dict[str, g4r.GRU4Rec] = {}

    def call(**settings: object) -> g4r.GRU4Rec:
        asked = {name.replace("__", "."): value for name, value in settings.items()}
        key = repr(sorted(asked.items()))
        if key not in made:
            config = g4r.Config().replace({**TINY, "training.epochs": 1, **asked})
            made[key] = g4r.GRU4Rec(config, device="cpu").fit(clicks)
        return made[key]

    return call


def headed(recommender: g4r.GRU4Rec, head: RepeatHead = HEAD) -> g4r.GRU4Rec:
    """The same model with a repeat head."""
    other = g4r.GRU4Rec(recommender.config, device="cpu")
    other._take(
        recommender.config, recommender.model, recommender.catalog, recommender.side_inputs,
        recommender.index, replace(recommender.meta, repeats=head.to_dict()),
    )  # fmt: skip
    return other
