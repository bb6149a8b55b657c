"""A log whose next item follows from the last two clicks: who can learn it, and who cannot."""

import numpy as np
import polars as pl
import pytest
from toys import clicks_of, ranks_of_targets

import gru4rec as g4r
from gru4rec.model.encoders import ENCODERS
from gru4rec.sessions import to_arrays

pytestmark = pytest.mark.learns

ITEMS, LENGTH = 11, 9

SETTINGS = {
    "encoder.hidden_size": 48, "training.lanes": 16, "training.steps": 4, "training.epochs": 20,
    "training.embedding_dropout": 0.0, "training.hidden_dropout": 0.0, "training.scoring": "dot",
    "training.learning_rate": 0.1,
}  # fmt: skip


def chain(sessions: int, seed: int) -> pl.DataFrame:
    """After two random clicks each item is the sum of the two before it, modulo a prime."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(sessions):
        session = random.integers(0, ITEMS, 2).tolist()
        while len(session) < LENGTH:
            session.append((session[-1] + session[-2]) % ITEMS)
        rows.append(session)
    return clicks_of(rows)


def noise(sessions: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return clicks_of(random.integers(0, ITEMS, (sessions, LENGTH)).tolist())


def recall_at_1(recommender: g4r.GRU4Rec, log: pl.DataFrame) -> float:
    """Over all targets that two clicks stand before."""
    arrays = to_arrays(log.lazy(), recommender.catalog)
    ranks = ranks_of_targets(recommender, arrays).view(-1, LENGTH - 1)[:, 1:]
    return (ranks == 1).double().mean().item()


def fitted(name: str, log: pl.DataFrame) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**SETTINGS, "encoder.name": name})
    return g4r.GRU4Rec(config, device="cpu").fit(log)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_learns_the_chain_but_the_one_that_sees_a_single_click(name):
    found = recall_at_1(fitted(name, chain(500, seed=1)), chain(200, seed=2))
    if name == "last_click":
        assert found < 0.3
    else:
        assert found > 0.95


@pytest.mark.parametrize("name", ENCODERS)
def test_noise_stays_at_chance(name):
    found = recall_at_1(fitted(name, noise(100, seed=1)), noise(300, seed=2))
    assert found == pytest.approx(1 / ITEMS, abs=0.04)  # six standard deviations of 2,100 targets
