"""Windows as grids of one shape: rows of lanes, for a device that repeats the same work on each."""

from dataclasses import dataclass

import numpy as np

from gru4rec.arraytypes import BoolArray, IntArray
from gru4rec.sessions.batching.batch import ORDINARY_CLICKS

NO_CLICK = -1


@dataclass(frozen=True, eq=False)
class LaneGrids:
    """Windows that follow each other: T rows of B lanes each, one window after the other.

    Row by row a lane has the clicks of its sessions, from row 0 on. What it has none for stays
    empty: the ends of lanes that ran out of sessions. T is the steps of a window. Where lanes lend
    their steps to an endless session, its clicks are one above another in one lane; then T is so
    many times larger, a power of two, and the other lanes are filled up.
    """

    # W windows, B lanes, P places of all windows: T·B of each
    clicks: IntArray
    """Place of each click in the log, or NO_CLICK [P]."""
    begins: BoolArray
    """Whether a session begins there; others go on from the row above or the window before [P]."""
    ends: IntArray
    """Where in its window each lane has its last click; without clicks any place [W, B]."""
    heights: IntArray
    """Rows of each window [W]."""
    num_clicks: IntArray
    """Clicks of each window [W]."""
    num_stretches: IntArray
    """Segments of each window, those of endless sessions counted in stretches [W]."""

    @property
    def starts(self) -> IntArray:
        """Where in `clicks` each window begins [W]."""
        places = self.heights * self.ends.shape[1]
        return np.asarray(np.cumsum(places) - places)


@dataclass(frozen=True, eq=False)
class LaneSegments:
    """The segments of windows, sorted by window, lane and step."""

    # S segments
    window: IntArray
    """Window of each segment, from 0 [S]."""
    lane: IntArray
    """Lane it runs on [S]."""
    first_clicks: IntArray
    """Place of its first click in the log [S]."""
    lengths: IntArray
    """Its clicks, 1 or more [S]."""
    begins: BoolArray
    """Whether its session begins with it [S]."""

    def grids(self, num_windows: int, *, lanes: int, steps: int) -> LaneGrids:
        """Return the windows as grids."""
        column = self.window * lanes + self.lane
        through = np.cumsum(self.lengths)
        before = through - self.lengths
        row = before - before[np.searchsorted(column, column)]  # of its first click in its lane
        filled = np.zeros((num_windows, lanes), dtype=np.int64)
        filled.ravel()[column] = row + self.lengths  # of a lane in order: the last stays

        heights = heights_of(filled, steps)
        ends_of_windows = np.cumsum(heights * lanes)
        starts = ends_of_windows - heights * lanes
        size = int(ends_of_windows[-1]) if num_windows else 0
        clicks, begins = np.full(size, NO_CLICK), np.zeros(size, dtype=bool)
        place = starts[self.window] + row * lanes + self.lane
        begins[place] = self.begins
        position = np.arange(through[-1] if len(through) else 0) - np.repeat(before, self.lengths)
        places = np.repeat(place, self.lengths) + position * lanes
        clicks[places] = np.repeat(self.first_clicks, self.lengths) + position
        stretches = -(-self.lengths // ORDINARY_CLICKS)
        return LaneGrids(
            clicks=clicks,
            begins=begins,
            ends=np.maximum(filled - 1, 0) * lanes + np.arange(lanes),
            heights=heights,
            num_clicks=filled.sum(axis=1),
            num_stretches=np.bincount(self.window, stretches, num_windows).astype(np.int64),
        )


def heights_of(filled: IntArray, steps: int) -> IntArray:
    """Return the rows of windows [W] whose lanes have so many clicks [W, B]."""
    folds = -(-filled.max(axis=1, initial=1) // steps)
    return np.asarray(steps * 2 ** np.ceil(np.log2(folds)).astype(np.int64))
