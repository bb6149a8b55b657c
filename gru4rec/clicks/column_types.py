"""Find the types of columns that came as text, and make ids plain."""

import logging
from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from gru4rec.clicks.formats import DAMAGE
from gru4rec.errors import DataError
from gru4rec.schema import ARGUMENTS, ITEM_ID, SESSION_ID, USER_ID

logger = logging.getLogger(__name__)

# Text of this form is an integer and nothing else: 007 and 1e3 are not 7 and 1000.
_INTEGER = r"^-?(0|[1-9]\d{0,18})$"
_WHOLE = r"^-?(0|[1-9]\d{0,18})(\.0*)?$"

# From here on a float no longer holds every integer.
_EXACT_FLOAT32, _EXACT_FLOAT64 = 2**24, 2**53


def with_types(rows: pl.LazyFrame, columns: Iterable[str], ids: Iterable[str]) -> pl.LazyFrame:
    """Give each text column the type that all of its values have: integer, float, truth value.

    Columns of `ids` become numbers only where every value is written as an integer is, so that no
    two ids become one. Damaged lines of a file have no say, and null where they do not fit.
    """
    schema, ids = rows.collect_schema(), set(ids)
    text = [name for name in columns if schema[name] == pl.String]
    if not text:
        return rows
    sound = rows.filter(pl.col(DAMAGE).is_null()) if DAMAGE in schema else rows
    checks = [check for name in text for check in _checks(name, is_id=name in ids)]
    holds = sound.select(checks).collect(engine="streaming").row(0, named=True)
    return rows.with_columns(_cast(name, holds) for name in text)


def _checks(name: str, *, is_id: bool) -> Iterator[pl.Expr]:
    """Ask of a text column whether it has no value, or only integers, numbers, truth values."""
    known = pl.col(name).drop_nulls()
    integer = known.str.contains(_INTEGER) & known.cast(pl.Int64, strict=False).is_not_null()
    float_ = known.cast(pl.Float64, strict=False).is_not_null()
    number = known.str.contains(_WHOLE) if is_id else float_
    yield (known.len() == 0).alias(f"none {name}")
    yield integer.all().alias(f"integer {name}")
    yield number.all().alias(f"number {name}")
    yield known.is_in(["true", "false"]).all().alias(f"truth {name}")


def _cast(name: str, holds: Mapping[str, bool]) -> pl.Expr:
    """Cast a text column to the type that the answers to its `_checks` allow."""
    column = pl.col(name)
    if holds[f"none {name}"]:
        return column
    if holds[f"integer {name}"]:
        return column.cast(pl.Int64, strict=False)
    if holds[f"number {name}"]:
        return column.cast(pl.Float64, strict=False)
    return column == "true" if holds[f"truth {name}"] else column


def with_plain_ids(clicks: pl.LazyFrame) -> pl.LazyFrame:
    """Make ids integers or text; whole floats, as tables with gaps have them, become integers.

    Raise DataError for ids of another type, fractions, and floats too large to be exact.
    """
    for name, dtype in clicks.collect_schema().items():
        if name not in (SESSION_ID, ITEM_ID, USER_ID):
            continue
        if dtype == pl.Boolean or dtype.is_nested():
            raise _no_id(name, f"is of type {dtype}")
        if dtype.is_float():
            known = pl.col(name).fill_nan(None)
            exact = _EXACT_FLOAT32 if dtype == pl.Float32 else _EXACT_FLOAT64
            inexact = (known % 1 != 0) | (known.abs() >= exact)
            wrong = clicks.select(known.filter(inexact).first()).collect(engine="streaming").item()
            if wrong is not None:
                raise _no_id(name, f"holds {wrong} as a float, which is not exact")
            logger.info("%s holds whole numbers as floats: they are read as integers", name)
            clicks = clicks.with_columns(known.cast(pl.Int64))
        elif isinstance(dtype, pl.Categorical | pl.Enum):
            clicks = clicks.with_columns(pl.col(name).cast(pl.String))
    return clicks


def _no_id(name: str, what: str) -> DataError:
    argument = ARGUMENTS[name]
    return DataError(
        f"{name} {what}; ids are integers or text. Name the column with {argument}.",
        mend_with=[argument],
    )
