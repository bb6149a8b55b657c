"""The table that a baseline has learned: checked if it is of a file, or cut to some items."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import polars as pl

from gru4rec.arraytypes import IntArray
from gru4rec.errors import CheckpointError
from gru4rec.layout import LEARNED
from gru4rec.untrusted import brief

_LARGE = 2.0**63
_ROW = "_row"

Column: TypeAlias = Callable[[pl.Series, int], bool]
"""Whether a column without nulls is as scoring takes it, given the number of items."""


def _within(column: pl.Series, low: float, high: float) -> bool:
    """Whether all numbers are at least `low` and below `high`."""
    least, most = column.to_numpy().min(initial=low), column.to_numpy().max(initial=low)
    return bool(low <= least and most < high)


def counts(column: pl.Series, num_items: int) -> bool:
    """Clicks on each item."""
    return len(column) == num_items and column.dtype.is_integer() and _within(column, 0, _LARGE)


def item(column: pl.Series, num_items: int) -> bool:
    """Item indexes."""
    return column.dtype.is_integer() and _within(column, 0, num_items)


def rising_item(column: pl.Series, num_items: int) -> bool:
    """Item indexes, sorted."""
    return item(column, num_items) and column.is_sorted()


def number(column: pl.Series, num_items: int) -> bool:
    """Finite numbers."""
    finite = column.dtype.is_numeric() and bool(column.is_finite().all())
    return finite and _within(column.cast(pl.Float64), -_LARGE, _LARGE)


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


def of_items(
    learned: pl.DataFrame, columns: Mapping[str, Column], kept: IntArray, num_items: int
) -> pl.DataFrame:
    """Return what a table says of the items `kept` [K] of so many, whose indexes close up.

    `columns` say what it has. Rules from an item or to it leave with it, and so do clicks on it;
    sessions that have no other.
    """
    index = np.full(num_items, -1)
    index[kept] = np.arange(len(kept))
    if counts in columns.values():  # a row of the table is an item
        learned = learned[kept]
    for name, kind in columns.items():
        if kind in (item, rising_item):
            learned = _renumbered(learned, name, index)
        elif kind is items:
            rows = _renumbered(learned.with_row_index(_ROW).explode(name), name, index)
            others = pl.exclude(_ROW, name).first()
            lists = rows.group_by(_ROW, maintain_order=True).agg(others, pl.col(name))
            learned = lists.select(learned.columns)
    return learned


def _renumbered(table: pl.DataFrame, name: str, index: IntArray) -> pl.DataFrame:
    """Return the rows whose item in a column has an index, from 0, and has it there."""
    column = table[name]
    new = pl.Series(name, index[column.to_numpy()])
    return table.with_columns(new).filter(pl.col(name) >= 0).cast({name: column.dtype})
