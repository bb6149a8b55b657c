"""Click logs of any format and naming are read as the same clicks, or refused in one line."""

import gzip
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from gru4rec.clicks.order import order_clicks
from gru4rec.clicks.reading import read_clicks
from gru4rec.errors import DataError
from gru4rec.preparation import verbs

NOON = datetime(2026, 3, 2, 12)
NOON_SECONDS = 1_772_452_800
WRITERS: dict[str, Callable[[pl.DataFrame, Path], None]] = {
    ".parquet": lambda frame, path: frame.write_parquet(path),
    ".csv": lambda frame, path: frame.write_csv(path),
    ".tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    ".txt": lambda frame, path: frame.write_csv(path, separator="\t"),
}
CLICKS = pl.DataFrame(
    {
        "session_id": [7, 7, 3],
        "item_id": ["a", "b", "a"],
        "timestamp": [NOON, NOON + timedelta(seconds=1), NOON - timedelta(days=1)],
    }
)


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's messages reach caplog, whatever the command line did to its logger before."""
    monkeypatch.setattr(logging.getLogger("gru4rec"), "propagate", True)
    caplog.set_level(logging.INFO, logger="gru4rec")


def log_of(**columns: object) -> pl.DataFrame:
    """A log of two clicks in one session, with the columns given put in or over."""
    return pl.DataFrame({"session_id": [1, 1], "item_id": ["a", "b"], **columns})


def refusal(source: object, **options: object) -> str:
    """The one line with which a log is refused."""
    with pytest.raises(DataError) as refused:
        read_clicks(source, **options).collect()  # type: ignore[arg-type]
    message = str(refused.value)
    assert message.splitlines() == [message]
    return message


IDS = st.integers(-(2**63), 2**63 - 1)


# Files


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_clicks(suffix: str, tmp_path: Path) -> None:
    WRITERS[suffix](CLICKS, tmp_path / f"log{suffix}")
    assert_frame_equal(read_clicks(tmp_path / f"log{suffix}").collect(), CLICKS)


@pytest.mark.parametrize("suffix", [".CSV", ".Parquet"])
def test_the_case_of_a_suffix_does_not_matter(suffix: str, tmp_path: Path) -> None:
    WRITERS[suffix.lower()](CLICKS, tmp_path / f"log{suffix}")
    assert_frame_equal(read_clicks(str(tmp_path / f"log{suffix}")).collect(), CLICKS)


def test_frames_are_read_as_files_are() -> None:
    assert_frame_equal(read_clicks(CLICKS).collect(), CLICKS)
    assert_frame_equal(read_clicks(CLICKS.lazy()).collect(), CLICKS)


def test_the_clicks_are_lazy() -> None:
    assert isinstance(read_clicks(CLICKS), pl.LazyFrame)


def test_several_files_are_read_in_the_order_they_are_given(tmp_path: Path) -> None:
    CLICKS[:2].write_csv(tmp_path / "b.csv")
    CLICKS[2:].write_parquet(tmp_path / "a.parquet")
    clicks = read_clicks([tmp_path / "b.csv", str(tmp_path / "a.parquet")])
    assert_frame_equal(clicks.collect(), CLICKS)


def test_a_glob_stands_for_its_files_by_name(tmp_path: Path) -> None:
    for name, row in (("day-2.csv", 1), ("day-1.csv", 0), ("other.csv", 2)):
        CLICKS[row].write_csv(tmp_path / name)
    assert_frame_equal(read_clicks(tmp_path / "day-*.csv").collect(), CLICKS[:2])


def test_a_folder_stands_for_the_logs_in_it_by_name(tmp_path: Path) -> None:
    (tmp_path / "march").mkdir()
    CLICKS[2:].write_parquet(tmp_path / "march" / "2.parquet")
    CLICKS[1:2].write_csv(tmp_path / "march" / "1.csv")
    CLICKS[:1].write_csv(tmp_path / "february.csv")
    (tmp_path / "march" / "README.md").write_text("no log")
    assert_frame_equal(read_clicks(tmp_path).collect(), CLICKS)


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path: Path) -> None:
    CLICKS.write_csv(tmp_path / "log[1].csv")
    assert_frame_equal(read_clicks(tmp_path / "log[1].csv").collect(), CLICKS)


