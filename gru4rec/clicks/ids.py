"""Say what an id is: an integer or a text, whatever kind of value or column holds it.

Every id passes here, in a log or by hand, of a session or of an item, so that one rule holds at
every door:

- Integers of up to 64 bits and UTF-8 text are ids. Categories and bytes become text; floats and
  decimals that are whole become integers.
- Truth values, fractions, dates, nested values and nothing at all are no ids.
- A text is the integer that it is the usual way to write, in ASCII: "7" is 7, "007" and "+7"
  are not.
"""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from gru4rec.clicks.asking import Ask, ask_frame, facts_of
from gru4rec.errors import DataError
from gru4rec.schema import ARGUMENTS, ITEM_ID, SESSION_ID, USER_ID
from gru4rec.untrusted import shown

logger = logging.getLogger(__name__)

IDS = (SESSION_ID, USER_ID, ITEM_ID)
"""The columns of ids."""

INTEGER = r"^(0|-?[1-9][0-9]{0,19})$"
"""The usual way to write an integer; whether 64 bits hold it is to be seen besides."""

EXACT_BELOW: Mapping[Any, int] = {pl.Float16: 2**11, pl.Float32: 2**24, pl.Float64: 2**53}
"""From here on a float no longer holds every integer."""

_SPANS: Mapping[Any, range] = {pl.Int64: range(-(2**63), 2**63), pl.UInt64: range(2**64)}
_MOST_DIGITS = 40  # of a decimal that is looked at: more than 64 bits have


def plain_id(value: Any, what: str = "item") -> int | str:
    """Return an id as a plain integer or text; `what` it is of says the message.

    Raise DataError for what is no id.
    """
    if type(value) is int:
        return value
    if isinstance(value, str):
        text = str.__str__(value)
        if text.isascii() or _is_text(text):
            return text
    elif isinstance(value, bytes | bytearray):
        text = value.decode(errors="replace")
        if text.encode() == value:
            return text
    elif isinstance(value, int | np.integer) and not isinstance(value, bool):
        return int(value)
    elif isinstance(value, float | np.floating):
        number = float(value)
        if number.is_integer() and abs(number) < EXACT_BELOW[pl.Float64]:
            return int(number)
    elif isinstance(value, Decimal):
        if value.is_finite() and value.adjusted() < _MOST_DIGITS and value % 1 == 0:
            return int(value)
    elif getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # an array of one number
        item = value.item()
        if type(item) is not type(value):
            return plain_id(item, what)
    raise DataError(f"{shown(value)} is no {what} id; ids are integers or text")


def plain_ids(values: Any, what: str = "item", *, ordered: bool = True) -> list[int | str]:
    """Return the ids of a list, an array, a column or any other iterable, as `plain_id` has them.

    A set will do unless they are `ordered`. Raise DataError for what is no id, and for a text, a
    table, an array of two dimensions: these are no lists of ids.
    """
    # Columns and arrays of any library say how many dimensions they have, or are of Polars.
    is_flat = getattr(values, "ndim", 1) == 1 and not isinstance(values, pl.DataFrame)
    kinds = (str, bytes, bytearray, Mapping) + ((Set,) if ordered else ())
    if isinstance(values, kinds) or not isinstance(values, Iterable) or not is_flat:
        raise DataError(f"{what}s are given as a list of ids, got {shown(values)}")
    plain = values.tolist() if hasattr(values, "tolist") else values
    return [plain_id(value, what) for value in plain]


def at_least_one(value: Any, name: str) -> int:
    """Return a count, a whole number of any kind, as an integer. Raise DataError for another."""
    try:
        count = None if isinstance(value, str | bytes) else plain_id(value)
    except DataError:
        count = None
    if not isinstance(count, int):
        raise DataError(f"{name} must be a whole number, got {shown(value)}", mend_with=[name])
    if count < 1:
        raise DataError(f"{name} must be at least 1, got {count}", mend_with=[name])
    return count


