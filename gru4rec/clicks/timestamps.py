"""Make Datetimes of times of any kind, and say which of them cannot be meant."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl

from gru4rec.clicks.asking import Ask, ask_frame, facts_of
from gru4rec.clicks.column_types import with_types
from gru4rec.clicks.ids import EXACT_BELOW
from gru4rec.errors import DataError
from gru4rec.schema import SESSION_ID, TIMESTAMP

logger = logging.getLogger(__name__)

RAW_TIME = "__gru4rec_time"
"""The column that keeps a time as it was given, for error messages."""

OFFSET = "__gru4rec_offset"
"""The column of milliseconds since the first date of the session, where times are dates."""

EARLIEST, LATEST = datetime(1990, 1, 1), datetime(2100, 1, 1)
"""Times outside are not meant: their unit is wrong, or they stand for a missing value."""

_EPOCH = datetime(1970, 1, 1)

# Numbers are told apart by their size: (upper bound, unit, microseconds per unit).
_UNITS = ((1e11, "s", 1e6), (1e14, "ms", 1e3), (1e17, "µs", 1.0), (float("inf"), "ns", 1e-3))

_YEAR_9999 = 253_402_300_799  # its end, in seconds since 1970
_WHOLE = r"^-?\d+$"
_ISO = r"^\d{4}-\d\d-\d\d"
_LARGEST = 2**62  # microseconds; more than any time, and far from overflow


def with_timestamp(clicks: pl.LazyFrame, *, ask: Ask = ask_frame) -> pl.LazyFrame:
    """Turn a time column of any kind into Datetime("us"), null where a time cannot be read.

    `RAW_TIME` holds the times as they were given. A column of nothing but nulls is dropped.

    Raise DataError for a column of another type.
    """
    schema = clicks.collect_schema()
    if TIMESTAMP not in schema:
        logger.info("the click log has no time column: clicks are taken in the order of its rows")
        return clicks
    if schema[TIMESTAMP] == pl.String:
        clicks = _numbers_of_text(with_types(clicks, [TIMESTAMP], (), ask=ask), ask)
    elif isinstance(schema[TIMESTAMP], pl.Decimal):
        whole = schema[TIMESTAMP].scale == 0  # type: ignore[attr-defined]
        number = pl.col(TIMESTAMP).cast(pl.Int64 if whole else pl.Float64, strict=False)
        clicks = clicks.with_columns(number)
    dtype = clicks.collect_schema()[TIMESTAMP]
    counts = _count_times(clicks, dtype, ask)
    _refuse_inexact(dtype, counts)
    if counts["rows"] and not counts["known"]:
        logger.info("the time column is entirely null: clicks are taken in the order of the rows")
        return clicks.drop(TIMESTAMP)
    time = pl.col(TIMESTAMP)
    given = _in_calendar(time, dtype).cast(pl.String) if dtype.is_temporal() else time
    return clicks.with_columns(
        given.alias(RAW_TIME), _datetimes(time, dtype, counts).alias(TIMESTAMP)
    )


def _numbers_of_text(clicks: pl.LazyFrame, ask: Ask) -> pl.LazyFrame:
    """Turn times that came as text into numbers, where most are; what is none becomes null."""
    time = pl.col(TIMESTAMP)
    if clicks.collect_schema()[TIMESTAMP] != pl.String:
        return clicks
    whole, number = time.str.contains(_WHOLE), time.cast(pl.Float64, strict=False).is_not_null()
    counts = {"whole": whole.sum(), "number": number.sum(), "known": time.count()}
    found = facts_of(clicks, {name: (count, "sum") for name, count in counts.items()}, ask)
    if 2 * found["number"] <= found["known"]:
        return clicks
    dtype = pl.Int64 if found["whole"] == found["number"] else pl.Float64
    return clicks.with_columns(time.cast(dtype, strict=False))


def _count_times(clicks: pl.LazyFrame, dtype: pl.DataType, ask: Ask) -> Mapping[str, int]:
    """Count the `rows`, the `known` times and, of numbers, those as large as times in each unit."""
    time = pl.col(TIMESTAMP)
    counts = {"rows": pl.len(), "known": time.count()}
    counts |= _sizes(time, dtype) if dtype.is_numeric() else {}
    facts = {name: (count, "sum") for name, count in counts.items()}
    if type(dtype) in (pl.Float16, pl.Float32):
        facts["largest"] = time.fill_nan(None).abs().max(), "max"
    return facts_of(clicks, facts, ask)


def _refuse_inexact(dtype: pl.DataType, counts: Mapping[str, Any]) -> None:
    """Raise DataError for floats of few bits that are too large to tell neighbouring seconds apart.

    A time of today is rounded to 128 s by 32 bits, so that clicks would change their order.
    """
    largest, exact_below = counts.get("largest"), EXACT_BELOW.get(type(dtype), 0)
    if largest is not None and largest >= exact_below:
        raise DataError(
            f"times of type {dtype} are exact below {exact_below:,} only, and there is "
            f"{largest:.0f}; write them as integers or as Float64 before they are rounded"
        )


def _sizes(time: pl.Expr, dtype: pl.DataType) -> dict[str, pl.Expr]:
    """Count by unit the numbers that are as large as times in it are."""
    size = (time.fill_nan(None) if dtype.is_float() else time).cast(pl.Float64).abs()
    lower = (0.0, *(bound for bound, _, _ in _UNITS))
    return {
        unit: ((size >= low) & (size < bound)).sum()
        for low, (bound, unit, _) in zip(lower, _UNITS, strict=False)
    }


def _datetimes(time: pl.Expr, dtype: pl.DataType, counts: Mapping[str, int]) -> pl.Expr:
    """Make Datetimes of times of a type; numbers are in the unit that most of them look like."""
    if dtype.is_numeric():
        _, unit, factor = max(_UNITS, key=lambda row: counts[row[1]])
        return _from_numbers(time, dtype, unit, factor)
    if dtype == pl.String:
        iso = pl.when(time.str.contains(_ISO)).then(time.str.strip_suffix(" UTC"))
        time = iso.str.to_datetime(time_unit="us", strict=False, time_zone="UTC")
        return time.dt.replace_time_zone(None)
    if dtype == pl.Date:
        return _in_calendar(time, dtype).cast(pl.Datetime("us"))
    if isinstance(dtype, pl.Datetime):
        time = _in_calendar(time, dtype)
        time = time.dt.convert_time_zone("UTC") if dtype.time_zone else time
        return time.dt.replace_time_zone(None).dt.cast_time_unit("us")
    raise DataError(
        f"cannot read times of type {dtype}; give integers, seconds, ISO strings or dates"
    )


def _from_numbers(time: pl.Expr, dtype: pl.DataType, unit: str, factor: float) -> pl.Expr:
    """Make Datetimes of numbers in a unit of `factor` microseconds."""
    if dtype.is_integer():
        logger.info("integer times are read as %s", unit)
        fits = time.cast(pl.Float64).abs() < _LARGEST / factor
        whole = pl.when(fits).then(time.cast(pl.Int64, strict=False))
        micros = whole * int(factor) if factor >= 1 else whole // round(1 / factor)
    else:
        logger.info("times with fractions are read as %s", unit)
        micros = (time.fill_nan(None) * factor).round().cast(pl.Int64, strict=False)
    return micros.cast(pl.Datetime("us"))


def _in_calendar(time: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Keep dates and times that a calendar can show, to the year 9999; what lies beyond is null."""
    unit = dtype.time_unit if isinstance(dtype, pl.Datetime) else "d"
    per_second = {"d": 1 / 86400, "ms": 1e3, "us": 1e6, "ns": 1e9}.get(unit or "us", 1e6)
    last = min(int(_YEAR_9999 * per_second), 2**63 - 2)
    return pl.when(time.to_physical().cast(pl.Int64).is_between(-last, last)).then(time)


