"""Steps through a log: nothing of what is measured was known, and every way is what it says."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import TINY

import gru4rec as g4r
from gru4rec.evaluation import backtest, evaluate
from gru4rec.evaluation.steps import steps_of

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


def test_targets_on_items_that_a_way_does_not_know_are_counted(long_log):
    late = pl.col("timestamp") >= long_log["timestamp"].min() + timedelta(days=3)
    renamed = pl.when(late).then(pl.col("item_id") + "-late").otherwise(pl.col("item_id"))
    rows = pl.concat(
        backtest(
            long_log.with_columns(item_id=renamed),
            train="2d",
            every="1d",
            ways=["stale", "update"],
            config=config(),
            device="cpu",
        )
    )
    shares = rows.filter(pl.col("metric") == "recall", pl.col("step") == 3)
    shares = dict(shares.select("way", "share_unknown").iter_rows())
    assert "stale" not in shares  # it knows none of the items: it has no target at all
    assert shares["update"] < 0.5


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"ways": ["fresh"]}, g4r.ConfigError, "no way 'fresh'; choose from stale"),
        ({"ways": ["full", "full"]}, g4r.ConfigError, "each once"),
        ({"ways": []}, g4r.ConfigError, "give ways or baselines"),
        ({"baselines": ["fresh"]}, g4r.ConfigError, "no baseline 'fresh'"),
        ({"train": "90d"}, g4r.DataError, "give a shorter train"),
        ({"every": "soon"}, g4r.DataError, "'soon' as a duration"),
    ],
)
def test_what_cannot_be_asked_is_refused(long_log, changed, error, message):
    asked = {"train": "2d", "every": "1d", "config": config(), "device": "cpu", **changed}
    with pytest.raises(error, match=message):
        list(backtest(long_log, **asked))


def test_a_log_without_times_has_no_steps(long_log):
    with pytest.raises(g4r.DataError, match="steps are cut by time"):
        list(backtest(long_log.drop("timestamp"), train="2d", every="1d"))
