"""Several GRU4Recs as one: the mean of their scores, one index, one query, one head."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.serving import INDICATORS, RepeatHead
from gru4rec.sessions import from_lists
from gru4rec.tuning import choose_index

NUMBERS = INDICATORS.shape[1]
SESSIONS = [["c00-0001", "c00-0003", "c00-0001"], ["c02-0055"], ["c01-0030", "c01-0029"]]


def model(log, **settings: object) -> g4r.GRU4Rec:
    return g4r.GRU4Rec(g4r.Config().replace({**TINY, **settings}), device="cpu").fit(log)


@pytest.fixture(scope="module")
def models(log) -> list[g4r.GRU4Rec]:
    """Of different widths, scorings and ways to be read; two with a head."""
    made = [
        model(log, seed=1),
        model(log, **{"encoder.hidden_size": 12, "training.scoring": "dot", "seed": 2}),
        model(log, **{"encoder.name": "narm", "seed": 3}),
    ]
    for number in (0, 2):
        head = RepeatHead.of(0.3, np.arange(NUMBERS) / 10 + number)
        made[number].repeats = head
        made[number].meta = replace(made[number].meta, repeats=head.to_dict())
    return made


@pytest.fixture(scope="module")
def ensemble(models) -> g4r.Ensemble:
    return g4r.Ensemble(models)


def scores_of(recommender: g4r.Recommender) -> torch.Tensor:
    arrays = from_lists(SESSIONS, recommender.catalog)
    return torch.cat([s for _, s in recommender.score(arrays, arrays.offsets[1:] - 1)])


def test_scores_are_the_mean_but_for_own_items_that_the_mean_head_scores(models, ensemble):
    mean = torch.stack([scores_of(headless(each)) for each in models]).mean(0)
    found = scores_of(ensemble)
    own = torch.zeros_like(mean, dtype=torch.bool)
    for row, items in enumerate(from_lists(SESSIONS, ensemble.catalog).pieces(1)):
        own[row, torch.from_numpy(items.items)] = True
    assert torch.allclose(found[~own], mean[~own], atol=1e-4)
    assert not torch.allclose(found[own], mean[own], atol=1e-4)
    assert ensemble.repeats == RepeatHead.mean(
        [each.repeats or RepeatHead.neutral() for each in models]
    )


def headless(recommender: g4r.GRU4Rec) -> g4r.GRU4Rec:
    copy = recommender.with_weights_as({"items": "float32", "encoder": "float32"})
    copy.repeats = None
    return copy


def test_the_mean_of_heads_is_that_of_their_numbers():
    numbers = np.arange(NUMBERS) / 10
    heads = [RepeatHead.of(0.2, np.zeros(NUMBERS)), RepeatHead.of(0.6, numbers)]
    mean = RepeatHead.mean(heads)
    assert mean == RepeatHead.of(0.4, numbers / 2)


def test_live_sessions_give_what_the_clicks_give(ensemble):
    table = ensemble.recommend(SESSIONS, k=10)
    ensemble.click_many(
        [n for n, session in enumerate(SESSIONS) for _ in session],
        [item for session in SESSIONS for item in session],
    )
    live = ensemble.recommend_many([0, 1, 2], k=10)
    assert live["item_id"].to_list() == table["item_id"].to_list()
    assert np.allclose(live["score"], table["score"], atol=1e-4)


def test_it_is_saved_with_its_models_and_its_index(ensemble, tmp_path: Path):
    ensemble.save(tmp_path / "e")
    for loaded in (g4r.load(tmp_path / "e", device="cpu"), g4r.Ensemble.load(tmp_path / "e")):
        assert isinstance(loaded, g4r.Ensemble)
        assert loaded.recommend(SESSIONS).equals(ensemble.recommend(SESSIONS))
    with pytest.raises(g4r.CheckpointError, match="of ensemble, not fusion"):
        g4r.Fusion.load(tmp_path / "e")


def test_it_takes_another_index_as_a_model_does(models, log, tmp_path: Path):
    ensemble = g4r.Ensemble(models)
    table = choose_index(ensemble, log, kinds=["hnsw"], min_overlap=0.5)
    assert table["chosen"].to_list() == [True]
    ensemble.save(tmp_path / "e")
    loaded = g4r.load(tmp_path / "e", device="cpu")
    assert not loaded.index.is_exact
    assert loaded.recommend(SESSIONS).equals(ensemble.recommend(SESSIONS))


def test_fit_fits_every_model_and_leaves_those_given_as_they_are(log):
    parts = [
        g4r.GRU4Rec(g4r.Config().replace({**TINY, "seed": seed}), device="cpu") for seed in (1, 2)
    ]
    ensemble = g4r.Ensemble(parts)
    with pytest.raises(g4r.NotFittedError):
        ensemble.recommend(SESSIONS)
    fitted = ensemble.fit(log).recommend(SESSIONS)
    assert fitted.equals(g4r.Ensemble(ensemble.parts).recommend(SESSIONS))
    with pytest.raises(g4r.NotFittedError):
        parts[0].recommend(SESSIONS)


def test_a_fit_that_fails_leaves_the_ensemble_as_it_was(models, log, monkeypatch):
    ensemble = g4r.Ensemble(models)
    before = ensemble.recommend(SESSIONS)
    fit = g4r.GRU4Rec.fit

    def fails_at_dot(self, *args, **kwargs):
        if self.config.training.scoring == "dot":
            raise g4r.DivergenceError("diverged")
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(g4r.GRU4Rec, "fit", fails_at_dot)
    with pytest.raises(g4r.DivergenceError):
        ensemble.fit(log.head(400))
    assert ensemble.recommend(SESSIONS).equals(before)


def test_models_that_read_side_inputs_read_them_in_live_sessions_too(log):
    clicks = log.with_columns(event=pl.col("session_id") % 3)
    inputs = {"encoder.inputs": ["event"]}
    parts = [model(clicks, **inputs), model(clicks, **inputs, **{"encoder.name": "narm"})]
    ensemble = g4r.Ensemble(parts)
    session = ensemble.start_session()
    session.click("c00-0001", event="1")
    session.click("c00-0003")
    prefix = pl.DataFrame(
        {"session_id": [1, 1], "item_id": ["c00-0001", "c00-0003"], "event": ["1", None]}
    )
    assert session.recommend(5)["item_id"].equals(ensemble.recommend(prefix, 5)["item_id"])
    with pytest.raises(g4r.ConfigError, match="the same side inputs"):
        g4r.Ensemble([parts[0], model(log)])


def test_what_cannot_be_one_is_refused(models, log):
    with pytest.raises(g4r.ConfigError, match="two recommenders or more, got 1"):
        g4r.Ensemble(models[:1])
    with pytest.raises(g4r.ConfigError, match="GRU4Recs, got vstan"):
        g4r.Ensemble([models[0], g4r.VSTAN().fit(log)])
    with pytest.raises(g4r.ConfigError, match="same log"):
        g4r.Ensemble([models[0], model(clicks_of([["a", "b"]] * 5))])