def with_offsets_added(clicks: pl.LazyFrame) -> pl.LazyFrame:
    """Turn dates into times: the first date of the session, and `OFFSET` milliseconds more.

    Raise DataError if there are no sessions or no dates.
    """
    if not {SESSION_ID, TIMESTAMP} <= set(clicks.collect_schema()):
        raise DataError(
            "time_offset_col needs a column of dates and one of sessions beside it",
            mend_with=["time_offset_col"],
        )
    first = pl.col(TIMESTAMP).min().over(SESSION_ID)
    time = (first + pl.duration(milliseconds=pl.col(OFFSET))).alias(TIMESTAMP)
    return clicks.with_columns(time).drop(OFFSET)


def earliest_meant(clicks: pl.LazyFrame, ask: Ask) -> datetime:
    """Return the earliest time that can be meant: 1990, or 1970 if every time is before 1990.

    Then the times are the ticks of a clock that starts at 0.
    """
    late, known = (pl.col(TIMESTAMP) >= EARLIEST).any(), pl.col(TIMESTAMP).count()
    found = facts_of(clicks, {"late": (late, "any"), "known": (known, "sum")}, ask)
    if found["late"] or not found["known"]:
        return EARLIEST
    logger.warning(
        "every time lies before %d: taken as a clock that starts at 0; if these are dates, their "
        "unit is wrong",
        EARLIEST.year,
    )
    return _EPOCH
