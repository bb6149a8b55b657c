"""Fill lanes with sessions and cut the result into windows."""

import heapq
from collections.abc import Iterator, Sequence

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.sessions.batching.batch import ORDINARY_CLICKS, SessionBatch
from gru4rec.sessions.batching.lane_grids import LaneGrids, LaneSegments, heights_of
from gru4rec.sessions.batching.packed_layout import PackedLayout

_AT_ONCE = 1 << 14  # windows
_PARTS = 4  # of an epoch's steps: what a session may take of them


class SessionParallelWindows(Sequence[SessionBatch]):
    """The session-parallel mini-batches of the GRU4Rec paper (arXiv 1511.06939), `steps` at a time.

    Each lane runs one session, a click a step. When the session ends, the lane takes the next one
    in order; of lanes that end together the lowest takes first. Window w holds the steps from
    w·steps to (w+1)·steps of all lanes. With one step it is the paper's mini-batch. Every click of
    every session is in one window.

    In the paper every session stays on one lane, so that an endless one, a robot's, runs on alone
    long after all others have ended. Here a session that would take more than a quarter of the
    steps that its log fills, and more than 256, takes further lanes as they come free, until it
    fits into these. A step then covers as many of its clicks, one after the other, as it has lanes;
    its segments are longer, and carried from window to window like any other. So no log takes many
    more steps than clicks / lanes · 1.25 + 256, and logs without such a session are cut as in the
    paper.
    """

    # S sessions
    def __init__(
        self, first_clicks: IntArray, lengths: IntArray, *, lanes: int, steps: int
    ) -> None:
        """Take sessions [S] by the place of their first click and their number of clicks.

        A session without a click is in no window.
        """
        sessions = np.flatnonzero(lengths)
        first_clicks, lengths = first_clicks[sessions], lengths[sessions]
        lane, starts, ends, further = _run(lengths, lanes)

        # From here on segment by segment; those of a session are neighbours.
        session, window, clicks = _cut(starts, ends, steps)
        first_segment = np.flatnonzero(np.diff(session, prepend=-1))
        nth = np.arange(len(session)) - first_segment[session]
        owner, further_starts, further_ends = further.T
        stretch, further_window, further_clicks = _cut(further_starts, further_ends, steps)
        owner = owner[stretch]
        joined = first_segment[owner] + further_window - window[first_segment[owner]]
        np.add.at(clicks, joined, further_clicks)

        order = np.lexsort((-clicks, window))  # stable: by window, then longest first
        self._bounds = np.searchsorted(window[order], np.arange(window.max(initial=-1) + 2))
        place = np.empty_like(order)  # of each segment in its window
        place[order] = np.arange(len(order)) - self._bounds[window[order]]

        self.lanes, self.steps = lanes, steps
        self._lane_of = lane[session][order]
        self._began = np.maximum(starts[session], window * steps)[order]

        done = np.cumsum(clicks) - clicks  # of the session before the segment
        done -= done[first_segment][session]
        self._first_clicks = (first_clicks[session] + done)[order]
        self._lengths = clicks[order]
        self._before = np.where(nth > 0, np.roll(place, 1), -1)[order]

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __getitem__(self, window: int) -> SessionBatch:  # type: ignore[override]
        if not 0 <= window < len(self):
            raise IndexError(window)
        segments = slice(self._bounds[window], self._bounds[window + 1])
        layout, before = PackedLayout(self._lengths[segments]), self._before[segments]
        carried = np.flatnonzero(before >= 0)
        return SessionBatch(
            layout=layout,
            clicks=layout.places(self._first_clicks[segments]),
            carried=carried,
            carried_from=before[carried],
            earlier=np.empty((len(carried), 0), dtype=np.int64),
        )

    def __iter__(self) -> Iterator[SessionBatch]:
        return (self[window] for window in range(len(self)))

    def lanes_of(self, window: int) -> IntArray:
        """Return the lane of each segment of a window; of several on one the last goes on [S]."""
        return self._lane_of[self._bounds[window] : self._bounds[window + 1]]

    def heights(self) -> IntArray:
        """Return how many rows each window has as a grid [W]."""
        heights = np.empty(len(self), dtype=np.int64)
        for first in range(0, len(self), _AT_ONCE):
            some = range(first, min(first + _AT_ONCE, len(self)))
            segments = slice(self._bounds[some.start], self._bounds[some.stop])
            counts = np.diff(self._bounds[some.start : some.stop + 1])
            column = np.repeat(np.arange(len(some)), counts) * self.lanes + self._lane_of[segments]
            size = len(some) * self.lanes
            filled = np.bincount(column, self._lengths[segments], size).astype(np.int64)
            heights[some.start : some.stop] = heights_of(filled.reshape(-1, self.lanes), self.steps)
        return heights

    def lanes_of_all(self) -> tuple[IntArray, IntArray]:
        """Return first click and lane of each segment of all windows [n]."""
        return self._first_clicks, self._lane_of

    def grids(self, windows: range) -> LaneGrids:
        """Return windows that follow each other as grids of lanes."""
        some = slice(self._bounds[windows.start], self._bounds[windows.stop])
        counts = np.diff(self._bounds[windows.start : windows.stop + 1])
        window = np.repeat(np.arange(len(windows)), counts)
        order = np.lexsort((self._began[some], self._lane_of[some], window))
        parts = (self._lane_of, self._first_clicks, self._lengths, self._before)
        lane, first_clicks, lengths, before = (part[some][order] for part in parts)
        segments = LaneSegments(window[order], lane, first_clicks, lengths, begins=before < 0)
        return segments.grids(len(windows), lanes=self.lanes, steps=self.steps)


