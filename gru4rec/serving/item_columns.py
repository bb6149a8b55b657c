"""What a table of items, and an index, say of the items of a catalog, item by item."""

from functools import partial

import numpy as np
import polars as pl
from polars import selectors as cs

from gru4rec.arraytypes import BoolArray, Float32Array, IntArray
from gru4rec.clicks import ClickSource, predicate_of
from gru4rec.errors import DataError, choose
from gru4rec.schema import ITEM_ID
from gru4rec.serving.answering import Answering
from gru4rec.serving.arrangement import VectorsOf
from gru4rec.serving.index import ItemIndex
from gru4rec.sessions import read_item_table, rows_by_item
from gru4rec.untrusted import brief, shown

_IS_SO = "__gru4rec_is_so"


def vectors_of(recommender: Answering) -> VectorsOf | None:
    """Return what gives the item vectors that `diversity` goes by; None where there are none."""
    index = index_of(recommender)
    return None if index is None else partial(_vectors_of, index)


def kinds_of(recommender: Answering, items_table: ClickSource | None, column: str) -> IntArray:
    """Return the kind of each item by a column of a table of items [N], −1 where it has none.

    Without a table it is what the recommender keeps of one. Raise DataError if there is none or it
    cannot be read, ConfigError if it has no such column.
    """
    return kinds_by(rows_of(items_table, recommender), column)


def rows_of(items_table: ClickSource | None, recommender: Answering) -> pl.DataFrame:
    """Return the rows of a table, or of the kept one, by item index, nulls where it has none."""
    items = _items_of(recommender) if items_table is None else read_item_table(items_table)
    if items is None:
        raise DataError(
            "attributes of items are asked for, and there is no table of these; give items_table",
            mend_with=["items_table"],
        )
    rows = rows_by_item(items, recommender.catalog)
    return rows.with_columns(cs.float().fill_nan(None))  # what is no number is not known


def where_true(table: pl.DataFrame, predicate: str, rule: str) -> BoolArray:
    """Return for which items a predicate is true [N]. Raise DataError if it cannot be read."""
    try:
        found = table.lazy().select(predicate_of(predicate).alias(_IS_SO)).collect()[_IS_SO]
        if found.dtype not in (pl.Boolean, pl.Null):
            raise DataError(f"it is of type {found.dtype}, and no condition")
        if len(found) not in (1, table.height):
            raise DataError("it does not say true or false of each item")
        is_so = found.cast(pl.Boolean).fill_null(False)
    except (pl.exceptions.PolarsError, DataError) as error:
        columns = ", ".join(name for name in table.columns if name != ITEM_ID)
        why = str(error).partition("; valid")[0]  # what follows is Polars' plan
        raise DataError(
            f"cannot apply the rule {shown(predicate)}: {brief(why)}; the table of items has "
            f"{brief(columns)}",
            mend_with=[rule],
        ) from error
    return is_so.new_from_index(0, table.height).to_numpy() if len(is_so) == 1 else is_so.to_numpy()


def kinds_by(table: pl.DataFrame, column: str) -> IntArray:
    """Return the kind of each item by a column [N], −1 where it has none."""
    choose("column of the table of items", column, table.drop(ITEM_ID).schema)
    values = table[column]
    if values.dtype.is_nested():
        raise DataError(f"the column {column!r} has lists, and no kinds of items; name another")
    codes = values.rank("dense").cast(pl.Int64) - 1
    return codes.fill_null(-1).to_numpy()


def index_of(recommender: Answering) -> ItemIndex | None:
    """Return the index of a recommender, or of the first of its parts that has one."""
    own = getattr(recommender, "index", None)
    if isinstance(own, ItemIndex):
        return own
    return next(filter(None, map(index_of, recommender.parts)), None)


def _items_of(recommender: Answering) -> pl.DataFrame | None:
    """Return what a recommender, or the first of its parts that does, keeps of a table of items."""
    own = getattr(recommender, "items", None)
    if isinstance(own, pl.DataFrame):
        return own
    return next(
        (found for part in recommender.parts if (found := _items_of(part)) is not None), None
    )


def _vectors_of(index: ItemIndex, items: IntArray) -> Float32Array:
    """Return the vectors of some items [n, D]."""
    return index.vectors[items].astype(np.float32, copy=False)
