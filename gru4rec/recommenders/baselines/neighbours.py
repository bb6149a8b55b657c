"""Training sessions laid out for finding those that share items with a running session."""

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float64Array, IntArray
from gru4rec.sessions import SessionArrays, ranges

TIME, ITEMS = "time", "items"


@dataclass(frozen=True)
class Shared:
    """Training sessions that share items with a running one of which p(y) is the last position of
    item y, from 1."""

    sessions: IntArray
    """Their numbers [C]; a larger one is more recent."""
    overlap: Float64Array
    """Sum of the weights of the shared items [C]."""
    last: IntArray
    """Largest p(y) of a shared item y [C]."""
    star: IntArray
    """Largest position in the training session of a shared item [C]."""

    def without(self, session: int) -> "Shared":
        """Return all but one session."""
        kept = self.sessions != session
        return Shared(self.sessions[kept], self.overlap[kept], self.last[kept], self.star[kept])


class Neighbours:
    """Sessions in the order of their last click, and for each item those that have it.

    The inverted index of VS-kNN and VMIS-kNN: an item's list is sorted by recency, so that the m
    most recent sessions which share an item with a running one lie in the first m of each list.
    """

    def __init__(self, learned: pl.DataFrame, num_items: int) -> None:
        """Take a row per session: the `time` of its last click and its `items` in order."""
        learned = learned.sort(TIME, maintain_order=True)
        self.times: Float64Array = learned[TIME].to_numpy()
        """Time of the last click of each session [S]."""
        lengths = learned[ITEMS].list.len().to_numpy().astype(np.int64)
        items = learned[ITEMS].explode().to_numpy().astype(np.int64)
        session = np.repeat(np.arange(len(lengths)), lengths)
        position = np.arange(len(items)) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1
        # The last click of a session on each of its items.
        order = np.lexsort((position, items, session))
        keys = session[order] * num_items + items[order]
        order = order[np.flatnonzero(np.diff(keys, append=-1))]

        self.items, self.positions = items[order], position[order]
        """The items of each session, once each, and their last position in it [entries]."""
        self.sizes = np.bincount(session[order], minlength=len(lengths))
        """Different items of each session [S]."""
        self.starts = np.cumsum(self.sizes) - self.sizes
        """Where the entries of each session begin [S]."""

        by_item = np.lexsort((-session[order], self.items))
        self._lists, self._places = session[order][by_item], self.positions[by_item]
        self._offsets = np.searchsorted(self.items[by_item], np.arange(num_items + 1))
        self._make_room()

    def _make_room(self) -> None:
        """Make what searches work in: zeros between them, shared by one after the other."""
        self._lock = Lock()
        self._overlap = np.zeros(len(self))
        self._last = np.zeros(len(self), dtype=np.int64)
        self._star = np.zeros(len(self), dtype=np.int64)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle has of it: not what a search may be working in."""
        room = {"_lock", "_overlap", "_last", "_star"}
        return {name: value for name, value in vars(self).items() if name not in room}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become what the state was taken of."""
        vars(self).update(state)
        self._make_room()

    @staticmethod
    def table(sessions: SessionArrays) -> pl.DataFrame:
        """Return what is kept of a log: items of each session in order, time of its last click."""
        with_clicks = np.flatnonzero(sessions.lengths)
        last = sessions.offsets[1:][with_clicks] - 1
        session = np.repeat(np.arange(len(sessions)), sessions.lengths)
        items = pl.DataFrame({"session": session, ITEMS: sessions.items.astype(np.uint32)})
        items = items.group_by("session", maintain_order=True).agg(ITEMS)
        return items.select(pl.Series(TIME, sessions.times[last]), ITEMS)

    def __len__(self) -> int:
        return len(self.times)

    def sharing(
        self, items: IntArray, positions: IntArray, weights: Float64Array, m: int
    ) -> Shared:
        """Return the `m` most recent sessions that have one of `items` [U].

        Their `positions` in the running session rise [U].
        """
        with self._lock:
            try:
                return self._sharing(items, positions, weights, m)
            finally:  # also after an interrupt: what is left over would be added to the next search
                for item in items.tolist():
                    begin = self._offsets[item]
                    sessions = self._lists[begin : min(begin + m, self._offsets[item + 1])]
                    self._overlap[sessions], self._last[sessions] = 0.0, 0
                    self._star[sessions] = 0

    def _sharing(
        self, items: IntArray, positions: IntArray, weights: Float64Array, m: int
    ) -> Shared:
        overlap, last, star = self._overlap, self._last, self._star
        new_sessions = []
        for item, position, weight in zip(items.tolist(), positions.tolist(), weights, strict=True):
            begin = self._offsets[item]
            listed = slice(begin, min(begin + m, self._offsets[item + 1]))
            sessions = self._lists[listed]
            new_sessions.append(sessions[last[sessions] == 0])
            overlap[sessions] += weight
            last[sessions] = position
            star[sessions] = np.maximum(star[sessions], self._places[listed])
        sharing = np.concatenate(new_sessions)
        if len(sharing) > m:  # the later a session, the larger its number
            sharing = sharing[sharing >= np.partition(sharing, -m)[-m]]
        return Shared(sharing, overlap[sharing], last[sharing], star[sharing])

    def entries(self, sessions: IntArray) -> tuple[IntArray, IntArray]:
        """Return the places in `items` of the entries of sessions, and the row of its session."""
        return ranges(self.starts[sessions], self.sizes[sessions])

    def nearest(self, shared: Shared, similarities: Float64Array, k: int) -> IntArray:
        """Return the rows of the `k` most similar sessions; of equal ones the more recent."""
        if len(similarities) <= k:
            return np.arange(len(similarities))
        least = np.partition(similarities, -k)[-k]
        above = np.flatnonzero(similarities > least)
        equal = np.flatnonzero(similarities == least)
        newest = np.argsort(-shared.sessions[equal])[: k - len(above)]
        return np.concatenate((above, equal[newest]))
