"""Batches of whole sessions of similar length, for encoders that do not go from click to click."""

from collections.abc import Iterator, Sequence

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.sessions.batching.batch import SessionBatch

_BATCHES_TOGETHER = 32


class WholeSessions(Sequence[SessionBatch]):
    """Every click of every session once, no session in two batches, about as many clicks in each.

    Sessions are taken in order, as many at a time as fill some 32 batches. Those are sorted by
    length, so that filling up the shorter ones of a batch costs little, cut into batches, and the
    batches shuffled. So a session moves by no more than the length of such a stretch, and the
    newest sessions stay last.
    """

    def __init__(self, first_clicks: IntArray, lengths: IntArray, *, clicks: int) -> None:
        """Sessions [S] by the place of their first click and their number of clicks, 0 allowed.

        A batch has about `clicks` clicks: a session begins the batch that its first click falls in.
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
        lengths = self._lengths[sessions]
        position = np.arange(lengths[0])[:, None]
        none = np.empty(0, dtype=np.int64)
        return SessionBatch(
            clicks=(self._first_clicks[sessions] + position)[position < lengths],
            lengths=lengths,
            carried=none,
            carried_from=none,
        )

    def __iter__(self) -> Iterator[SessionBatch]:
        return (self[number] for number in range(len(self)))