def id_as(value: int | str, *, text: bool) -> int | str | None:
    """Return an id as a catalog of texts, or of integers, holds it; None if it cannot."""
    if text:
        return str(value)
    if isinstance(value, int):
        return value
    return int(value) if re.fullmatch(INTEGER, value) else None


def ids_as(column: pl.Expr, given: pl.DataType, dtype: pl.DataType) -> pl.Expr:
    """Return a column of ids of the type `given` as one of type `dtype`, null where it cannot."""
    if given == pl.String and dtype != pl.String:
        column = pl.when(column.str.contains(INTEGER)).then(column)
    return column.cast(dtype, strict=False)


def column_of(ids: Sequence[int | str], name: str) -> pl.Series:
    """Return plain ids as a column: of integers if all are of 64 bits, else of text."""
    if ids and all(isinstance(value, int) for value in ids):
        for dtype, span in _SPANS.items():
            if min(ids) in span and max(ids) in span:
                return pl.Series(name, ids, dtype=dtype)
    return pl.Series(name, [str(value) for value in ids], dtype=pl.String)


def with_plain_ids(clicks: pl.LazyFrame, *, ask: Ask = ask_frame) -> pl.LazyFrame:
    """Make the columns of ids integers of up to 64 bits, or text.

    Raise DataError for a column of another type, and for numbers that are not whole or not exact.
    """
    for name, dtype in clicks.collect_schema().items():
        if name in IDS:
            clicks = clicks.with_columns(_plain_column(clicks, name, dtype, ask))
    return clicks


def _plain_column(clicks: pl.LazyFrame, name: str, dtype: pl.DataType, ask: Ask) -> pl.Expr:
    """Return the column of plain ids that a column of another type holds."""
    column, numbers = pl.col(name), (pl.Int128, pl.UInt128)
    if dtype in (pl.String, pl.Null) or (dtype.is_integer() and dtype not in numbers):
        return column
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    if dtype == pl.Binary:
        return _text_of_bytes(clicks, name, ask)
    if not (dtype.is_float() or dtype.is_decimal() or dtype in numbers):
        raise _no_id(name, f"is of type {dtype}")
    known = column.fill_nan(None) if dtype.is_float() else column
    whole = known.cast(pl.Int128, strict=False)
    wrong = known.is_not_null() & (whole.is_null() | (whole.cast(dtype, strict=False) != known))
    if dtype.is_float():
        wrong |= known.abs() >= EXACT_BELOW[type(dtype)]
    holds = facts_of(
        clicks,
        {
            "wrong": (known.filter(wrong).first(), "first"),
            "low": (whole.min(), "min"),
            "high": (whole.max(), "max"),
        },
        ask,
    )
    value, low, high = holds["wrong"], holds["low"], holds["high"]
    if value is not None:
        raise _no_id(name, f"holds {value} of type {dtype}, which is not whole or not exact")
    fits = [kind for kind, span in _SPANS.items() if low is None or (low in span and high in span)]
    if not fits:
        raise _no_id(name, f"holds integers from {low} to {high}, more than 64 bits can")
    kind = "floats" if dtype.is_float() else "decimals" if dtype.is_decimal() else "128 bits"
    logger.info("%s holds whole numbers as %s: they are read as integers", name, kind)
    return known.cast(fits[0])


def _text_of_bytes(clicks: pl.LazyFrame, name: str, ask: Ask) -> pl.Expr:
    text = pl.col(name).cast(pl.String)
    try:
        facts_of(clicks, {"texts": (text.count(), "sum")}, ask)
    except pl.exceptions.ComputeError as error:
        raise _no_id(name, "holds bytes that are no UTF-8 text") from error
    return text


def _no_id(name: str, what: str) -> DataError:
    argument = ARGUMENTS[name]
    return DataError(
        f"{name} {what}; ids are integers or text. Name the column with {argument}.",
        mend_with=[argument],
    )


def _is_text(text: str) -> bool:
    """Say whether UTF-8 can write a text: it has no half of a pair."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