@pytest.mark.parametrize("name", ["missing.csv", "no-*.parquet", "no/such/folder"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    assert name in refusal(tmp_path / name)


def test_a_folder_without_logs_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path) in refusal(tmp_path)


def test_no_file_at_all_is_refused() -> None:
    assert "no click log" in refusal([])


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_empty_file_is_refused_by_name(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"log{suffix}").touch()
    assert f"log{suffix} is empty" in refusal(tmp_path / f"log{suffix}")


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_log_with_columns_and_no_rows_is_refused(suffix: str, tmp_path: Path) -> None:
    WRITERS[suffix](CLICKS[:0], tmp_path / f"log{suffix}")
    assert "no rows" in refusal(tmp_path / f"log{suffix}")


def test_a_file_of_an_unknown_format_is_refused_with_those_known(tmp_path: Path) -> None:
    (tmp_path / "log.xlsx").write_text("a")
    message = refusal(tmp_path / "log.xlsx")
    assert all(word in message for word in ("log.xlsx", *WRITERS))


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    CLICKS.write_csv(tmp_path / "log.parquet")
    assert "cannot read the click log" in refusal(tmp_path / "log.parquet")


def test_text_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes("session_id,item_id\n1,caf\xe9\n".encode("latin-1"))
    assert "not UTF-8" in refusal(tmp_path / "log.csv")


# Columns


@pytest.mark.parametrize("session", ["session_id", "SessionId", "session"])
@pytest.mark.parametrize("item", ["item_id", "ItemId", "item", "aid"])
@pytest.mark.parametrize("at", ["timestamp", "Timestamp", "Time", "ts"])
def test_usual_column_names_need_no_option(session: str, item: str, at: str) -> None:
    log = CLICKS.rename({"session_id": session, "item_id": item, "timestamp": at})
    assert_frame_equal(read_clicks(log).collect(), CLICKS)


def test_columns_are_taken_by_the_names_given() -> None:
    log = CLICKS.rename({"session_id": "sid", "item_id": "sku", "timestamp": "at"})
    clicks = read_clicks(log, session_col="sid", item_col="sku", time_col="at")
    assert_frame_equal(clicks.collect(), CLICKS)


def test_a_name_given_goes_before_the_usual_ones() -> None:
    log = CLICKS.with_columns(pl.lit("wrong").alias("item_id"), sku=pl.col("item_id"))
    assert_frame_equal(read_clicks(log, item_col="sku").collect(), CLICKS)


def test_other_columns_are_left_out_and_pos_is_one_of_them() -> None:
    log = CLICKS.with_columns(pos=pl.Series([3, 2, 1]), price=pl.lit(1.5))
    assert_frame_equal(read_clicks(log).collect(), CLICKS)


@pytest.mark.parametrize("name", ["_row", "_index", "row", "index"])
def test_a_log_may_have_a_column_of_any_name(name: str) -> None:
    assert_frame_equal(read_clicks(CLICKS.with_columns(pl.lit(1).alias(name))).collect(), CLICKS)


@pytest.mark.parametrize(
    ("column", "option"), [("session_id", "session_col"), ("item_id", "item_col")]
)
def test_a_missing_column_is_refused_with_those_there_and_its_option(
    column: str, option: str
) -> None:
    log = CLICKS.rename({column: "other", "timestamp": "when"})
    message = refusal(log)
    assert f"click log lacks {column!r}; it has {log.columns}" in message
    assert option in message


@pytest.mark.parametrize("which", ["session", "item", "time"])
def test_a_column_named_and_not_there_is_refused_by_that_name(which: str) -> None:
    message = refusal(CLICKS, **{f"{which}_col": "nonesuch"})
    assert "lacks 'nonesuch'" in message
    assert f"{which}_col" in message


# Rows


def test_where_keeps_the_rows_that_fulfil_it_and_null_is_no() -> None:
    log = CLICKS.with_columns(split=pl.Series(["train", None, "test"]))
    assert read_clicks(log, where="split = 'train'").collect()["item_id"].to_list() == ["a"]
    assert read_clicks(log, where="split <> 'train'").collect()["session_id"].to_list() == [3]


def test_where_sees_the_names_of_the_log_not_ours() -> None:
    log = CLICKS.rename({"item_id": "sku"})
    clicks = read_clicks(log, item_col="sku", where="sku = 'b'")
    assert clicks.collect()["item_id"].to_list() == ["b"]
    assert "item_id" in refusal(log, item_col="sku", where="item_id = 'b'")


@pytest.mark.parametrize("column", ["nonesuch", "_row"])
def test_where_with_a_column_that_is_not_there_is_refused_by_name(column: str) -> None:
    message = refusal(CLICKS, where=f"{column} = 1")
    assert column in message
    assert "where" in message


def test_a_refused_where_lists_the_columns_of_the_log_and_no_others() -> None:
    assert "_row" not in refusal(CLICKS, where="nonesuch = 1")


@pytest.mark.parametrize("where", ["item_id =", "", "1", "item_id", "item_id = 'a'; DROP", "'"])
def test_where_that_is_no_predicate_is_refused_in_one_line(where: str) -> None:
    assert repr(where) in refusal(CLICKS, where=where)


def test_where_that_no_row_fulfils_is_refused() -> None:
    assert "no rows" in refusal(CLICKS, where="session_id > 100")


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1), st.integers(0, 3))
def test_where_and_its_negation_part_the_rows_that_are_not_null(
    values: list[int | None], wanted: int
) -> None:
    log = pl.DataFrame({"session": range(len(values)), "item": 1, "x": values}).with_columns(
        pl.col("x").cast(pl.Int64)
    )

    def kept(where: str) -> list[int]:
        try:
            return read_clicks(log, where=where).collect()["session_id"].to_list()
        except DataError as refused:
            assert "no rows" in str(refused)  # noqa: PT017 - nothing kept is told as an error
            return []

    rows = list(enumerate(values))
    assert kept(f"x = {wanted}") == [row for row, x in rows if x == wanted]
    assert kept(f"NOT x = {wanted}") == [row for row, x in rows if x not in (wanted, None)]


