"""Logs are split by the start of sessions: nothing in both parts, nothing older after the cut."""

import logging
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from gru4rec.clicks.split import split_by_time, split_last
from gru4rec.errors import DataError

START = datetime(2026, 3, 2)


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's messages reach caplog, whatever the command line did to its logger before."""
    monkeypatch.setattr(logging.getLogger("gru4rec"), "propagate", True)
    caplog.set_level(logging.INFO, logger="gru4rec")


def visits(**hours: list[float]) -> pl.DataFrame:
    """A log in time order: for each session the hours of its clicks; items are numbered rows."""
    rows = [(name, START + timedelta(hours=hour)) for name, at in hours.items() for hour in at]
    rows.sort(key=lambda row: row[1])
    log = pl.DataFrame(rows, schema=["session_id", "timestamp"], orient="row")
    return log.select("session_id", pl.int_range(pl.len()).alias("item_id"), "timestamp")


def untimed(sessions: str) -> pl.DataFrame:
    """A log without times: a row for each letter, which is its session."""
    return pl.DataFrame({"session_id": list(sessions), "item_id": range(len(sessions))})


def sessions_of(part: pl.LazyFrame) -> set[object]:
    return set(part.collect()["session_id"].to_list())


def names(log: pl.DataFrame, part: str) -> tuple[set[object], set[object]]:
    rest, last = split_last(log, part)
    return sessions_of(rest), sessions_of(last)


def refusal(log: pl.DataFrame, part: str) -> str:
    """The one line with which a split is refused."""
    with pytest.raises(DataError) as refused:
        split_last(log, part)
    message = str(refused.value)
    assert message.splitlines() == [message]
    return message


# Durations


def test_a_duration_takes_the_sessions_that_start_in_it() -> None:
    log = visits(a=[0, 1], b=[10], c=[25, 26], d=[48])
    assert names(log, "1d") == ({"a", "b"}, {"c", "d"})


def test_a_session_that_starts_at_the_cut_belongs_to_the_last_part() -> None:
    assert names(visits(a=[0], b=[24], c=[48]), "1d") == ({"a"}, {"b", "c"})


def test_a_session_that_runs_across_the_cut_is_in_neither_part_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = visits(a=[0, 1], b=[20, 30], c=[23, 24], d=[40, 48])
    assert names(log, "1d") == ({"a"}, {"d"})
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("2 sessions run across the cut")


def test_nothing_is_said_where_no_session_runs_across(caplog: pytest.LogCaptureFixture) -> None:
    split_last(visits(a=[0], b=[40], c=[48]), "1d")
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("part", "last"),
    [
        ("30s", {"e"}),
        ("60m", {"d", "e"}),
        ("1h", {"d", "e"}),
        ("1.5d", {"c", "d", "e"}),
        ("36h", {"c", "d", "e"}),
        ("1w", {"b", "c", "d", "e"}),
    ],
)
def test_durations_are_in_seconds_minutes_hours_days_and_weeks(part: str, last: set[str]) -> None:
    hour = 30 * 24
    log = visits(a=[0], b=[hour - 7 * 24], c=[hour - 36], d=[hour - 1], e=[hour])
    assert names(log, part) == (set("abcde") - last, last)


def test_a_duration_without_times_is_refused_and_a_share_offered() -> None:
    message = refusal(untimed("aabb"), "1d")
    assert "times" in message
    assert "10%" in message


@pytest.mark.parametrize("part", ["3d", "1000000d", "99999999999d", "9" * 400 + "w"])
def test_a_duration_that_leaves_nothing_before_it_is_refused(part: str) -> None:
    assert part[:100] in refusal(visits(a=[0], b=[48]), part)  # of a long one the beginning


# Shares


@pytest.mark.parametrize(
    ("part", "last"),
    [("25%", "d"), ("50%", "cd"), ("75%", "bcd"), ("1%", "d"), ("37.5%", "cd")],
)
def test_a_share_counts_the_last_sessions_by_start(part: str, last: str) -> None:
    log = visits(d=[30], b=[10, 11], a=[0, 1], c=[20])
    assert names(log, part) == (set("abcd") - set(last), set(last))


