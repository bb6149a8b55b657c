"""Sessions as flat arrays: the one crossing from Polars to NumPy and torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from gru4rec.catalog import Catalog
from gru4rec.column_types import with_plain_ids
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SessionArrays:
    """Sessions in one array of item indexes: session s is `items[offsets[s]:offsets[s + 1]]`."""

    session_ids: pl.Series
    """Session ids [S], in the type that the log has."""
    items: IntArray
    """Item index of every click on a known item, session after session, each in time order."""
    offsets: IntArray
    """Where each session starts, and at the end the number of clicks [S + 1]."""
    num_unknown: int = 0
    """Clicks of the log on items outside the catalog, which are left out."""
    num_unknown_targets: int = 0
    """Those of them that are not the first click of their session."""

    def __len__(self) -> int:
        return len(self.session_ids)

    @property
    def lengths(self) -> IntArray:
        """Clicks of each session [S]."""
        return np.diff(self.offsets)

    def with_targets(self) -> "SessionArrays":
        """The sessions of two clicks or more: the ones with something to predict."""
        keep = self.lengths >= 2
        return SessionArrays(
            self.session_ids.filter(pl.Series(keep)),
            self.items[np.repeat(keep, self.lengths)],
            _offsets(self.lengths[keep]),
            self.num_unknown,
            self.num_unknown_targets,
        )


def to_arrays(clicks: pl.LazyFrame, catalog: Catalog, *, by_start: bool = True) -> SessionArrays:
    """The sessions of a log, each in time order, equal times in the order of the rows.

    Sessions stand in the time order of their first click, or with `by_start=False` in the order in
    which the log first names them. One whose items are all unknown is there, and empty.
    """
    timed = TIMESTAMP in clicks.collect_schema()
    encoded = catalog.encode(clicks.with_row_index("_row"), "_index")
    if timed:
        encoded = encoded.sort(TIMESTAMP, maintain_order=True)
    index, row = pl.col("_index"), pl.col("_row")
    unknown = index.is_null() & pl.col(ITEM_ID).is_not_null()
    sessions = encoded.group_by(SESSION_ID, maintain_order=True).agg(
        index.drop_nulls().alias("items"),
        unknown.sum().alias("unknown"),
        unknown.slice(1).sum().alias("unknown_targets"),
        row.min(),
    )
    if timed and not by_start:
        sessions = sessions.sort("_row")
    table = sessions.collect()
    known = table["items"]
    return SessionArrays(
        table[SESSION_ID],
        known.explode(empty_as_null=False).to_numpy().astype(np.int64),
        _offsets(known.list.len().to_numpy()),
        int(table["unknown"].sum()),
        int(table["unknown_targets"].sum()),
    )


def from_lists(sessions: Sequence[Sequence[object]], catalog: Catalog) -> SessionArrays:
    """Lists of item ids as sessions 0, 1, …; an empty list is an empty session.

    Raises DataError for items that are no ids: fractions, truth values, lists.
    """
    lists = pl.Series(ITEM_ID, [list(session) for session in sessions], strict=False)
    if not isinstance(lists.dtype, pl.List):
        lists = lists.cast(pl.List(catalog.item_ids.dtype))
    clicks = pl.LazyFrame({SESSION_ID: range(len(lists)), ITEM_ID: lists})
    clicks = with_plain_ids(clicks.explode(ITEM_ID, empty_as_null=True))
    return to_arrays(clicks, catalog, by_start=False)


def _offsets(lengths: npt.ArrayLike) -> IntArray:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