# The first clicks of long sessions


def test_of_a_longer_session_the_first_clicks_in_time_stay_where_they_stand() -> None:
    log = pl.DataFrame(
        {
            "session_id": ["b", "a", "b", "a", "b", "a", "c"],
            "item_id": ["third", "first", "first", "second", "second", "third", "only"],
            "timestamp": [NOON + timedelta(seconds=s) for s in (9, 1, 2, 1, 5, 1, 0)],
        }
    )
    assert read_clicks(log, max_session_clicks=2).collect().rows() == [
        row for row in log.rows() if row[1] != "third"
    ]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30),
    st.integers(1, 9),
    st.booleans(),
)
def test_the_clicks_are_those_that_prepare_would_cut_to(
    clicks: list[tuple[int, int]], most: int, timed: bool
) -> None:
    sessions, seconds = zip(*clicks, strict=True)
    log = pl.DataFrame({"session_id": sessions, "item_id": range(len(clicks))})
    if timed:
        log = log.with_columns(timestamp=pl.Series([NOON + timedelta(seconds=s) for s in seconds]))
    kept = read_clicks(log, max_session_clicks=most)
    cut = verbs.limit_length(order_clicks(read_clicks(log)), most)
    assert_frame_equal(kept.collect(), cut.sort("item_id").collect())
    assert_frame_equal(kept.collect(engine="streaming"), kept.collect())


def test_clicks_that_are_left_out_do_not_count_among_the_first() -> None:
    log = log_of(item_id=["", "b"])
    options = {"drop_invalid": True, "max_session_clicks": 1}
    assert read_clicks(log, **options).collect()["item_id"].to_list() == ["b"]
    options = {"where": "item_id = 'b'", "max_session_clicks": 1}
    assert read_clicks(log_of(), **options).collect()["item_id"].to_list() == ["b"]


def test_more_clicks_than_any_log_has_cut_nothing() -> None:
    assert_frame_equal(read_clicks(CLICKS, max_session_clicks=10**60).collect(), CLICKS)


@pytest.mark.parametrize("most", [0, -1, 2.5, True, "3", float("nan")])
def test_a_number_of_clicks_that_is_none_is_refused(most: object) -> None:
    assert repr(most) in refusal(CLICKS, max_session_clicks=most)


def test_the_frame_of_the_caller_stays_as_it_was() -> None:
    log = pl.DataFrame({"ts": [5, None, 3], "sid": [1, None, 1], "item": ["a", "b", ""]})
    before = log.clone()
    read_clicks(log, session_col="sid", where="ts > 1 OR ts IS NULL", drop_invalid=True).collect()
    assert_frame_equal(log, before)


