"""Deal the lanes of windows to several processes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from gru4rec.arraytypes import BoolArray, IntArray
from gru4rec.sessions.batching.batch import SessionBatch
from gru4rec.sessions.batching.packed_layout import PackedLayout


class LanedWindows(Protocol):
    """Windows whose segments run on lanes; all segments of a session run on the same one."""

    def __len__(self) -> int: ...

    def __getitem__(self, window: int) -> SessionBatch: ...

    def lanes_of(self, window: int) -> IntArray:
        """Return the lane of each segment of a window [S]."""
        ...

    def lanes_of_all(self) -> tuple[IntArray, IntArray]:
        """Return first click and lane of each segment of all windows [n]."""
        ...


@dataclass(frozen=True, eq=False)
class WindowPart:
    """A window and the part of it that one of several processes has."""

    # M clicks and S segments of the window, R clicks that are read in it; m, s, r of the part
    whole: SessionBatch
    """The window."""
    owners_S: IntArray
    """The process that has each segment."""
    rank: int
    size: int

    @cached_property
    def rows(self) -> IntArray:
        """The rows of the part among those of the window [m]."""
        return np.flatnonzero((self.owners_S == self.rank)[self.whole.layout.segments])

    @cached_property
    def segments(self) -> IntArray:
        """The segments of the part among those of the window [s]."""
        return np.flatnonzero(self.owners_S == self.rank)

    @cached_property
    def owners_R(self) -> IntArray:
        """The process that has each click that is read: the rows, then those before segments."""
        before = np.repeat(self.owners_S[self.whole.carried], self.whole.earlier.shape[1])
        return np.concatenate((self.owners_S[self.whole.layout.segments], before))

    @cached_property
    def read(self) -> IntArray:
        """The clicks that the part reads among those of the window [r]."""
        return np.flatnonzero(self.owners_R == self.rank)

    def counts(self) -> tuple[list[int], list[int]]:
        """Return how many rows each process has, and how many clicks it reads."""
        rows = np.bincount(self.owners_R[: len(self.whole.clicks)], minlength=self.size)
        return rows.tolist(), np.bincount(self.owners_R, minlength=self.size).tolist()


class RankWindows(Sequence[SessionBatch]):
    """What one of several processes has of each window: the segments of every so many-th lane.

    They stay in their order, the longest first. Clicks are named by their places in the whole log.
    A process may have nothing of a window.
    """

    def __init__(self, windows: LanedWindows, *, rank: int, size: int) -> None:
        self.all, self.rank, self.size = windows, rank, size

    def __len__(self) -> int:
        return len(self.all)

    def part(self, window: int) -> WindowPart:
        """Return a window and which of it the process has."""
        whole = self.all[window]
        return WindowPart(whole, self.all.lanes_of(window) % self.size, self.rank, self.size)

    def __getitem__(self, window: int) -> SessionBatch:  # type: ignore[override]
        return self.of(window, self.part(window))

    def __iter__(self) -> Iterator[SessionBatch]:
        return (self[window] for window in range(len(self)))

    def of(self, window: int, part: WindowPart) -> SessionBatch:
        """Return what the process has of a window, given `part` of it."""
        whole, place = part.whole, np.cumsum(part.owners_S == self.rank) - 1
        kept = part.owners_S[whole.carried] == self.rank
        carried_from = whole.carried_from[kept]
        if whole.earlier.shape[1]:
            carried_from = np.arange(len(carried_from))
        elif len(carried_from):
            owners = self.all.lanes_of(window - 1) % self.size
            carried_from = (np.cumsum(owners == self.rank) - 1)[carried_from]
        return SessionBatch(
            layout=PackedLayout(whole.layout.lengths[part.segments]),
            clicks=whole.clicks[part.rows],
            carried=place[whole.carried[kept]],
            carried_from=carried_from,
            earlier=whole.earlier[kept],
        )

    def sessions(self, starts: IntArray) -> BoolArray:
        """Return which sessions the process has clicks of, by where they start in the log [n]."""
        first_clicks, lanes = self.all.lanes_of_all()
        has = np.zeros(len(starts), dtype=bool)
        own = first_clicks[lanes % self.size == self.rank]
        has[np.searchsorted(starts, own, side="right") - 1] = True
        return has
