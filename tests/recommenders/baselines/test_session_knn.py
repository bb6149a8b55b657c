"""Session neighbours against their formulas, written out candidate by candidate."""

import heapq
import math
from collections import defaultdict
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import clicks_of

import gru4rec as g4r
from gru4rec.recommenders.baselines import BASELINES, SKNN, STAN, VMISKNN, VSKNN, VSTAN
from gru4rec.recommenders.baselines.neighbours import Neighbours

START = datetime(2026, 3, 1)
LOGS = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6), min_size=2, max_size=9)
PREFIXES = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=7)


def timed(sessions: list[list[str]], first_day: int = 0) -> pl.DataFrame:
    """A session a day, a click a minute."""
    clicks = clicks_of(sessions)
    day = pl.col("session_id").cast(pl.Int64) + first_day
    minute = pl.int_range(pl.len()).over("session_id")
    return clicks.with_columns(
        timestamp=pl.lit(START) + pl.duration(days=day) + pl.duration(minutes=minute)
    )


def position(item: str, session: list[str]) -> int:
    """The last position of an item, from 1."""
    return len(session) - session[::-1].index(item)


def candidates(log: list[list[str]], prefix: list[str], m: int) -> list[int]:
    sharing = [n for n, session in enumerate(log) if set(session) & set(prefix)]
    return sharing[-m:]


def nearest(similarity: dict[int, float], k: int) -> list[int]:
    return sorted(similarity, key=lambda n: (-round(similarity[n], 12), -n))[:k]


def idf_of(log: list[list[str]], item: str, weight: float) -> float:
    clicks = sum(session.count(item) for session in log)
    return 1 + weight * math.log(len(log) / clicks)


def days_since(log: list[list[str]], number: int, prefix: list[str]) -> float:
    """From a session's last click to that of a session on the day after the log's last."""
    ago = timedelta(days=len(log) - number, minutes=len(prefix) - len(log[number]))
    return ago / timedelta(days=1)


def sknn(log: list[list[str]], prefix: list[str], s) -> dict[str, float]:
    u = set(prefix)
    sim = {
        n: len(u & set(log[n])) / math.sqrt(len(u) * len(set(log[n])))
        for n in candidates(log, prefix, s.m)
    }
    scores: dict[str, float] = defaultdict(float)
    for n in nearest(sim, s.k):
        for item in set(log[n]):
            scores[item] += sim[n]
    return scores


def vs_knn(log: list[list[str]], prefix: list[str], s) -> dict[str, float]:
    u, length = set(prefix), len(prefix)
    weight = {
        "log": lambda i: 1 / math.log10(length - i + 1.7),
        "quadratic": lambda i: (i / length) ** 2,
        "div": lambda i: i / length,
        "same": lambda i: 1.0,
    }[s.weighting]
    decay = {
        "quadratic": lambda j: 1 / j**2,
        "div": lambda j: 1 / j,
        "linear": lambda j: 1 - 0.1 * j if j < 100 else 0,
        "same": lambda j: 1.0,
    }[s.decay]
    sim = {
        n: sum(weight(position(y, prefix)) for y in u & set(log[n])) / len(u)
        for n in candidates(log, prefix, s.m)
    }
    scores: dict[str, float] = defaultdict(float)
    for n in nearest(sim, s.k):
        ago = length - max(position(y, prefix) for y in u & set(log[n])) + 1
        for item in set(log[n]):
            scores[item] += sim[n] * decay(ago) * idf_of(log, item, s.idf)
    return scores


def stan(log: list[list[str]], prefix: list[str], s) -> dict[str, float]:
    u, length = set(prefix), len(prefix)
    weight = {y: math.exp((position(y, prefix) - length) / s.lambda_1) for y in u}
    norm = math.sqrt(sum(w**2 for w in weight.values()))
    sim = {
        n: sum(weight[y] for y in u & set(log[n]))
        / (norm * math.sqrt(len(set(log[n]))))
        * math.exp(-days_since(log, n, prefix) / s.lambda_2)
        for n in candidates(log, prefix, s.m)
    }
    scores: dict[str, float] = defaultdict(float)
    for n in nearest(sim, s.k):
        shared = u & set(log[n])
        star = max(position(y, log[n]) for y in shared)
        last = max(position(y, prefix) for y in shared)
        for item in set(log[n]):
            term = sim[n] * math.exp(-abs(position(item, log[n]) - star) / s.lambda_3)
            if isinstance(s, VSTAN.settings_class):
                term *= math.exp((last - length) / s.lambda_4) * idf_of(log, item, s.idf)
            scores[item] += term
    return scores