@given(
    st.lists(st.tuples(IDS, IDS), min_size=1, max_size=20),
    st.sampled_from(sorted(WRITERS)),
)
def test_any_integer_ids_come_back_from_any_format_in_the_order_of_the_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int]], suffix: str
) -> None:
    log = pl.DataFrame(rows, schema={"session": pl.Int64, "item": pl.Int64}, orient="row")
    path = tmp_path_factory.mktemp("ids") / f"log{suffix}"
    WRITERS[suffix](log, path)
    assert read_clicks(path).collect().rows() == rows


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=20))
def test_any_text_ids_are_kept_and_reading_again_changes_nothing(
    rows: list[tuple[str, str]],
) -> None:
    once = read_clicks(pl.DataFrame(rows, schema=["session", "item"], orient="row")).collect()
    assert once.rows() == rows
    assert_frame_equal(read_clicks(once).collect(), once)


# Ids


@pytest.mark.parametrize("dtype", [pl.Int64, pl.Int32, pl.UInt32, pl.String])
def test_ids_keep_their_type(dtype: type[pl.DataType]) -> None:
    log = pl.DataFrame({"session": [2, 1], "item": [10, 20]}).cast(dtype)
    assert read_clicks(log).collect_schema() == {"session_id": dtype, "item_id": dtype}


