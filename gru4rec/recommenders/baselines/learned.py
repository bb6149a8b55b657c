"""Check the table that a baseline has learned, when it comes from a file."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import polars as pl

from gru4rec.errors import CheckpointError
from gru4rec.layout import LEARNED
from gru4rec.untrusted import brief

_LARGE = 2.0**63

Column: TypeAlias = Callable[[pl.Series, int], bool]
"""Whether a column without nulls is as scoring takes it, given the number of items."""


def counts(column: pl.Series, num_items: int) -> bool:
    """Clicks on each item."""
    return len(column) == num_items and column.dtype.is_integer() and bool((column >= 0).all())


def item(column: pl.Series, num_items: int) -> bool:
    """Item indexes."""
    return column.dtype.is_integer() and bool(((column >= 0) & (column < num_items)).all())


def rising_item(column: pl.Series, num_items: int) -> bool:
    """Item indexes, sorted."""
    return item(column, num_items) and column.is_sorted()


def number(column: pl.Series, num_items: int) -> bool:
    """Finite numbers."""
    return column.dtype.is_numeric() and bool((column.cast(pl.Float64).abs() < _LARGE).all())


def items(column: pl.Series, num_items: int) -> bool:
    """Item indexes of sessions, at least one of each, of one session or more."""
    if not isinstance(column.dtype, pl.List) or not len(column) or column.list.len().min() == 0:
        return False
    each = column.list.explode()
    return each.null_count() == 0 and item(each, num_items)


def check_learned(learned: pl.DataFrame, columns: Mapping[str, Column], num_items: int) -> None:
    """Raise CheckpointError unless a table has the columns that a baseline learns."""
    for name, fits in columns.items():
        column = learned.get_column(name, default=None)
        if column is None or column.null_count() or not fits(column, num_items):
            kind = "not there" if column is None else f"{len(column)} of {brief(column.dtype)}"
            wanted = str(fits.__doc__).lower().rstrip(".")
            raise CheckpointError(f"{name} in {LEARNED} is {kind}, and not {wanted}; fit again")
