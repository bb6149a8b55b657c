"""Fill lanes with sessions and cut the result into windows."""

import heapq
from collections.abc import Iterator, Sequence

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.sessions.batching.batch import SessionBatch
from gru4rec.sessions.batching.packed_layout import PackedLayout


class SessionParallelWindows(Sequence[SessionBatch]):
    """The session-parallel mini-batches of the GRU4Rec paper (arXiv 1511.06939), `steps` at a time.

    Each lane runs one session, a click a step. When the session ends, the lane takes the next one
    in order; of lanes that end together the lowest takes first. Window w holds the steps from
    w·steps to (w+1)·steps of all lanes. With one step it is the paper's mini-batch. Every click of
    every session is in one window.
    """

    def __init__(
        self, first_clicks: IntArray, lengths: IntArray, *, lanes: int, steps: int
    ) -> None:
        """Take sessions [S] by the place of their first click and their number of clicks.

        A session without a click is in no window.
        """
        sessions = np.flatnonzero(lengths)
        first_clicks, lengths = first_clicks[sessions], lengths[sessions]
        starts = _start_steps(lengths, lanes)
        first_window, last_window = starts // steps, (starts + lengths - 1) // steps

        counts = last_window - first_window + 1  # segments of each session
        # From here on segment by segment; those of a session are neighbours.
        session = np.repeat(np.arange(len(sessions)), counts)
        nth = np.arange(len(session)) - np.repeat(np.cumsum(counts) - counts, counts)
        window = first_window[session] + nth
        begin = np.maximum(starts[session], window * steps)
        end = np.minimum((starts + lengths)[session], (window + 1) * steps)

        order = np.lexsort((begin - end, window))  # stable: by window, then longest first
        self._bounds = np.searchsorted(window[order], np.arange(window.max(initial=-1) + 2))
        place = np.empty_like(order)  # of each segment in its window
        place[order] = np.arange(len(order)) - self._bounds[window[order]]
        before = np.where(nth > 0, np.roll(place, 1), -1)

        self._first_clicks = (first_clicks[session] + begin - starts[session])[order]
        self._lengths = (end - begin)[order]
        self._before = before[order]

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
        )

    def __iter__(self) -> Iterator[SessionBatch]:
        return (self[window] for window in range(len(self)))


def _start_steps(lengths: IntArray, lanes: int) -> IntArray:
    """Return the step at which each session starts, if each takes the lane that is free first."""
    free = [(0, lane) for lane in range(min(lanes, len(lengths)))]
    starts = np.empty(len(lengths), dtype=np.int64)
    for session, length in enumerate(lengths.tolist()):
        step, lane = free[0]
        starts[session] = step
        heapq.heapreplace(free, (step + length, lane))
    return starts