def _run(lengths: IntArray, lanes: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Let each session in turn take the lane that is free first, and a long one further lanes.

    Return the lane of each session [S], the step at which it starts there [S], the one before which
    it ends [S], and the stretches on further lanes: session, start and end of each [n, 3].
    """
    total = int(lengths.sum())
    longest = max(ORDINARY_CLICKS, total // lanes // _PARTS)
    free = [(0, lane) for lane in range(min(lanes, total))]
    taken, starts = np.empty((2, len(lengths)), dtype=np.int64)
    spans, further = lengths.copy(), []  # steps of each session
    for session, length in enumerate(lengths.tolist()):
        step, lane = free[0]
        taken[session], starts[session] = lane, step
        if length <= longest:
            heapq.heapreplace(free, (step + length, lane))
        else:
            stretches = _spread(free, length, most=min(lanes, -(-length // longest)))
            spans[session] = stretches[0][1] - step
            further += [(session, *stretch) for stretch in stretches[1:]]
    return taken, starts, starts + spans, np.array(further, dtype=np.int64).reshape(-1, 3)


def _spread(free: list[tuple[int, int]], length: int, *, most: int) -> list[tuple[int, int]]:
    """Run a session on the lane that is free first and on others as they come free, `most` in all.

    All lanes end together, or a step apart. `free` is the heap of (step, lane), which is changed.
    Return start and end on each lane; the first of them takes part in every step.
    """
    taken = [heapq.heappop(free)]
    filled = length + taken[0][0]  # steps of these lanes, from 0 on, until all clicks are covered
    while len(taken) < most and free[0][0] * len(taken) < filled:
        taken.append(heapq.heappop(free))
        filled += taken[-1][0]
    end, full = (filled - 1) // len(taken), (filled - 1) % len(taken) + 1
    ends = [end + (number < full) for number in range(len(taken))]
    for (_, lane), last in zip(taken, ends, strict=True):
        heapq.heappush(free, (last, lane))
    return [(start, last) for (start, _), last in zip(taken, ends, strict=True)]


def _cut(starts: IntArray, ends: IntArray, steps: int) -> tuple[IntArray, IntArray, IntArray]:
    """Cut runs of steps where windows end: return run, window and number of steps of each part."""
    first = starts // steps
    counts = (ends - 1) // steps - first + 1
    run = np.repeat(np.arange(len(starts)), counts)
    window = first[run] + np.arange(len(run)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin, end = (
        np.maximum(starts[run], window * steps),
        np.minimum(ends[run], (window + 1) * steps),
    )
    return run, window, end - begin
