"""Write the values of a column as text: a number is the same as integer, as float, as written."""

import re

import polars as pl

from gru4rec.errors import DataError

# How a number is written in one form only: 3 for 3. and 3.00, 2.5 for 2.50.
_PLAIN_NUMBERS = ((r"^(-?\d+)\.0*$", "${1}"), (r"^(-?\d+\.\d*[1-9])0+$", "${1}"))


def plain_text(name: str) -> pl.Expr:
    """Return the values of a column as text."""
    text = pl.col(name).cast(pl.String)
    for pattern, plain in _PLAIN_NUMBERS:
        text = text.str.replace(pattern, plain)
    return text


def plain_text_of(name: str, value: object) -> str | None:
    """Return what `plain_text` makes of one value. Raise DataError for one no column can hold."""
    if value is None:
        return None
    try:
        text = value if isinstance(value, str) else pl.Series([value]).cast(pl.String).item()
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
        raise DataError(
            f"{name} must be a number, a text or a truth value, got {value!r}"
        ) from None
    for pattern, _ in _PLAIN_NUMBERS:
        text = re.sub(pattern, r"\1", text)
    return text
