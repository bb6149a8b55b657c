"""Sessions that were known in training are recognised."""

import json
import logging

import polars as pl
import pytest
from toys import clicks_of

import gru4rec as g4r
from gru4rec.recommenders.meta import Meta
from gru4rec.sessions import SeenSessions, seen_sessions


def said(caplog: pytest.LogCaptureFixture, *recommenders: g4r.Recommender, on: object) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        g4r.evaluate({f"r{n}": each for n, each in enumerate(recommenders)}, on, intervals=False)
    return caplog.text


def test_later_sessions_are_no_leak(caplog):
    train, test = g4r.split_last(g4r.generate_clicks(sessions=300, items=30, seed=1), "20%")
    assert said(caplog, g4r.Markov().fit(train), on=test) == ""


def test_the_training_log_itself_is_recognised_once_for_all_who_learned_from_it(caplog):
    log = g4r.generate_clicks(sessions=100, items=30, seed=1)
    text = said(caplog, g4r.Markov().fit(log), g4r.SKNN().fit(log), on=log)
    assert text.count("100 % of the sessions were in the training log") == 1
    assert "r0, r1: 100 of 100 sessions begin before the end of the training log" in text


def test_some_known_sessions_among_new_ones_are_counted(caplog):
    train = clicks_of([["a", "b"], ["b", "c"], ["c", "a"]])
    test = clicks_of([["a", "b"], ["a", "c"], ["c", "b"], ["b", "a"]])  # id 0 is that of train
    text = said(caplog, g4r.Popularity().fit(train), on=test)
    assert "25 % of the sessions were in the training log" in text
    assert "begin before" not in text


def test_the_same_clicks_under_another_id_are_another_session(caplog):
    train = clicks_of([["a", "b"], ["b", "c"]])
    test = train.with_columns(pl.col("session_id") + 10)
    assert said(caplog, g4r.Popularity().fit(train), on=test) == ""


def test_of_a_large_log_a_sample_of_the_sessions_is_kept(monkeypatch, caplog):
    monkeypatch.setattr(seen_sessions, "_KEPT", 64)
    log = g4r.generate_clicks(sessions=2000, items=30, seed=1).drop("timestamp")
    recommender = g4r.Popularity().fit(log)
    assert len(recommender.meta.seen.sketch) < 800
    assert "about 100 % of the sessions" in said(caplog, recommender, on=log)
    new = g4r.generate_clicks(sessions=2000, items=30, seed=2).drop("timestamp")
    assert said(caplog, recommender, on=new) == ""


@pytest.mark.parametrize("name", ["gru4rec", "vstan", "fusion"])
def test_a_checkpoint_remembers_what_it_was_trained_on(name, trained, log, tmp_path, caplog):
    recommender = {
        "gru4rec": lambda: trained,
        "vstan": lambda: g4r.VSTAN().fit(log),
        "fusion": lambda: g4r.Fusion([trained, g4r.VSTAN().fit(log)]),
    }[name]()
    recommender.save(tmp_path / "model")
    text = said(caplog, g4r.load(tmp_path / "model"), on=log)
    assert "100 % of the sessions were in the training log" in text
    assert "sessions begin before" in text
    meta = json.loads((tmp_path / "model" / "meta.json").read_text())
    assert meta["times"]["first"] < meta["times"]["last"]


def test_a_checkpoint_of_before_is_evaluated_without_a_word(trained, log, caplog):
    arrays = trained.reader.arrays(log.lazy())
    assert trained.meta.seen.leaks(log.lazy(), arrays)
    contents = trained.meta.to_dict()
    meta = Meta.from_dict({k: v for k, v in contents.items() if k not in ("times", "sessions")})
    assert meta.seen is None
    assert SeenSessions().leaks(log.lazy(), arrays) == []
