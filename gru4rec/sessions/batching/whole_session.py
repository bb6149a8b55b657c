"""Batches of whole sessions of similar length, for encoders that do not go from click to click."""

from collections.abc import Iterator, Sequence

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.sessions.batching.batch import SessionBatch
from gru4rec.sessions.batching.packed_layout import PackedLayout

_BATCHES_TOGETHER = 32


class WholeSessions(Sequence[SessionBatch]):
    """Every click of every session once, no session in two batches, about as many clicks in each.

    Sessions are taken in order, in stretches that fill some 32 batches. Those of a stretch are
    sorted by length, so that it costs little to fill up the shorter ones of a batch. Then they are
    cut into batches, and the batches of the stretch shuffled. So a session moves by no more than
    the length of a stretch, and the newest sessions stay last.
    """

    def __init__(self, first_clicks: IntArray, lengths: IntArray, *, clicks: int) -> None:
        """Take sessions [S] by the place of their first click and their number of clicks.

        A session without a click is in no batch. A batch has about `clicks` clicks: a session
        begins the batch that its first click falls in.
        """
        sessions = np.flatnonzero(lengths)
        self._first_clicks, self._lengths = first_clicks[sessions], lengths[sessions]
        ends = np.cumsum(self._lengths)
        stretch = (ends - self._lengths) // (_BATCHES_TOGETHER * clicks)
        # Within a stretch the longest first: the order that batches are packed in.
        self._order = np.lexsort((-self._lengths, stretch))
        stretch, lengths = stretch[self._order], self._lengths[self._order]
        before = np.cumsum(lengths) - lengths
        batch = (before - before[np.searchsorted(stretch, stretch)]) // clicks
        starts = np.flatnonzero(np.diff(stretch, prepend=-1) | np.diff(batch, prepend=-1))
        pieces = np.stack((starts, np.append(starts, len(lengths))[1:]), axis=1)
        shuffled = np.random.default_rng(0).random(len(starts))
        self._pieces = pieces[np.lexsort((shuffled, stretch[starts]))]

    def __len__(self) -> int:
        return len(self._pieces)

    def __getitem__(self, number: int) -> SessionBatch:  # type: ignore[override]
        if not 0 <= number < len(self):
            raise IndexError(number)
        sessions = self._order[slice(*self._pieces[number])]
        layout = PackedLayout(self._lengths[sessions])
        none = np.empty(0, dtype=np.int64)
        return SessionBatch(
            layout=layout,
            clicks=layout.places(self._first_clicks[sessions]),
            carried=none,
            carried_from=none,
        )

    def __iter__(self) -> Iterator[SessionBatch]:
        return (self[number] for number in range(len(self)))