def vmis_knn(log: list[list[str]], prefix: list[str], s) -> dict[str, float]:
    """With the table and the heap of the paper's algorithm."""
    prefix = prefix[-s.max_clicks :]
    length, distinct = len(prefix), len(set(prefix))
    similarity: dict[int, float] = {}
    heap: list[int] = []
    seen = set()
    for offset, item in enumerate(reversed(prefix)):
        if item in seen:
            continue
        seen.add(item)
        having = [n for n in reversed(range(len(log))) if item in log[n]][: s.m]
        for n in having:
            pi = (length - offset) / distinct
            if n in similarity:
                similarity[n] += pi
            elif len(similarity) < s.m:
                similarity[n] = pi
                heapq.heappush(heap, n)
            elif n > heap[0]:
                del similarity[heapq.heapreplace(heap, n)]
                similarity[n] = pi
            else:
                break
    scores: dict[str, float] = defaultdict(float)
    for n in nearest(similarity, s.k):
        place = next(j for j, y in enumerate(reversed(prefix), start=1) if y in log[n])
        for item in set(log[n]):
            idf = (idf_of(log, item, 1.0) - 1) * (1 - 0.1 * place)
            scores[item] += similarity[n] * idf
    return scores


CASES = [
    (SKNN, sknn, {"k": 3, "m": 4}),
    (VSKNN, vs_knn, {"k": 3, "m": 4}),
    (VSKNN, vs_knn, {"k": 4, "m": 5, "weighting": "quadratic", "decay": "linear", "idf": 10.0}),
    (VSKNN, vs_knn, {"k": 4, "m": 5, "weighting": "div", "decay": "div", "idf": 0.0}),
    (VSKNN, vs_knn, {"k": 4, "m": 5, "weighting": "same", "decay": "same"}),
    (STAN, stan, {"k": 3, "m": 4}),
    (STAN, stan, {"k": 3, "m": 4, "lambda_1": 2.5, "lambda_2": 3.0, "lambda_3": 5.0}),
    (VSTAN, stan, {"k": 3, "m": 4, "lambda_2": 3.0}),
    (VMISKNN, vmis_knn, {"k": 3, "m": 3, "max_clicks": 3}),
]


@pytest.mark.parametrize(("kind", "formula", "settings"), CASES)
@given(log=LOGS, prefix=PREFIXES)
def test_scores_are_those_of_the_formula(kind, formula, settings, log, prefix):
    recommender = kind(**settings).fit(timed(log))
    known = [item for item in prefix if item in {i for session in log for i in session}]
    if not known:
        return
    expected = formula(log, known, recommender.settings)
    found = recommender.recommend(timed([known], first_day=len(log)), k=10)
    scores = dict(zip(found["item_id"], found["score"], strict=True))
    for item, score in scores.items():
        assert score == pytest.approx(expected[item], rel=1e-5, abs=1e-7)


def test_a_neighbour_by_hand():
    # Prefix [a, b]: the sessions share b, and a and b; cosines 1/√(2·2) and 2/√(2·3)
    log = clicks_of([["b", "c"], ["a", "b", "d"], ["e"]])
    table = SKNN(k=5, m=5).fit(log).recommend([["a", "b"]], k=5)
    scores = dict(zip(table["item_id"], table["score"], strict=True))
    one, two = 1 / 2, 2 / math.sqrt(6)
    expected = {"b": one + two, "a": two, "d": two, "c": one, "e": 0}
    assert scores == pytest.approx(expected)


def test_without_times_a_session_is_as_old_as_its_last_row_says():
    log = clicks_of([["a", "b"], ["a", "c"]])  # last rows 1 and 3; the click to serve is row 4
    day = 86_400.0
    recommender = STAN(seconds_per_click=day, lambda_2=1.0, lambda_3=1.0).fit(log)
    table = recommender.recommend(clicks_of([["a"]]), k=3)
    scores = dict(zip(table["item_id"], table["score"], strict=True))
    older, newer = math.exp(-3) / math.sqrt(2), math.exp(-1) / math.sqrt(2)
    expected = {"a": older + newer, "b": older / math.e, "c": newer / math.e}
    assert scores == pytest.approx(expected)


