"""Steps through a log: nothing of what is measured was known, and every way is what it says."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import TINY

import gru4rec as g4r
from gru4rec.evaluation import backtest, evaluate, means_over_steps
from gru4rec.evaluation.steps import Step, steps_of
from gru4rec.recommenders import BASELINES

DAY, FIRST = timedelta(days=1), datetime(2026, 1, 1)


def log_of(sessions: list[list[float]]) -> pl.DataFrame:
    """Sessions 0, 1, … by the days of their clicks."""
    rows = [(n, f"i{k}", FIRST + day * DAY) for n, days in enumerate(sessions)
            for k, day in enumerate(days)]  # fmt: skip
    return pl.DataFrame(rows, schema=["session_id", "item_id", "timestamp"], orient="row")


def ids(clicks: pl.DataFrame) -> list[int]:
    return clicks["session_id"].unique().sort().to_list()


def test_a_log_is_cut_by_the_start_of_sessions():
    log = log_of([[0, 0.1], [0.9, 1.2], [1.5, 2.6], [2.1, 2.2], [3.0, 3.1], [3.4, 9.0]])
    steps = list(steps_of(log, train="2d", every="1d", test="12h"))
    assert [step.start for step in steps] == [FIRST + days * DAY for days in (2, 3)]
    first, second = steps
    assert (ids(first.known), ids(first.new), ids(first.test)) == ([0, 1], [], [3])
    # 0 and 1 began more than two days before; 2 ran past the first cut, and is known now
    assert (ids(second.known), ids(second.new), ids(second.test)) == ([2, 3], [2, 3], [4, 5])


@given(
    st.lists(
        st.lists(st.floats(0, 20), min_size=1, max_size=4).map(sorted), min_size=2, max_size=12
    ),
    st.sampled_from(["6h", "1d", "3d"]),
    st.sampled_from(["12h", "2d"]),
)
def test_nothing_that_is_measured_was_known(sessions, every, test):
    log = log_of(sessions)
    try:
        steps = list(steps_of(log, train="1d", every=every, test=test))
    except g4r.DataError:
        return  # all begin within a day
    seen: list[int] = []
    for step in steps:
        for part in (step.known, step.new):
            assert part.is_empty() or part["timestamp"].max() < step.start
        assert step.test.is_empty() or step.test["timestamp"].min() >= step.start
        assert not set(ids(step.test)) & {*ids(step.known), *ids(step.new), *seen}
        seen += ids(step.new)
    assert len(seen) == len(set(seen))


@pytest.fixture(scope="module")
def long_log() -> pl.DataFrame:
    """A log whose sessions begin over six days."""
    log = g4r.generate_clicks(sessions=500, items=40, categories=2, seed=4)
    starts = pl.col("timestamp").min().over("session_id")
    day = (pl.col("session_id").rank("dense") * 6 // 500).cast(pl.Int64) * 24
    first = starts.min()
    return log.with_columns(
        timestamp=first + pl.duration(hours=day) + (pl.col("timestamp") - starts)
    )


def config() -> g4r.Config:
    return g4r.Config().replace({**TINY, "training.epochs": 1})


def test_every_way_is_what_it_says(long_log):
    rows = pl.concat(
        backtest(
            long_log, train="2d", every="1d", baselines=["markov"], ks=[5], config=config(),
            device="cpu",
        )
    )  # fmt: skip
    assert rows["way"].unique(maintain_order=True).to_list() == [
        "stale",
        "update",
        "full",
        "markov",
    ]
    assert set(rows["metric"]) == {"recall", "mrr", "recall_all", "mrr_all"}
    stale = rows.filter(pl.col("way") == "stale", pl.col("metric") == "recall")
    assert stale["seconds"][0] > 0
    assert set(stale["seconds"][1:]) == {0.0}
    steps = list(steps_of(long_log, train="2d", every="1d", test="1d"))
    first = g4r.GRU4Rec(config(), device="cpu").fit(steps[0].known, updatable=True)
    second = steps[1]
    made = {
        "stale": first,
        "full": g4r.GRU4Rec(config(), device="cpu").fit(second.known),
        "markov": g4r.Markov().fit(second.known),
    }
    made["update"] = g4r.GRU4Rec(config(), device="cpu").fit(steps[0].known, updatable=True)
    made["update"].update(second.new)
    for way, recommender in made.items():
        expected = evaluate({"this": recommender}, second.test, ks=[5])
        found = rows.filter(pl.col("way") == way, pl.col("step") == 2)
        assert found["value"].to_list() == expected["value"].to_list()
        assert found["low"].to_list() == expected["low"].to_list()
        assert (found["share_unknown"] >= 0).all()


def renamed_from_day(log: pl.DataFrame, day: int) -> pl.DataFrame:
    """The log, with other items from a day on."""
    late = pl.col("timestamp") >= log["timestamp"].min() + day * DAY
    return log.with_columns(pl.when(late).then(pl.col("item_id") + "-late").otherwise("item_id"))


def test_a_way_that_knows_no_target_misses_all_of_them(long_log):
    log = renamed_from_day(long_log, 3)
    asked = {"train": "2d", "every": "1d", "config": config(), "device": "cpu"}
    rows = pl.concat(backtest(log, ways=["stale", "update"], ks=[20, 5], **asked))
    stale = rows.filter(way="stale", step=3)
    (step,) = (
        step for step in steps_of(log, train="2d", every="1d", test="1d") if step.number == 3
    )
    clicks = step.test.group_by("session_id").len()
    of_all = {"recall_all": (clicks["len"] - 1).sum(), "mrr_all": (clicks["len"] - 1).sum()}
    for row in stale.to_dicts():
        value = 0.0 if row["metric"] in of_all else None  # of no known target nothing is known
        assert (row["value"], row["low"], row["high"]) == (value, value, value)
        assert row["num_targets"] == of_all.get(row["metric"], 0)
        assert (row["share_unknown"], row["seconds"]) == (1.0, 0.0)
    assert stale.select("metric", "k").rows() == [
        (metric, k) for metric in ("recall", "mrr", "recall_all", "mrr_all") for k in (5, 20)
    ]
    update = rows.filter(way="update", step=3)
    assert update.select("metric", "k").equals(stale.select("metric", "k"))
    assert (update["share_unknown"] < 0.5).all()
    assert update["value"].null_count() == 0


def test_a_mean_over_steps_counts_the_steps_where_a_way_knows_nothing():
    rows = [
        ("stale", 1, "recall", 0.8, 10, 5.0), ("stale", 1, "recall_all", 0.8, 10, 5.0),
        ("stale", 2, "recall", None, 0, 0.0), ("stale", 2, "recall_all", 0.0, 30, 0.0),
        ("full", 1, "recall", 0.8, 10, 5.0), ("full", 1, "recall_all", 0.8, 10, 5.0),
        ("full", 2, "recall", 0.6, 20, 3.0), ("full", 2, "recall_all", 0.4, 30, 3.0),
    ]  # fmt: skip
    columns = ["way", "step", "metric", "value", "num_targets", "seconds"]
    table = pl.DataFrame(rows, schema=columns, orient="row").with_columns(k=20)
    found = means_over_steps(table)
    expected = [
        ("stale", "recall", 20, 0.8, 10, 0.0),
        ("stale", "recall_all", 20, 0.8 * 10 / 40, 40, 0.0),
        ("full", "recall", 20, (0.8 * 10 + 0.6 * 20) / 30, 30, 3.0),
        ("full", "recall_all", 20, (0.8 * 10 + 0.4 * 30) / 40, 40, 3.0),
    ]
    for row, wanted in zip(found.rows(), expected, strict=True):
        assert row == pytest.approx(wanted)
    nothing = means_over_steps(table.filter(way="stale", step=2, metric="recall"))
    assert nothing.row(0) == ("stale", "recall", 20, None, 0, 0.0)


def test_a_time_without_sessions_is_left_out_and_updates_nothing(long_log, caplog):
    later = pl.col("timestamp") >= long_log["timestamp"].min() + 3 * DAY
    gap = long_log.with_columns(
        pl.col("timestamp") + pl.when(later).then(2 * DAY).otherwise(0 * DAY)
    )
    asked = {"train": "4d", "every": "1d", "config": config(), "device": "cpu"}
    rows = pl.concat(backtest(gap, ways=["update"], **asked))
    assert rows["step"].unique().sort().to_list() == [2, 3, 4, 5]
    assert "step 1" in caplog.text
    assert "no target, left out" in caplog.text


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"ways": ["fresh"]}, g4r.ConfigError, "no way 'fresh'; choose from stale"),
        ({"ways": ["full", "full"]}, g4r.ConfigError, "each once"),
        ({"ways": []}, g4r.ConfigError, "give ways or baselines"),
        ({"baselines": ["fresh"]}, g4r.ConfigError, "no baseline 'fresh'"),
        ({"train": "90d"}, g4r.DataError, "give a shorter train"),
        ({"every": "soon"}, g4r.DataError, "'soon' as a duration"),
        ({"ks": [0]}, g4r.DataError, "k must be at least 1"),
        ({"ks": []}, g4r.DataError, "give a k"),
    ],
)
def test_what_cannot_be_asked_is_refused(long_log, changed, error, message):
    asked = {"train": "2d", "every": "1d", "config": config(), "device": "cpu", **changed}
    with pytest.raises(error, match=message):
        list(backtest(long_log, **asked))


def test_a_log_without_times_has_no_steps(long_log):
    with pytest.raises(g4r.DataError, match="steps are cut by time"):
        list(backtest(long_log.drop("timestamp"), train="2d", every="1d"))


@pytest.mark.parametrize(
    ("planted", "message"),
    [
        ({"known": [0, 1]}, "session 1 of what is known is measured too"),
        ({"new": [1]}, "session 1 of what is new is measured too"),
        ({"known": [2]}, "session 2 of what is known has a click at or after the cut"),
        ({"new": [2]}, "session 2 of what is new has a click at or after the cut"),
        ({"test": [0, 1]}, "session 0 that is measured has a click before the cut"),
    ],
)
def test_a_step_with_a_leak_is_refused(planted, message):
    log = log_of([[0, 0.1], [1.0, 1.1], [0.5, 1.0]])
    sessions = {"known": [], "new": [], "test": [1], **planted}
    # 1 is measured; where it is planted, only its clicks before the cut would be known
    early = pl.col("timestamp") < FIRST + DAY
    parts = {
        name: log.filter(pl.col("session_id").is_in(ids), (name == "test") | early | (ids == [2]))
        for name, ids in sessions.items()
    }
    if 1 in sessions["known"] + sessions["new"]:
        begun = log.filter(pl.col("session_id") == 1).with_columns(pl.col("timestamp") - DAY)
        parts |= {name: pl.concat([parts[name], begun]) for name in planted}
    with pytest.raises(g4r.DataError, match=message):
        Step(1, FIRST + DAY, **parts)


class Cheat(g4r.Markov):
    """Learns what it was shown, and one session more."""

    more = pl.DataFrame()

    def fit(self, clicks, **how):
        return super().fit(pl.concat([clicks, self.more.cast(clicks.schema)]), **how)


@pytest.mark.parametrize("moved", [timedelta(0), 30 * DAY])
def test_a_recommender_that_has_learned_a_measured_session_is_refused(long_log, monkeypatch, moved):
    step = next(steps_of(long_log, train="2d", every="1d", test="1d"))
    lengths = step.test.group_by("session_id", maintain_order=True).len()
    session = lengths.filter(pl.col("len") > 1)["session_id"][0]
    leak = step.test.filter(session_id=session).with_columns(pl.col("timestamp") - moved)
    monkeypatch.setattr(Cheat, "more", leak)
    monkeypatch.setitem(BASELINES, "markov", Cheat)
    with pytest.raises(g4r.DataError, match="markov has learned what step 1 measures"):
        next(backtest(long_log, train="2d", every="1d", ways=[], baselines=["markov"]))
