"""What a model gets once it has learned, and in which scale."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.model import Model
from gru4rec.serving import INDICATORS, RepeatHead
from gru4rec.training.finish import Finish, spread_of
from gru4rec.training.model_scores import measured, scores_after
from gru4rec.training.training_log import TrainingLog

NUMBERS = INDICATORS.shape[1]
LOG = clicks_of([list("abcd"), list("bca"), list("defa")])
HEAD = RepeatHead.of(0.5, np.arange(NUMBERS) / 10)


@pytest.fixture(scope="module")
def log() -> TrainingLog:
    return TrainingLog.read(LOG, None)


@pytest.fixture(scope="module")
def sessions(log):
    return log.sessions


def model_of_scale(scale: float) -> Model:
    settings = {**TINY, "training.scoring": "cosine", "training.scale": scale}
    model = Model(g4r.GRU4Rec(g4r.Config().replace(settings)).decide(LOG), 6)
    model.initialize(torch.Generator().manual_seed(0))
    return model


def test_the_spread_is_that_of_the_best_items_but_the_first(log, sessions):
    model = model_of_scale(4.0)
    scores = torch.cat([s for _, s in scores_after(model, sessions, sessions.prefixes())])
    expected = scores.sort(dim=1, descending=True).values[:, 1:].std(1, correction=0).mean()
    assert spread_of(model, replace(log, is_older=True)) == pytest.approx(float(expected), rel=1e-5)


def test_a_head_follows_the_scale_of_the_model_that_it_is_for(log):
    fitted_with, kept = model_of_scale(4.0), model_of_scale(6.0)
    finish = Finish(0.0, HEAD, spread=spread_of(fitted_with, log))
    scaled = finish.head_of(kept, log)
    assert scaled.slope == HEAD.slope
    assert np.allclose(scaled.bonuses, 1.5 * HEAD.bonuses, atol=1e-3)
    assert finish.measured(kept, log, log.sessions) == measured(kept, log.sessions, scaled)


def test_without_a_spread_the_head_is_kept_as_it_is(log):
    assert Finish(0.0, HEAD).head_of(model_of_scale(9.0), log) is HEAD
    assert Finish(0.0).head_of(model_of_scale(9.0), log) is None


def test_it_is_written_and_read_again():
    finish = Finish(0.3, HEAD, neighbours=7, spread=1.25)
    assert Finish.from_dict(finish.to_dict()) == finish
    older = {name: finish.to_dict()[name] for name in ("smoothing", "repeats")}
    assert Finish.from_dict(older) == Finish(0.3, HEAD)
    for bad in ({"neighbours": "many"}, {"spread": None}, {"smoothing": "x"}):
        with pytest.raises(ValueError, match="finish cannot be"):
            Finish.from_dict({**finish.to_dict(), **bad})
