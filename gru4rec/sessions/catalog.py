"""Number the items that a model knows: item_id ↔ item index, and each item's support."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl

from gru4rec.arraytypes import BoolArray, Float32Array, IntArray
from gru4rec.clicks import id_as, ids_as, plain_id, refuse_forked
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID, TIMESTAMP
from gru4rec.untrusted import brief, shown

_SUPPORT, _LAST_CLICK, _INDEX = "support", "last_click", "_index"
_YEARS = (-62_135_596_800_000_000, 253_402_300_800_000_000)  # 1 to 9999, as a calendar has them


@dataclass(frozen=True)
class Catalog:
    """Items by falling support, equal ones by id: index 0 is the most popular item.

    This order does not depend on the rows of the log. Items met often lie together in memory. And
    the rule "equal scores: the lower index first" prefers the more popular item. An update counts
    more clicks, and adds its new items behind the others: then supports no longer fall. It moves no
    index, unless items are dropped: then the others close up.
    """

    item_ids: pl.Series
    """Item ids by item index, in the type that the log has."""
    support: IntArray
    """Clicks on each item in the training log; 0 of one that was added by its attributes."""
    last_click: IntArray | None = None
    """Microseconds from 1970 to the last click on each item; None if a log had no times."""

    def __len__(self) -> int:
        return len(self.item_ids)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle has of it. Raise ForkedError as `refuse_forked` does."""
        refuse_forked()
        return {spec.name: getattr(self, spec.name) for spec in fields(self)}

    def __deepcopy__(self, memo: object) -> Self:
        last = None if self.last_click is None else self.last_click.copy()
        return type(self)(self.item_ids.clone(), self.support.copy(), last)

    @classmethod
    def of(cls, clicks: pl.LazyFrame) -> Self:
        """Make the catalog of every item of a log."""
        counted = [pl.len().cast(pl.Int64).alias(_SUPPORT)]
        if TIMESTAMP in clicks.collect_schema():
            counted.append(pl.col(TIMESTAMP).max().alias(_LAST_CLICK))
        items = clicks.group_by(ITEM_ID).agg(counted)
        frame = items.sort([_SUPPORT, ITEM_ID], descending=[True, False]).collect()
        return cls(frame[ITEM_ID], frame[_SUPPORT].to_numpy(), _last_click_of(frame))

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Self:
        """Make a catalog of the frame that `to_frame` returns.

        Raise DataError for another one: it must have items, each once, and clicks on them. The
        times of last clicks may be missing, as they are in older checkpoints.
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
        if types.get(_LAST_CLICK, pl.Datetime("us")) != pl.Datetime("us"):
            raise DataError(f"last clicks are times in UTC, got {brief(types[_LAST_CLICK])}")
        last = _last_click_of(frame)
        if last is not None and (
            frame[_LAST_CLICK].null_count() or last.min() < _YEARS[0] or last.max() >= _YEARS[1]
        ):
            raise DataError("each item of a catalog has a last click, of a year up to 9999")
        return cls(ids, clicks, last)

    def grown(self, clicks: pl.LazyFrame, *, fading: float = 1.0, seed: int = 0) -> Self:
        """Return the catalog with the clicks of a log counted too.

        Items of this one keep their indexes; those that are new stand behind, as in a catalog of
        their own. Of older clicks the share `fading` counts, on each item 1 at least: rounded up or
        down by chance, since small shares would never be lost by rounding. Raise DataError for a
        log whose ids are of another type.
        """
        counted = self.of(clicks)
        counted = replace(counted, item_ids=self._as_own(counted.item_ids))
        known = np.array([self._index_by_id.get(item, -1) for item in counted._ids])
        support = self.support.copy()
        if fading < 1.0:
            chance = np.random.default_rng(seed).random(len(support))
            support = np.maximum(np.minimum(support, 1), np.floor(support * fading + chance))
            support = support.astype(np.int64)
        again = known >= 0
        support[known[again]] += counted.support[again]
        new = np.flatnonzero(known < 0)
        ids = pl.concat([self.item_ids, counted.item_ids.gather(new)])
        last = None
        if self.last_click is not None and counted.last_click is not None:
            last = np.concatenate((self.last_click, counted.last_click[new]))
            last[known[again]] = np.maximum(last[known[again]], counted.last_click[again])
        return type(self)(ids, np.concatenate((support, counted.support[new])), last)

    def take(self, items: IntArray) -> Self:
        """Return the catalog of the items of these indexes alone, in the order given."""
        last = None if self.last_click is None else self.last_click[items]
        return type(self)(self.item_ids.gather(items), self.support[items], last)

    def clicked_within(self, seconds: float) -> IntArray:
        """Return the indexes of items that were clicked so shortly before the newest click, rising.

        Raise ValueError if last clicks are not known.
        """
        if self.last_click is None:
            raise ValueError("the catalog does not know the last clicks on its items")
        ago = self.last_click.max() - self.last_click
        return np.flatnonzero(ago <= 1e6 * seconds)

    def has(self, item_ids: pl.Series) -> BoolArray:
        """Return whether each of some ids is known [n]; one of another type is cast."""
        coded = self.encode(pl.LazyFrame({ITEM_ID: item_ids}), _INDEX).collect()
        return coded[_INDEX].is_not_null().to_numpy()

    def extended(self, item_ids: pl.Series) -> Self:
        """Return the catalog with new items behind the others, on which nobody clicked yet.

        They count as last clicked when the newest click was made. Raise DataError for ids of
        another type.
        """
        ids = pl.concat([self.item_ids, self._as_own(item_ids)])
        support, last = np.pad(self.support, (0, len(item_ids))), self.last_click
        if last is not None:
            last = np.pad(last, (0, len(item_ids)), constant_values=last.max())
        return type(self)(ids, support, last)

    def _as_own(self, item_ids: pl.Series) -> pl.Series:
        """Return ids in the type of the catalog's. Raise DataError for ids of another type."""
        own = self.item_ids.dtype
        if item_ids.dtype.is_integer() and own.is_integer():
            cast = item_ids.cast(own, strict=False)
            item_ids = item_ids if cast.null_count() else cast
        if item_ids.dtype != own:
            raise DataError(
                f"item ids are of type {item_ids.dtype}, and those of the catalog of type {own}; "
                "check item_col",
                mend_with=["item_col"],
            )
        return item_ids

    def to_frame(self) -> pl.DataFrame:
        """Return item_id, support and, where it is known, last_click, by the item indexes."""
        columns = {ITEM_ID: self.item_ids, _SUPPORT: pl.Series(self.support)}
        if self.last_click is not None:
            columns[_LAST_CLICK] = pl.Series(self.last_click).cast(pl.Datetime("us"))
        return pl.DataFrame(columns)

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


def _last_click_of(frame: pl.DataFrame) -> IntArray | None:
    """Return the column of last clicks in microseconds; None if there is none."""
    if _LAST_CLICK not in frame.columns:
        return None
    micros: IntArray = frame[_LAST_CLICK].cast(pl.Datetime("us")).cast(pl.Int64).to_numpy()
    return micros