def test_a_share_goes_by_times_not_by_the_order_of_the_rows() -> None:
    log = visits(a=[0], b=[10], c=[20], d=[30]).reverse()
    assert names(log, "25%") == ({"a", "b", "c"}, {"d"})


def test_a_share_leaves_out_the_sessions_that_still_run_at_the_cut() -> None:
    log = visits(a=[0], b=[5, 40], c=[10], d=[30])
    assert names(log, "25%") == ({"a", "c"}, {"d"})


def test_sessions_that_start_together_are_not_parted_by_a_share() -> None:
    assert names(visits(a=[0], b=[10], c=[10]), "34%") == ({"a"}, {"b", "c"})


def test_without_times_a_share_counts_sessions_by_their_first_row() -> None:
    assert names(untimed("bbaddc"), "25%") == ({"a", "b", "d"}, {"c"})
    assert names(untimed("bbaddc"), "50%") == ({"a", "b"}, {"c", "d"})


def test_without_times_sessions_may_interleave_and_none_is_left_out() -> None:
    assert names(untimed("abacbcda"), "50%") == ({"a", "b"}, {"c", "d"})


# Both


def test_the_rows_keep_their_order_and_columns() -> None:
    log = visits(a=[0, 3], b=[1, 2], c=[40, 44], d=[41, 48])[[3, 7, 0, 5, 2, 6, 1, 4]]
    rest, last = split_last(log, "1d")
    assert_frame_equal(rest.collect(), log.filter(pl.col("session_id").is_in(["a", "b"])))
    assert_frame_equal(last.collect(), log.filter(pl.col("session_id").is_in(["c", "d"])))


def test_the_frame_of_the_caller_stays_as_it_was() -> None:
    log = visits(a=[0, 3], b=[40, 44])
    before = log.clone()
    split_last(log, "1d")
    assert_frame_equal(log, before)


def test_a_file_is_split_like_a_frame(tmp_path: Path) -> None:
    log = visits(a=[0, 1], b=[40, 48])
    log.write_parquet(tmp_path / "log.parquet")
    rest, last = split_last(tmp_path / "log.parquet", "1d")
    assert (sessions_of(rest), sessions_of(last)) == ({"a"}, {"b"})


@pytest.mark.parametrize(
    "part",
    [
        *"d% ",
        "",
        "10",
        "0d",
        "0%",
        "100%",
        "150%",
        "-1d",
        "-5%",
        "1 d",
        "1y",
        "1D",
        "1d12h",
        "1d\n",
    ],
)
def test_a_part_that_cannot_be_read_is_refused_with_examples(part: str) -> None:
    message = refusal(visits(a=[0], b=[48]), part)
    assert repr(part) in message
    assert "1d" in message
    assert "10%" in message


def test_a_log_of_one_session_cannot_be_split() -> None:
    for part in ("1d", "10%"):
        assert part in refusal(visits(a=[0, 48]), part)
    assert "50%" in refusal(untimed("aaa"), "50%")


def test_a_log_whose_other_sessions_all_run_across_cannot_be_split() -> None:
    assert "1d" in refusal(visits(a=[0, 47], b=[40, 48]), "1d")


def test_by_time_the_test_part_is_the_last_and_the_valid_part_the_last_of_the_rest() -> None:
    log = visits(a=[0, 1], b=[20, 22], c=[30, 40], d=[47, 50], e=[60, 72])
    # test from hour 48 on: e; d runs across. The rest ends at hour 40, so valid is from hour 16 on.
    train, valid, test = split_by_time(log, valid="1d", test="1d")
    assert sessions_of(train) == {"a"}
    assert sessions_of(valid) == {"b", "c"}
    assert sessions_of(test) == {"e"}


def test_by_time_the_parts_are_a_day_each_unless_told() -> None:
    log = visits(a=[0], b=[30], c=[40], d=[70], e=[72])
    parts = [sessions_of(part) for part in split_by_time(log)]
    assert parts == [{"a"}, {"b", "c"}, {"d", "e"}]