def test_a_session_without_times_is_of_the_end_of_a_log_with_times():
    recommender = STAN(lambda_2=1.0, lambda_3=1.0).fit(timed([["a", "b"], ["a", "c"]]))
    now = timed([["a"]], first_day=1).with_columns(pl.col("timestamp").dt.offset_by("1m"))
    assert recommender.recommend([["a"]]).equals(recommender.recommend(now))


@pytest.mark.parametrize("days", [-4000, -900, 2000, 5000])
@pytest.mark.parametrize("name", ["stan", "vstan"])
def test_however_far_the_log_is_in_time_its_sessions_are_told_apart(name, days):
    recommender = BASELINES[name]().fit(timed([["a", "b"], ["a", "b"], ["a", "c"]]))
    table = recommender.recommend(timed([["a"]], first_day=days), k=3)
    near = recommender.recommend(timed([["a"]], first_day=3), k=3)
    assert table["item_id"].to_list() == near["item_id"].to_list()
    scores = table["score"].to_numpy()
    assert np.isfinite(scores).all()
    assert (scores > 0).all()
    assert len(set(scores.tolist())) == 3


@pytest.mark.parametrize("name", ["sknn", "vs_knn", "stan", "vstan", "vmis_knn"])
def test_an_item_that_no_session_kept_has_scores_nothing(name):
    log = clicks_of([["a", "b"], ["a", "c"]])
    recommender = BASELINES[name]().fit(log)
    recommender._neighbours = Neighbours(recommender.learned.tail(1), 3)  # of b nothing is kept
    sessions = recommender.reader.arrays(clicks_of([["b"]]).lazy())
    ((_, scores),) = recommender.score(sessions, np.array([0]))
    assert scores.tolist() == [[0, 0, 0]]


def test_linear_decay_is_below_zero_from_eleven_clicks_on_and_zero_from_a_hundred():
    log = clicks_of([["a", "z"], *[["n"]] * 9])
    for ago, expected in ((1, 0.9), (10, 0.0), (12, -0.2), (99, -8.9), (100, 0.0)):
        knn = VSKNN(weighting="same", decay="linear", idf=0.0, max_clicks=200).fit(log)
        found = knn.recommend([["a", *["n"] * (ago - 1)]], k=3)
        scores = dict(zip(found["item_id"], found["score"], strict=True))
        assert scores["z"] == pytest.approx(expected / (1 + (ago > 1)), abs=1e-6)


def test_only_the_last_clicks_of_the_running_session_are_read():
    log = clicks_of([["a", "x"], ["b", "y"]])
    table = SKNN(max_clicks=1).fit(log).recommend([["a", "b"]], k=2)
    assert table["item_id"].to_list() == ["b", "y"]


def test_of_published_settings_the_better_on_the_newest_sessions_is_taken(monkeypatch, log, caplog):
    monkeypatch.setattr(VSKNN, "published", ({"k": 1, "m": 1}, {"k": 50, "m": 500}))
    with caplog.at_level("INFO"):
        assert VSKNN().fit(log).settings.k == 50
    assert "newest 20 sessions" in caplog.text
    assert VSKNN(k=7).fit(log).settings.k == 7  # what is given is kept


@pytest.mark.parametrize("name", ["sknn", "vs_knn", "stan", "vstan", "vmis_knn"])
def test_a_neighbour_methods_checkpoint_keeps_the_sessions(name, log, tmp_path):
    BASELINES[name]().fit(log).save(tmp_path / "model")
    kept = pl.read_parquet(tmp_path / "model" / "learned.parquet")
    assert kept["items"].list.len().sum() == log.height
    assert isinstance(g4r.load(tmp_path / "model"), BASELINES[name])


def test_bad_settings_are_refused():
    with pytest.raises(g4r.ConfigError, match="k must be at least 1, got 0"):
        SKNN(k=0)
    with pytest.raises(g4r.ConfigError, match=r"no setting vs_knn\.lambda_9; choose from k, m"):
        VSKNN(lambda_9=1.0)
    with pytest.raises(g4r.ConfigError, match="choose from same, div, quadratic, log"):
        VSKNN(weighting="cubic")
