"""Find the types of columns that came as text, and make ids plain and times Datetimes."""

import logging
from collections.abc import Iterable

import polars as pl

from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID, OPTIONS, SESSION_ID, TIMESTAMP

logger = logging.getLogger(__name__)

# Numbers are told apart by their largest value: (upper bound, unit, microseconds per unit).
_UNITS = ((1e11, "s", 1e6), (1e14, "ms", 1e3), (1e17, "µs", 1.0), (float("inf"), "ns", 1e-3))

# Text of this form is an integer and nothing else: 007 and 1e3 are not 7 and 1000.
_INTEGER = r"^-?(0|[1-9]\d{0,18})$"
_WHOLE = r"^-?(0|[1-9]\d{0,18})(\.0*)?$"
_ISO = r"^\d{4}-\d\d-\d\d"

# From here on a float no longer holds every integer.
_EXACT_FLOAT32, _EXACT_FLOAT64 = 2**24, 2**53


def with_types(rows: pl.LazyFrame, columns: Iterable[str], ids: Iterable[str]) -> pl.LazyFrame:
    """Give each text column the type that all of its values have: integer, float, truth value.

    Columns of `ids` become numbers only where every value is written as an integer is, so that no
    two ids become one.
    """
    schema, ids = rows.collect_schema(), set(ids)
    text = [name for name in columns if schema[name] == pl.String]
    if not text:
        return rows
    checks = []
    for name in text:
        known = pl.col(name).drop_nulls()
        integer = known.str.contains(_INTEGER) & known.cast(pl.Int64, strict=False).is_not_null()
        whole = known.str.contains(_WHOLE)
        number = whole if name in ids else known.cast(pl.Float64, strict=False).is_not_null()
        checks += [
            (known.len() == 0).alias(f"none {name}"),
            integer.all().alias(f"integer {name}"),
            number.all().alias(f"number {name}"),
            known.is_in(["true", "false"]).all().alias(f"truth {name}"),
        ]
    found = rows.select(checks).collect().row(0, named=True)
    casts = []
    for name in text:
        if found[f"none {name}"]:
            continue
        if found[f"integer {name}"]:
            casts.append(pl.col(name).cast(pl.Int64))
        elif found[f"number {name}"]:
            casts.append(pl.col(name).cast(pl.Float64))
        elif found[f"truth {name}"]:
            casts.append(pl.col(name) == "true")
    return rows.with_columns(casts)


def with_plain_ids(clicks: pl.LazyFrame) -> pl.LazyFrame:
    """Ids as integers or text: whole floats, as tables with gaps have them, become integers.

    Raises DataError for ids of another type, fractions, and floats too large to be exact.
    """
    for name, dtype in clicks.collect_schema().items():
        if name not in (SESSION_ID, ITEM_ID):
            continue
        if dtype == pl.Boolean or dtype.is_nested():
            raise DataError(_no_id(name, f"is of type {dtype}"))
        if dtype.is_float():
            known = pl.col(name).fill_nan(None)
            exact = _EXACT_FLOAT32 if dtype == pl.Float32 else _EXACT_FLOAT64
            inexact = (known % 1 != 0) | (known.abs() >= exact)
            wrong = clicks.select(known.filter(inexact).first()).collect().item()
            if wrong is not None:
                raise DataError(_no_id(name, f"holds {wrong} as a float, which is not exact"))
            logger.info("%s holds whole numbers as floats: they are read as integers", name)
            clicks = clicks.with_columns(known.cast(pl.Int64))
        elif isinstance(dtype, pl.Categorical | pl.Enum):
            clicks = clicks.with_columns(pl.col(name).cast(pl.String))
    return clicks


def _no_id(name: str, what: str) -> str:
    return f"{name} {what}; ids are integers or text. Name the column with {OPTIONS[name]}."


def with_timestamp(clicks: pl.LazyFrame) -> pl.LazyFrame:
    """Turn a time column of any kind into Datetime("us"); drop it where it is all null."""
    schema = clicks.collect_schema()
    if TIMESTAMP not in schema:
        logger.info("the click log has no time column: clicks are taken in the order of its rows")
        return clicks
    time = pl.col(TIMESTAMP)
    rows, known = clicks.select(pl.len(), time.count()).collect().row(0)
    if rows and not known:
        logger.info("the time column is entirely null: clicks are taken in the order of the rows")
        return clicks.drop(TIMESTAMP)
    if schema[TIMESTAMP] == pl.String:
        clicks = with_types(clicks, [TIMESTAMP], ())
    dtype = clicks.collect_schema()[TIMESTAMP]
    if dtype.is_integer() or dtype.is_float():
        time = _from_numbers(clicks, time, dtype)
    elif dtype == pl.String:
        iso = pl.when(time.str.contains(_ISO)).then(time)
        time = iso.str.to_datetime(time_unit="us", strict=False, time_zone="UTC")
        time = time.dt.replace_time_zone(None)
    elif dtype == pl.Date:
        time = time.cast(pl.Datetime("us"))
    elif isinstance(dtype, pl.Datetime):
        time = time.dt.convert_time_zone("UTC") if dtype.time_zone else time
        time = time.dt.replace_time_zone(None).dt.cast_time_unit("us")
    else:
        raise DataError(
            f"cannot read times of type {dtype}; give integers, seconds, ISO strings or dates"
        )
    return clicks.with_columns(time.alias(TIMESTAMP))


def _from_numbers(clicks: pl.LazyFrame, time: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Datetimes of numbers in s, ms, µs or ns."""
    known = time.fill_nan(None) if dtype.is_float() else time
    low, high = clicks.select(known.min(), known.max().alias("high")).collect().row(0)
    largest = max(abs(low or 0), abs(high or 0))
    _, unit, factor = next(row for row in _UNITS if largest < row[0] or row[0] == float("inf"))
    if dtype.is_integer():
        logger.info("integer times are read as %s", unit)
        micros = known.cast(pl.Int64)
        micros = micros * int(factor) if factor >= 1 else micros // round(1 / factor)
    else:
        logger.info("times with fractions are read as %s", unit)
        micros = (known * factor).round().cast(pl.Int64, strict=False)
    return micros.cast(pl.Datetime("us"))