def test_by_time_shares_are_taken_one_after_the_other() -> None:
    log = untimed("aabbccddee")
    parts = [sessions_of(part) for part in split_by_time(log, valid="25%", test="20%")]
    assert parts == [{"a", "b", "c"}, {"d"}, {"e"}]


# Properties

CLICKS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 7 * 24 * 60)), min_size=1, max_size=60
)
PARTS = st.one_of(
    st.integers(1, 99).map(lambda share: f"{share}%"),
    st.integers(1, 7 * 24).map(lambda hours: f"{hours}h"),
)


def log_of(clicks: list[tuple[int, int]]) -> pl.DataFrame:
    """A log of (session, minute) rows, in their order."""
    return pl.DataFrame(
        {
            "session_id": [session for session, _ in clicks],
            "item_id": range(len(clicks)),
            "timestamp": [START + timedelta(minutes=minute) for _, minute in clicks],
        }
    )


def assert_whole_and_in_order(log: pl.DataFrame, part: pl.DataFrame) -> None:
    """Every session of the part is there with all of its clicks, in the order of the log."""
    mine = part["session_id"].unique().to_list()
    assert_frame_equal(part, log.filter(pl.col("session_id").is_in(mine)))


@given(CLICKS, PARTS)
def test_all_of_the_rest_is_older_than_all_of_the_last_part(
    clicks: list[tuple[int, int]], part: str
) -> None:
    log = log_of(clicks)
    try:
        rest, last = (frame.collect() for frame in split_last(log, part))
    except DataError:
        return
    assert rest["timestamp"].max() < last["timestamp"].min()  # type: ignore[operator]
    assert not set(rest["session_id"]) & set(last["session_id"])
    assert_whole_and_in_order(log, rest)
    assert_whole_and_in_order(log, last)


@given(CLICKS, PARTS)
def test_a_session_is_left_out_only_if_it_runs_across_the_cut(
    clicks: list[tuple[int, int]], part: str
) -> None:
    log = log_of(clicks)
    try:
        rest, last = (frame.collect() for frame in split_last(log, part))
    except DataError:
        return
    spans = log.group_by("session_id").agg(
        start=pl.col("timestamp").min(), end=pl.col("timestamp").max()
    )
    neither = spans.filter(~pl.col("session_id").is_in([*rest["session_id"], *last["session_id"]]))
    first_of_last = last["timestamp"].min()
    if part.endswith("%"):
        cut = first_of_last
    else:
        cut = max(log["timestamp"]) - timedelta(hours=int(part[:-1]))
        assert first_of_last >= cut  # type: ignore[operator]
    for _, start, end in neither.rows():
        assert start < cut <= end


@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 99))
def test_without_times_a_share_takes_that_share_of_the_sessions_and_loses_none(
    sessions: list[int], percent: int
) -> None:
    log = pl.DataFrame({"session_id": sessions, "item_id": range(len(sessions))})
    by_first_row = list(dict.fromkeys(sessions))
    wanted = max(1, round(percent / 100 * len(by_first_row)))
    if wanted == len(by_first_row):
        refusal(log, f"{percent}%")
        return
    rest, last = (frame.collect() for frame in split_last(log, f"{percent}%"))
    assert set(last["session_id"]) == set(by_first_row[-wanted:])
    assert set(rest["session_id"]) == set(by_first_row[:-wanted])
    assert_whole_and_in_order(log, rest)
    assert_whole_and_in_order(log, last)


@given(CLICKS, PARTS, PARTS)
def test_by_time_train_is_older_than_valid_and_valid_than_test(
    clicks: list[tuple[int, int]], valid: str, test: str
) -> None:
    log = log_of(clicks)
    try:
        parts = [frame.collect() for frame in split_by_time(log, valid=valid, test=test)]
    except DataError:
        return
    for earlier, later in pairwise(parts):
        assert earlier["timestamp"].max() < later["timestamp"].min()  # type: ignore[operator]
        assert not set(earlier["session_id"]) & set(later["session_id"])