def test_a_text_file_of_numbers_has_integer_ids_and_of_words_strings(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("session,item\n1,a\n2,7\n")
    schema = read_clicks(tmp_path / "log.csv").collect_schema()
    assert schema == {"session_id": pl.Int64, "item_id": pl.String}


@pytest.mark.parametrize("column", ["session_id", "item_id"])
@pytest.mark.parametrize("bad", [None, ""])
def test_null_and_empty_ids_are_refused_with_their_first_row(column: str, bad: str | None) -> None:
    log = pl.DataFrame({"session_id": list("sstt"), "item_id": list("abcd")})
    log = log.with_columns(pl.Series(column, ["x", bad, "y", bad]))
    message = refusal(log)
    assert f"null or empty {column} in 2 of 4 rows, first in row 2" in message
    assert "drop_invalid" in message


def test_null_integer_ids_are_refused() -> None:
    assert "row 1" in refusal(log_of(session_id=[None, 1]))


def test_empty_fields_of_a_text_file_are_refused_as_ids(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text('session,item\n1,a\n1,""\n,b\n')
    message = refusal(tmp_path / "log.csv")
    assert "in row 3" in message or "in row 2" in message


def test_the_row_that_is_named_is_counted_in_the_log_not_in_what_where_leaves() -> None:
    log = pl.DataFrame({"session": [1, 1, 1, 1], "item": [None, "b", None, "d"], "x": [0, 1, 1, 1]})
    assert "in 1 of 3 rows, first in row 3" in refusal(log, where="x = 1")


def test_an_id_that_where_leaves_out_is_no_error() -> None:
    log = pl.DataFrame({"session": [1, 1], "item": [None, "b"], "x": [0, 1]})
    assert read_clicks(log, where="x = 1").collect()["item_id"].to_list() == ["b"]


def test_drop_invalid_drops_and_counts(caplog: pytest.LogCaptureFixture) -> None:
    log = pl.DataFrame(
        {
            "session": ["s", None, "s", "", "s"],
            "item": ["a", "b", None, None, "e"],
            "ts": [1.0, 2.0, 3.0, 4.0, 5.0],
        }
    )
    assert read_clicks(log, drop_invalid=True).collect()["item_id"].to_list() == ["a", "e"]
    assert [text for text in caplog.messages if "dropped" in text] == [
        "dropped 3 of 5 rows with invalid ids or times"
    ]


def test_drop_invalid_drops_rows_without_a_time() -> None:
    log = log_of(ts=["2026-03-02", "soon"])
    assert read_clicks(log, drop_invalid=True).collect()["item_id"].to_list() == ["a"]


def test_drop_invalid_says_nothing_where_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    assert_frame_equal(read_clicks(CLICKS, drop_invalid=True).collect(), CLICKS)
    assert caplog.messages == []


def test_a_log_of_invalid_rows_only_is_refused_even_if_they_may_be_dropped() -> None:
    assert "every row" in refusal(log_of(item_id=[None, ""]), drop_invalid=True)


# Times


def times_of(values: object, dtype: pl.DataType | None = None) -> list[datetime]:
    """How the times of a log of these are read."""
    clicks = read_clicks(log_of(ts=pl.Series(values, dtype=dtype))).collect()
    assert clicks.schema["timestamp"] == pl.Datetime("us")
    return clicks["timestamp"].to_list()


@pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9)])
def test_integer_times_are_told_apart_by_magnitude_and_the_unit_is_said(
    unit: str, per_second: float, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = [NOON_SECONDS, NOON_SECONDS + 60]
    values = [second * int(per_second) for second in seconds]
    assert times_of(values) == [NOON, NOON + timedelta(minutes=1)]
    assert caplog.messages == [f"integer times are read as {unit}"]


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from([("s", 10**6), ("ms", 10**3), ("µs", 1)]),
)
def test_an_integer_time_of_our_days_is_read_to_its_unit(
    moment: datetime, unit: tuple[str, int]
) -> None:
    micros = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    truncated = datetime(1970, 1, 1) + timedelta(microseconds=micros // unit[1] * unit[1])
    assert times_of([micros // unit[1]] * 2) == [truncated] * 2


def test_small_integer_times_are_seconds() -> None:
    assert times_of([0, 90], pl.Int32()) == [
        datetime(1970, 1, 1),
        datetime(1970, 1, 1, 0, 1, 30),
    ]


def test_float_times_are_seconds() -> None:
    assert times_of([NOON_SECONDS + 0.0, NOON_SECONDS + 0.25]) == [
        NOON,
        NOON + timedelta(milliseconds=250),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T12:00:00",
        "2026-03-02 12:00:00",
        "2026-03-02T12:00:00.000",
        "2026-03-02T12:00:00Z",
        "2026-03-02T12:00:00.000Z",
        "2026-03-02T13:00:00+01:00",
    ],
)
def test_iso_strings_are_times_in_utc(text: str) -> None:
    assert times_of([text, text]) == [NOON, NOON]


def test_iso_strings_may_have_fractions_or_not_in_one_log() -> None:
    assert times_of(["2026-03-02T12:00:00Z", "2026-03-02T12:00:00.125Z"]) == [
        NOON,
        NOON + timedelta(milliseconds=125),
    ]


def test_dates_are_midnight() -> None:
    midnight = [datetime(2026, 3, 2), datetime(2026, 3, 3)]
    assert times_of([date(2026, 3, 2), date(2026, 3, 3)]) == midnight
    assert times_of(["2026-03-02", "2026-03-03"]) == midnight


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_datetimes_of_any_unit_are_kept(unit: str) -> None:
    assert times_of([NOON, NOON], pl.Datetime(unit)) == [NOON, NOON]  # type: ignore[arg-type]


def test_times_with_a_zone_become_utc_without_one() -> None:
    berlin = timezone(timedelta(hours=1))
    assert times_of([NOON.replace(tzinfo=UTC)] * 2) == [NOON, NOON]
    assert times_of([datetime(2026, 3, 2, 13, tzinfo=berlin)] * 2) == [NOON, NOON]
    zoned = pl.Series([datetime(2026, 3, 2, 13)] * 2).dt.replace_time_zone("Europe/Berlin")
    assert times_of(zoned) == [NOON, NOON]


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_integer_times_of_a_text_file_are_read(suffix: str, tmp_path: Path) -> None:
    log = CLICKS.with_columns(pl.col("timestamp").dt.epoch("ms"))
    WRITERS[suffix](log, tmp_path / f"log{suffix}")
    assert_frame_equal(read_clicks(tmp_path / f"log{suffix}").collect(), CLICKS)


def test_a_log_without_a_time_column_is_taken_in_file_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = CLICKS.drop("timestamp")
    assert_frame_equal(read_clicks(log).collect(), log)
    assert len(caplog.messages) == 1
    assert "no time column" in caplog.messages[0]


@pytest.mark.parametrize("dtype", [pl.Null, pl.Int64, pl.Float64, pl.String, pl.Datetime, pl.Date])
def test_a_time_column_of_nulls_only_is_as_none(
    dtype: type[pl.DataType], caplog: pytest.LogCaptureFixture
) -> None:
    clicks = read_clicks(log_of(ts=pl.Series([None, None], dtype=dtype))).collect()
    assert_frame_equal(clicks, log_of())
    assert len(caplog.messages) == 1
    assert "entirely null" in caplog.messages[0]


def test_a_time_column_that_where_leaves_null_is_as_none() -> None:
    log = log_of(ts=[5, None], x=[0, 1])
    assert read_clicks(log, where="x = 1").collect().columns == ["session_id", "item_id"]


@pytest.mark.parametrize(
    "values", [[5, None], [0.5, None], ["2026-03-02", None], [date(2026, 3, 2), None], [NOON, None]]
)
def test_partly_null_times_are_refused_with_the_first_such_row(values: list[object]) -> None:
    assert "times in 1 of 2 rows, first in row 2" in refusal(log_of(ts=values))


def test_a_float_time_that_is_no_number_is_refused() -> None:
    assert "first in row 2" in refusal(log_of(ts=[1.0, float("nan")]))


def test_strings_that_are_no_times_are_refused_with_the_first_such_row() -> None:
    log = pl.DataFrame({"session": 1, "item": list("abc"), "ts": ["2026-03-02", "soon", "later"]})
    message = refusal(log)
    assert "in 2 of 3 rows, first in row 2" in message


@pytest.mark.parametrize("values", [[True, False], [time(1), time(2)]])
def test_times_of_another_type_are_refused_with_those_that_can_be_read(
    values: list[object],
) -> None:
    assert "ISO strings" in refusal(log_of(ts=values))


# Ids of other types, frames of other libraries


def test_whole_float_ids_become_integers_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    clicks = read_clicks(log_of(session_id=[7.0, 7.0])).collect()
    assert clicks["session_id"].to_list() == [7, 7]
    assert clicks.schema["session_id"] == pl.Int64
    assert "session_id holds whole numbers as floats" in caplog.text


def test_nan_ids_are_missing_ids() -> None:
    assert "session_id in 1 of 2 rows, first in row 2" in refusal(
        log_of(session_id=[7.0, float("nan")])
    )


@pytest.mark.parametrize("ids", [[1.5, 2.0], [True, False], [["a"], ["b"]]])
def test_fractions_booleans_and_lists_are_no_ids(ids: list[object]) -> None:
    message = refusal(log_of(item_id=ids))
    assert "ids are integers or text" in message
    assert "item_col" in message


def test_categorical_ids_become_text() -> None:
    log = log_of().with_columns(pl.col("item_id").cast(pl.Categorical))
    assert read_clicks(log).collect()["item_id"].to_list() == ["a", "b"]
    assert read_clicks(log).collect_schema()["item_id"] == pl.String


def test_any_table_that_speaks_arrow_is_a_log() -> None:
    class Table:
        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
            return CLICKS.__arrow_c_stream__(requested_schema)

    assert_frame_equal(read_clicks(Table()).collect(), read_clicks(CLICKS).collect())


# What text is a number


def read_csv(folder: Path, *files: str) -> pl.DataFrame:
    for number, rows in enumerate(files):
        (folder / f"{number}.csv").write_text("session_id,item_id,timestamp\n" + rows)
    return read_clicks(folder).collect()


def test_ids_of_a_csv_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    clicks = read_csv(tmp_path, "1,007,10\n1,7,11\n")
    assert clicks["item_id"].to_list() == ["007", "7"]
    assert clicks["session_id"].to_list() == [1, 1]


def test_ids_that_look_like_powers_of_ten_stay_text(tmp_path: Path) -> None:
    assert read_csv(tmp_path, "1,123e4,1\n1,5,2\n")["item_id"].to_list() == ["123e4", "5"]


def test_the_type_of_an_id_is_that_of_the_whole_log(tmp_path: Path) -> None:
    clicks = read_csv(tmp_path, "1,8,1\n", "1,A8,2\n")
    assert clicks["item_id"].to_list() == ["8", "A8"]


def test_an_id_with_a_letter_may_come_after_many_numbers(tmp_path: Path) -> None:
    clicks = read_csv(tmp_path, "".join(f"1,{n},{n}\n" for n in range(20_000)) + "1,A,20000\n")
    assert clicks["item_id"].to_list()[-2:] == ["19999", "A"]


def test_ids_written_as_whole_floats_become_integers(tmp_path: Path) -> None:
    assert read_csv(tmp_path, "1,123.0,1\n1,7.0,2\n")["item_id"].to_list() == [123, 7]


def test_columns_of_a_csv_can_be_compared_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("session,item,price\n1,a,5.5\n1,b,30\n2,c,7\n")
    clicks = read_clicks(tmp_path / "log.csv", where="price < 10 AND session = 1").collect()
    assert clicks["item_id"].to_list() == ["a"]


def test_text_ids_of_a_parquet_file_stay_text() -> None:
    assert read_clicks(log_of(item_id=["1", "2"])).collect_schema()["item_id"] == pl.String


@pytest.mark.parametrize(
    ("dtype", "value"), [(pl.Float32, 2.0**24), (pl.Float64, 2.0**53), (pl.Float64, 1e300)]
)
def test_float_ids_too_large_to_be_exact_are_refused(dtype: pl.DataType, value: float) -> None:
    ids = pl.Series([1.0, value], dtype=dtype)
    assert "not exact" in refusal(log_of(session_id=ids))


# Times that are easily misread


def test_float_times_are_told_apart_by_magnitude_too() -> None:
    seconds, millis = (
        read_clicks(log_of(timestamp=[NOON_SECONDS * unit, None]), drop_invalid=True).collect()
        for unit in (1.0, 1000.0)
    )
    assert seconds["timestamp"].to_list() == millis["timestamp"].to_list() == [NOON]


def test_times_in_text_may_be_numbers() -> None:
    clicks = read_clicks(log_of(timestamp=[str(NOON_SECONDS), str(NOON_SECONDS + 1)])).collect()
    assert clicks["timestamp"].to_list() == [NOON, NOON + timedelta(seconds=1)]


def test_days_written_first_are_no_iso_times() -> None:
    assert "row 1" in refusal(log_of(timestamp=["04/07/2014", "05/07/2014"]))


# Tables of other libraries


@pytest.mark.parametrize("library", ["pyarrow", "pandas"])
def test_a_table_of_another_library_is_read_as_the_frame_it_came_from(library: str) -> None:
    pytest.importorskip(library)
    pytest.importorskip("pyarrow")
    table = CLICKS.to_arrow() if library == "pyarrow" else CLICKS.to_pandas()
    assert_frame_equal(read_clicks(table).collect(), CLICKS, check_dtypes=False)


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float16])
def test_times_that_few_bits_cannot_tell_apart_are_refused(dtype):
    times = pl.Series([1_700_000_000, 1_700_000_001]).cast(dtype)
    table = pl.DataFrame({"session_id": [1, 1], "item_id": [1, 2], "timestamp": times})
    if times.is_finite().all():
        with pytest.raises(DataError, match=r"exact below 16,777,216 only, .* as Float64"):
            read_clicks(table)
    else:
        with pytest.raises(DataError, match="exact below 2,048 only"):
            read_clicks(table)


