"""Code what a table says of items: categories, numbers, and vectors such as text embeddings."""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, get_type_hints

import numpy as np
import polars as pl

from gru4rec.arraytypes import BoolArray, Float32Array, IntArray
from gru4rec.clicks import ClickSource, read_log
from gru4rec.errors import DataError, choose
from gru4rec.schema import ITEM_ID
from gru4rec.sessions.attribute_kinds import KINDS, AttributeKind
from gru4rec.sessions.catalog import Catalog
from gru4rec.untrusted import fits, shown

logger = logging.getLogger(__name__)

_INDEX = "__gru4rec_item_index"


def read_item_table(
    source: ClickSource,
    *,
    item_col: str | None = None,
    session_col: str | None = None,
    time_col: str | None = None,
    **read: Any,
) -> pl.DataFrame:
    """Return a table of items: item_id, and whatever other columns it has.

    Columns of sessions and times, if they are named, are left out: they are no attributes. `read`
    are further keywords of `read_log`. Of several rows of an item the first counts. Raise DataError
    if the table cannot be read, lacks a column that is named, or has no other column.
    """
    try:
        rows = read_log(source, {ITEM_ID: item_col}, other_columns=True, **read).clicks.collect()
    except DataError as error:
        raise DataError(
            f"cannot take the table of items: {error}", mend_with=error.mend_with
        ) from error
    for name in filter(None, (session_col, time_col)):
        choose("column of the table of items", name, rows.schema)
        rows = rows.drop(name)
    table = rows.unique(ITEM_ID, keep="first", maintain_order=True)
    if table.width < 2:
        raise DataError(
            "the table of items has no column besides item_id; give one with attributes",
            mend_with=["item_features"],
        )
    if table.height < rows.height:
        logger.warning(
            "%d rows are of items that had one: the first counts", rows.height - table.height
        )
    return table


