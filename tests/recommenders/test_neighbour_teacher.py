"""Session neighbours say what they would of a session that is none of them."""

import itertools
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.recommenders.neighbour_teacher import NeighbourTeacher
from gru4rec.training import SoftTargets, TrainingLog

LOGS = st.lists(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=6), min_size=2, max_size=9)


def asked(sessions: list[list[str]]) -> tuple[TrainingLog, SoftTargets]:
    log = TrainingLog.read(clicks_of(sessions), None)
    said = SoftTargets.silent(len(log.sessions.items), len(log.catalog))
    clicks = log.sessions.prefixes()
    said.items[clicks], said.shares[clicks] = NeighbourTeacher(log, 1000).after(clicks)
    return log, said


def said_after(log: TrainingLog, said: SoftTargets, click: int) -> dict[str, float]:
    """The share of each item that is named after a click."""
    shares = zip(said.items[click].tolist(), said.shares[click].tolist(), strict=True)
    return {log.catalog.item_ids[item]: share for item, share in shares if share > 0}


def test_a_session_alone_has_no_neighbours_and_others_name_what_they_have():
    log, said = asked([["a", "b", "c"], ["a", "b", "d"], ["x", "y"]])
    assert set(said_after(log, said, 0)) == {"a", "b", "d"}  # not c: it is the session's own
    assert set(said_after(log, said, 3)) == {"a", "b", "c"}
    assert said_after(log, said, 6) == {}  # nobody else has x


@given(LOGS)
def test_what_is_said_is_what_vstan_says_that_learned_from_the_others(sessions):
    log, said = asked(sessions)
    support = Counter(itertools.chain(*sessions))
    for number, session in enumerate(sessions):
        others = [other for place, other in enumerate(sessions) if place != number]
        vstan = g4r.VSTAN(seconds_per_click=0.0).fit(clicks_of(others))
        # One session less has other logarithms: those of the whole log are what a teacher has.
        vstan._idf = vstan.idf(
            np.log([len(sessions) / support[item] for item in vstan.catalog.item_ids])
        )
        at = int(log.sessions.offsets[number])
        for length in range(1, len(session)):
            index = {item: place for place, item in enumerate(vstan.catalog.item_ids)}
            prefix = [index.get(item) for item in session[:length]]
            if None in prefix:  # the others do not know it, and VSTAN would leave the click out
                break
            scores = vstan.score_prefix(np.array(prefix), 0.0).clip(min=0)
            expected = {
                item: score / scores.sum()
                for item, score in zip(vstan.catalog.item_ids, scores.tolist(), strict=True)
                if score > 0
            }
            found = said_after(log, said, at + length - 1)
            assert found == pytest.approx(expected, abs=1e-3)


def test_a_click_is_asked_about_once_and_never_unless_taught(monkeypatch):
    log = TrainingLog.read(clicks_of([["a", "b", "c"]] * 4), None)
    teacher = NeighbourTeacher(log, 1000)
    asked: list[int] = []
    ask = NeighbourTeacher._ask
    monkeypatch.setattr(
        NeighbourTeacher,
        "_ask",
        lambda self, session, click: (asked.append(click), ask(self, session, click)),
    )
    before = teacher.after(np.array([4, 0]))
    again = teacher.after(np.array([0, 4, 3]))
    assert asked == [4, 0, 3]
    assert np.array_equal(before[1][::-1], again[1][:2])


def test_they_speak_after_about_as_many_clicks_as_are_asked_for():
    log = TrainingLog.read(clicks_of([["a", "b", "c"]] * 500), None)  # 1000 next clicks
    clicks = log.sessions.prefixes()
    spoken = [NeighbourTeacher(log, 300).after(clicks)[1].any(axis=1) for _ in range(2)]
    assert 250 < spoken[0].sum() < 350
    assert np.array_equal(*spoken)


def fitted(log: pl.DataFrame, **settings: object) -> dict[str, list[float]]:
    config = g4r.Config().replace({**TINY, "training.teaching": 0.7, **settings})
    model = g4r.GRU4Rec(config, device="cpu").fit(log).model
    return {name: weight.tolist() for name, weight in model.state_dict().items()}


@pytest.mark.parametrize("loss", ["cross_entropy", "bpr_max", "top1_max"])
def test_any_loss_learns_what_neighbours_say(loss):
    log = clicks_of([["a", "b", "c"], ["a", "b", "d"], ["b", "d", "e"]] * 6)
    taught = fitted(log, **{"training.loss": loss, "training.neighbours": 1000})
    assert taught != fitted(log, **{"training.loss": loss})
    assert taught == fitted(log, **{"training.loss": loss, "training.neighbours": 1000})


def decided(log: pl.DataFrame, **settings: object) -> int:
    config = g4r.GRU4Rec(g4r.Config().replace(settings)).decide(log)
    return config.training.neighbours


def test_auto_asks_neighbours_of_tiny_logs_measures_on_small_ones_and_leaves_out_large_ones():
    tiny = clicks_of([["a", "b"]] * 3)
    small = clicks_of([["a", "b", "c", "d", "e", "f"]] * 201)
    large = clicks_of([["a", "b", "c", "d", "e", "f"]] * 20_001)
    assert decided(tiny) == 3
    assert decided(small) is g4r.config.AUTO
    assert decided(large) == 0
    assert decided(large, **{"training.neighbours": 7}) == 7
    # Without a repeat head a training is what it was before there were neighbours.
    assert decided(tiny, **{"encoder.repeats": False}) == 0
    assert decided(small, **{"encoder.repeats": False}) == 0


@pytest.mark.parametrize(("worth", "expected"), [(0.0, 30_000), (9.0, 0)])
def test_what_was_measured_is_what_is_trained_with(monkeypatch, worth, expected):
    monkeypatch.setattr("gru4rec.training.finish._WORTH", worth)
    log = g4r.generate_clicks(sessions=60, items=40, categories=3, seed=1)
    settings = {**TINY, "encoder.repeats": True, "training.neighbours": None}
    measured = g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(log)
    assert measured.config.training.neighbours == expected
    assert "held out in a first run" in measured.meta.auto["training.neighbours"]
    given = {**settings, "training.neighbours": expected}
    assert fitted(log, **settings) == fitted(log, **given)


def test_where_nothing_could_be_held_out_the_reason_says_so():
    settings = {**TINY, "encoder.repeats": True, "training.neighbours": None}
    log = clicks_of([["a", "b"], ["b", "c"], ["c", "a"]])
    recommender = g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(log)
    assert recommender.config.training.neighbours == 0
    assert "too few sessions" in recommender.meta.auto["training.neighbours"]
