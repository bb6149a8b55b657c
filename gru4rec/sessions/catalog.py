"""Number the items that a model knows: item_id ↔ item index, and each item's support."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl

from gru4rec.arraytypes import BoolArray, Float32Array, IntArray
from gru4rec.clicks import id_as, ids_as, plain_id
from gru4rec.errors import DataError
from gru4rec.forks import refuse_forked
from gru4rec.schema import ITEM_ID
from gru4rec.untrusted import brief, shown

_SUPPORT = "support"
_INDEX = "_index"


@dataclass(frozen=True)
class Catalog:
    """Items by falling support, equal ones by id: index 0 is the most popular item.

    This order does not depend on the rows of the log. Items met often lie together in memory. And
    the rule "equal scores: the lower index first" prefers the more popular item. An update counts
    more clicks, and adds its new items behind the others, but moves none: then supports no longer
    fall.
    """

    item_ids: pl.Series
    """Item ids by item index, in the type that the log has."""
    support: IntArray
    """Clicks on each item in the training log; 0 of one that was added by its attributes."""

    def __len__(self) -> int:
        return len(self.item_ids)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle has of it. Raise ForkedError as `refuse_forked` does."""
        refuse_forked()
        return {"item_ids": self.item_ids, "support": self.support}

    def __deepcopy__(self, memo: object) -> Self:
        return type(self)(self.item_ids.clone(), self.support.copy())

    @classmethod
    def of(cls, clicks: pl.LazyFrame) -> Self:
        """Make the catalog of every item of a log."""
        items = clicks.group_by(ITEM_ID).agg(pl.len().cast(pl.Int64).alias(_SUPPORT))
        frame = items.sort([_SUPPORT, ITEM_ID], descending=[True, False]).collect()
        return cls(frame[ITEM_ID], frame[_SUPPORT].to_numpy())

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Self:
        """Make a catalog of the frame that `to_frame` returns.

        Raise DataError for another one: it must have items, each once, and clicks on them.
        """
        types = frame.schema
        if not {ITEM_ID, _SUPPORT} <= types.keys():
            raise DataError(f"a catalog has item_id and support, got {shown(frame.columns)}")
        ids, support = frame[ITEM_ID], frame[_SUPPORT]
        if not (ids.dtype.is_integer() or ids.dtype == pl.String) or support.dtype != pl.Int64:
            raise DataError(
                "the ids of a catalog are integers or text and its supports Int64, got "
                f"{brief(ids.dtype)} and {brief(support.dtype)}"
            )
        if not len(frame) or ids.null_count() or ids.n_unique() < len(ids):
            raise DataError("a catalog has at least one item, and each of them once")
        clicks = support.to_numpy()
        if support.null_count() or clicks.min() < 0 or not 0 < clicks.sum(dtype=float) <= 2**62:
            raise DataError("the supports of a catalog are clicks, 0 or more of each item")
        return cls(ids, clicks)

    def grown(self, clicks: pl.LazyFrame, *, fading: float = 1.0, seed: int = 0) -> Self:
        """Return the catalog with the clicks of a log counted too.

        Items of this one keep their indexes; those that are new stand behind, as in a catalog of
        their own. Of older clicks the share `fading` counts, on each item 1 at least: rounded up or
        down by chance, since small shares would never be lost by rounding. Raise DataError for a
        log whose ids are of another type.
        """
        counted = self.of(clicks)
        counted = type(self)(self._as_own(counted.item_ids), counted.support)
        known = np.array([self._index_by_id.get(item, -1) for item in counted._ids])
        support = self.support.copy()
        if fading < 1.0:
            chance = np.random.default_rng(seed).random(len(support))
            support = np.maximum(np.minimum(support, 1), np.floor(support * fading + chance))
            support = support.astype(np.int64)
        support[known[known >= 0]] += counted.support[known >= 0]
        new = np.flatnonzero(known < 0)
        ids = pl.concat([self.item_ids, counted.item_ids.gather(new)])
        return type(self)(ids, np.concatenate((support, counted.support[new])))

    def has(self, item_ids: pl.Series) -> BoolArray:
        """Return whether each of some ids is known [n]; one of another type is cast."""
        coded = self.encode(pl.LazyFrame({ITEM_ID: item_ids}), _INDEX).collect()
        return coded[_INDEX].is_not_null().to_numpy()

    def extended(self, item_ids: pl.Series) -> Self:
        """Return the catalog with new items behind the others, on which nobody clicked yet.

        Raise DataError for ids of another type.
        """
        ids = pl.concat([self.item_ids, self._as_own(item_ids)])
        return type(self)(ids, np.concatenate((self.support, np.zeros(len(item_ids), np.int64))))

    def _as_own(self, item_ids: pl.Series) -> pl.Series:
        """Return ids in the type of the catalog's. Raise DataError for ids of another type."""
        own = self.item_ids.dtype
        if item_ids.dtype.is_integer() and own.is_integer():
            item_ids = item_ids.cast(own)
        if item_ids.dtype != own:
            raise DataError(
                f"item ids are of type {item_ids.dtype}, and those of the catalog of type {own}; "
                "check item_col",
                mend_with=["item_col"],
            )
        return item_ids

    def to_frame(self) -> pl.DataFrame:
        """Return the columns item_id and support, in the order of the item indexes."""
        return pl.DataFrame({ITEM_ID: self.item_ids, _SUPPORT: self.support})

    @cached_property
    def _ids(self) -> list[Any]:
        return self.item_ids.to_list()

    @cached_property
    def _is_of_text(self) -> bool:
        return bool(self.item_ids.dtype == pl.String)

    @cached_property
    def _num_clicks(self) -> int:
        return int(self.support.sum())

    @cached_property
    def by_support(self) -> IntArray:
        """Item indexes by falling support, equal ones by index."""
        return np.argsort(-self.support, kind="stable")

    @cached_property
    def _index_by_id(self) -> dict[object, int]:
        return {item_id: index for index, item_id in enumerate(self._ids)}

    def find(self, item_id: object) -> int | None:
        """Return the item index of an id of any type, None if it is unknown.

        An id of another type than the catalog's is cast to it, as those of a log are.

        Raise DataError for what is no id (see `clicks.ids`).
        """
        return self._index_by_id.get(id_as(plain_id(item_id), text=self._is_of_text))

    def ids_of(self, indexes: Iterable[int]) -> list[Any]:
        """Return the ids of a few items."""
        return [self._ids[index] for index in indexes]

    def popular(
        self, k: int, allowed: BoolArray | None = None, weights: Float32Array | None = None
    ) -> tuple[Float32Array, IntArray]:
        """Return (scores, item indexes) of the k most clicked items, or of all if there are fewer.

        The score of an item is its share of the clicks, times its weight [N] if there are some.
        With `allowed` [N] others are left out.
        """
        order = self.by_support
        if weights is not None:
            order = np.argsort(-(self.support * weights), kind="stable")
        items = (order if allowed is None else order[allowed[order]])[:k]
        shares = self.support[items] / self._num_clicks
        return (shares if weights is None else shares * weights[items]).astype(np.float32), items

    def encode(self, clicks: pl.LazyFrame, name: str) -> pl.LazyFrame:
        """Add the item index of each row as column `name` (UInt32), null if it is unknown.

        Ids of another type than the catalog's are cast to it. One that cannot be is unknown.
        """
        index = pl.int_range(len(self), dtype=pl.UInt32, eager=True)
        given = clicks.collect_schema()[ITEM_ID]
        ids = ids_as(pl.col(ITEM_ID), given, self.item_ids.dtype)
        known = ids.replace_strict(self.item_ids, index, default=None, return_dtype=pl.UInt32)
        return clicks.with_columns(known.alias(name))
