"""Read vectors that the items of a catalog are to start from."""

import logging
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl

from gru4rec.arraytypes import BoolArray, Float32Array, IntArray
from gru4rec.clicks import ClickSource, read_log
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID
from gru4rec.sessions.attributes import rows_by_item
from gru4rec.sessions.catalog import Catalog

logger = logging.getLogger(__name__)

_MEND = ["initial_vectors"]
_VECTOR = "vector"


# N items, W components of a vector
@dataclass(frozen=True)
class InitialVectors:
    """A vector for some items of a catalog."""

    vectors: Float32Array
    """By item index [N, W]; zeros where there is none."""

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def are_given(self) -> BoolArray:
        """Whether each item has one [N]."""
        return np.asarray(self.vectors.any(axis=1))

    def take(self, items: IntArray) -> Self:
        """Return those of some items, in the order in which they are named."""
        return type(self)(self.vectors[items])

    @classmethod
    def of(cls, table: pl.DataFrame, catalog: Catalog) -> Self:
        """Take the vectors of a table that `read_vectors` returned, and log how many there are.

        Raise DataError if it has none of an item of the catalog.
        """
        rows = rows_by_item(table, catalog)
        missing = rows[_VECTOR].is_null().to_numpy()
        vectors = np.zeros((len(catalog), table.schema[_VECTOR].shape[0]), dtype=np.float32)  # type: ignore[attr-defined]
        vectors[~missing] = rows[_VECTOR].drop_nulls().to_numpy()
        initial = cls(vectors)
        known, given = int((~missing).sum()), int(initial.are_given.sum())
        zero = f", and {known - given} are zeros" if known > given else ""
        if not given:
            raise DataError(
                "the table of initial vectors has none of an item of the log; check item_id",
                mend_with=_MEND,
            )
        logger.info(
            "%d of %d items start from a vector; %d of the table are not in the log%s",
            given, len(catalog), table.height - known, zero,
        )  # fmt: skip
        return initial


def read_vectors(source: ClickSource, *, item_col: str | None = None, **read: Any) -> pl.DataFrame:
    """Return a table of item_id and vector, an array of float32, each item once.

    The source has item_id, and either one column of lists or arrays of numbers, all of one length,
    or columns of numbers, which are the components in their order. Columns of anything else are
    passed over, and so are columns of numbers beside one of lists. Items without a vector are left
    out; of several rows of an item the first counts. `read` are further keywords of `read_log`.
    Raise DataError if the table cannot be read or has other columns, and for vectors with a
    component that is missing or no finite number.
    """
    try:
        rows = read_log(source, {ITEM_ID: item_col}, other_columns=True, **read).clicks.collect()
    except DataError as error:
        raise DataError(
            f"cannot take the table of initial vectors: {error}", mend_with=error.mend_with
        ) from error
    table = rows.unique(ITEM_ID, keep="first", maintain_order=True)
    if table.height < rows.height:
        logger.warning(
            "%d initial vectors are of items that had one: the first counts",
            rows.height - table.height,
        )
    column = _vector_column(table)
    vectors = pl.DataFrame({ITEM_ID: table[ITEM_ID], _VECTOR: column}).drop_nulls(_VECTOR)
    if vectors.is_empty():
        raise DataError("the table of initial vectors has no vector", mend_with=_MEND)
    return vectors.with_columns(_checked(vectors[_VECTOR], vectors[ITEM_ID]).alias(_VECTOR))


def _vector_column(table: pl.DataFrame) -> pl.Series:
    """Return the column of vectors, or one made of the columns of numbers."""
    lists = [name for name, dtype in table.schema.items() if _is_vector(dtype)]
    if len(lists) > 1:
        raise DataError(
            f"the table of initial vectors has several columns of vectors, {', '.join(lists)}; "
            "keep one of them",
            mend_with=_MEND,
        )
    if lists:
        return table[lists[0]]
    numbers = [
        name for name, dtype in table.schema.items() if dtype.is_numeric() and name != ITEM_ID
    ]
    if not numbers:
        raise DataError(
            "the table of initial vectors has no column of lists of numbers besides item_id, and "
            f"none of numbers; it has {table.columns}",
            mend_with=_MEND,
        )
    return table.select(pl.concat_list(pl.col(numbers).cast(pl.Float64))).to_series()


def _is_vector(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.List | pl.Array) and dtype.inner.is_numeric()


def _checked(column: pl.Series, item_ids: pl.Series) -> pl.Series:
    """Return vectors as arrays of float32. Raise DataError if they are none of one length."""
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    lengths = column.list.len()
    width = int(lengths[0])
    if (lengths != width).any() or not width:
        other = item_ids.filter(lengths != width if width else lengths == 0)[0]
        raise DataError(
            f"the initial vectors are not all of one length, from 1 on: item {other!r} has "
            f"{column.filter(item_ids == other).list.len()[0]}, the first one has {width}",
            mend_with=_MEND,
        )
    arrays = column.cast(pl.List(pl.Float32), strict=False).list.to_array(width)
    numbers = arrays.explode(empty_as_null=False, keep_nulls=True)
    finite = (numbers.is_not_null() & numbers.is_finite()).fill_null(value=False).to_numpy()
    wrong = ~finite.reshape(-1, width).all(axis=1)
    if wrong.any():
        item = item_ids.filter(pl.Series(wrong))[0]
        raise DataError(
            f"the initial vector of item {item!r} has a component that is missing or no finite "
            "number; leave the item out",
            mend_with=_MEND,
        )
    return arrays