def test_a_clock_of_few_bits_is_read_where_it_is_exact():
    times = pl.Series([1.0, 2.5], dtype=pl.Float32)
    table = pl.DataFrame({"session_id": [1, 1], "item_id": [1, 2], "timestamp": times})
    assert read_clicks(table).collect()["timestamp"].dt.microsecond().to_list() == [0, 500_000]


@pytest.mark.parametrize("text", ["1700000000", "1700000000.250000", "1700000000250"])
def test_decimal_times_are_read_as_the_number_they_are(text):
    table = pl.DataFrame({"session_id": [1], "item_id": [1], "timestamp": [Decimal(text)]})
    clicks = read_clicks(table).collect()
    assert clicks["timestamp"].dt.epoch("s")[0] == 1_700_000_000
    assert clicks["timestamp"].dt.millisecond()[0] == (
        250 if text.endswith(("250", "250000")) else 0
    )


class TwoColumnsOfOneName:
    """A table that no Polars frame can hold."""

    def __arrow_c_stream__(self, requested_schema=None):
        raise ValueError("duplicate column names\nand more")


def test_a_table_that_cannot_be_taken_is_said_in_one_line():
    with pytest.raises(DataError, match=r"as a table: duplicate column names\Z"):
        read_clicks(TwoColumnsOfOneName())


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_file_without_line_ends_is_refused_by_its_first_megabyte(tmp_path, compress):
    (tmp_path / "log.csv").write_bytes(compress(b"session_id,item_id," + b"a" * (1 << 21)))
    with pytest.raises(DataError, match="first line of more than 1,048,576 bytes"):
        read_clicks(tmp_path / "log.csv")


def test_an_error_that_quotes_a_long_header_is_one_short_line(tmp_path):
    (tmp_path / "log.csv").write_text("session_id," + "a" * 100_000 + "\n1,2\n")
    with pytest.raises(DataError, match=r"click log lacks 'item_id'; .*item_col\.\Z") as error:
        read_clicks(tmp_path / "log.csv")
    assert len(str(error.value)) < 500