def without_vectors(
    table: pl.DataFrame, catalog: Catalog, before: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return what a table says of the items of a catalog in columns of single values.

    Rows of `before` come first, count where an item has two, and say of which type a column is.
    What cannot be cast to it is null.
    """
    plain = [
        name
        for name, dtype in table.schema.items()
        if not (dtype.is_nested() or dtype in (pl.Object, pl.Binary))
    ]
    known = table.select(plain).filter(catalog.has(table[ITEM_ID]))
    known = known.with_columns(pl.col(ITEM_ID).cast(catalog.item_ids.dtype))
    if before is None:
        return known
    try:
        shared = [name for name in known.columns if name in before.columns]
        typed = known.with_columns(
            pl.col(name).cast(before.schema[name], strict=False) for name in shared
        )
        both = pl.concat([before, typed], how="diagonal")
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"the table of items has columns of other types than what is kept: {error}",
            mend_with=["item_features"],
        ) from error
    return both.unique(ITEM_ID, keep="first", maintain_order=True)


# N items, J columns of codes, L numbers
@dataclass(frozen=True)
class CodedItems:
    """The attributes of items; of one of which nothing is known all are 0."""

    codes: IntArray
    """Of each column a value, counted through all columns from 1 [N, J]; 0: not known."""
    numbers: Float32Array
    """Components of vectors [N, L]."""

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def are_known(self) -> BoolArray:
        """Whether something is known of each item [N]."""
        return np.asarray(self.codes.any(1) | self.numbers.any(1))

    def take(self, items: IntArray) -> Self:
        """Return the attributes of some items, in the order in which they are named."""
        return type(self)(self.codes[items], self.numbers[items])


@dataclass(frozen=True)
class Attributes:
    """The columns of a table of items, and how each is read; see `attribute_kinds`."""

    columns: Mapping[str, Mapping[str, AttributeKind]]
    """By the name of the column and that of the kind."""

    @classmethod
    def of(cls, table: pl.DataFrame) -> Self:
        """Decide what is read of a table.

        Raise DataError for a column of a type that is of no kind, and if nothing can be read.
        """
        columns = {name: _kinds_of(table[name]) for name in table.columns if name != ITEM_ID}
        if idle := [name for name, kinds in columns.items() if not kinds]:
            logger.info("no two items share a value of %s: left out", ", ".join(idle))
        if len(idle) == len(columns):
            raise DataError(
                "no attribute of the table of items has a value that two items share; give others",
                mend_with=["item_features"],
            )
        return cls({name: kinds for name, kinds in columns.items() if kinds})

    @property
    def num_codes(self) -> int:
        """Codes of all columns besides 0."""
        return sum(kind.num_codes for kinds in self.columns.values() for kind in kinds.values())

    @property
    def num_numbers(self) -> int:
        """Numbers of each item."""
        return sum(kind.num_numbers for kinds in self.columns.values() for kind in kinds.values())

    def coded(self, table: pl.DataFrame) -> CodedItems:
        """Return the attributes of the items of a table, row by row.

        Values that were not there at `of` are not known, as nulls are, nor is a column that the
        table lacks, which is logged. Raise DataError for a column of another kind.
        """
        codes = [np.zeros((table.height, 0), dtype=np.int64)]
        numbers = [np.zeros((table.height, 0), dtype=np.float32)]
        before = 0
        for name, kinds in self.columns.items():
            if name not in table.columns:
                logger.warning("the table of items lacks the attribute %r: not known", name)
            column = table.get_column(name, default=pl.Series(name, [None] * table.height))
            for kind in kinds.values():
                numbers.append(kind.numbers(column))
                if kind.num_codes:
                    own = kind.codes(column)
                    codes.append(np.where(own > 0, own + before, 0)[:, None])
                    before += kind.num_codes
        return CodedItems(np.concatenate(codes, axis=1), np.concatenate(numbers, axis=1))

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return plain values, as `meta.json` has them."""
        return {
            name: {kind: dict(vars(values)) for kind, values in kinds.items()}
            for name, kinds in self.columns.items()
        }

    @classmethod
    def from_dict(cls, columns: Mapping[str, Mapping[str, Any]]) -> Self:
        """Return the inverse of `to_dict`. Raise ValueError for what is none."""
        return cls(
            {
                name: {kind: _kind_from(kind, values) for kind, values in kinds.items()}
                for name, kinds in columns.items()
            }
        )


def attributes_of(table: pl.DataFrame, catalog: Catalog) -> tuple[Attributes, CodedItems]:
    """Return how a table of items is read, and the attributes of the items of a catalog.

    Only what the table has of these counts. Raise DataError as `Attributes.of`, and if it has none.
    """
    rows = rows_by_item(table, catalog)
    known = len(rows) - rows[ITEM_ID].null_count()
    if not known:
        raise DataError(
            "the table of items has none of the items of the log; check item_id",
            mend_with=["item_features"],
        )
    logger.info("the table of items tells of %d of %d items", known, len(catalog))
    attributes = Attributes.of(rows)
    return attributes, attributes.coded(rows)


def rows_by_item(table: pl.DataFrame, catalog: Catalog) -> pl.DataFrame:
    """Return the rows of a table of items by item index [N]; nulls where it has none."""
    known = catalog.encode(table.lazy(), _INDEX)
    index = pl.LazyFrame({_INDEX: pl.int_range(len(catalog), dtype=pl.UInt32, eager=True)})
    rows = index.join(known, on=_INDEX, how="left", maintain_order="left")
    return rows.drop(_INDEX).collect()


def _kinds_of(column: pl.Series) -> dict[str, AttributeKind]:
    """Return how a column is read. Raise DataError for a type that is of no kind."""
    made = {name: kind.of(column) for name, kind in KINDS.items()}
    kinds = {name: kind for name, kind in made.items() if kind is not None}
    inner = getattr(column.dtype, "inner", pl.Float64())
    if not kinds and (column.dtype in (pl.Struct, pl.Binary, pl.Object) or not inner.is_numeric()):
        raise DataError(
            f"the attribute {column.name!r} is of type {column.dtype}: no category, number, time "
            "or list of numbers; leave the column out",
            mend_with=["item_features"],
        )
    return kinds


def _kind_from(name: str, values: Any) -> AttributeKind:
    """Return a way to read a column. Raise ValueError for what is none."""
    kind: Any = KINDS.get(name)
    types = get_type_hints(kind) if kind else {}
    needed = {spec.name for spec in dataclasses.fields(kind)} if kind else {""}
    if not fits(values, Mapping[str, Any]) or values.keys() != needed:
        raise ValueError(f"an attribute cannot be read as {shown({name: values})}")
    if not all(fits(value, types[key]) for key, value in values.items()):
        raise ValueError(f"an attribute cannot be read by {shown({name: values})}")
    made: AttributeKind = kind(**values)
    return made
