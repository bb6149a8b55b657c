"""Batches of whole sessions of similar length, for encoders that do not go from click to click."""

from collections.abc import Iterator, Sequence

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.sessions.batching.batch import ORDINARY_CLICKS, SessionBatch
from gru4rec.sessions.batching.packed_layout import PackedLayout

_BATCHES_TOGETHER = 32


class WholeSessions(Sequence[SessionBatch]):
    """Every click of every session once, sessions whole, about as many clicks in each batch.

    Sessions are taken in order, in stretches that fill some 32 batches. Those of a stretch are
    sorted by length, so that it costs little to fill up the shorter ones of a batch. Then they are
    cut into batches, and the batches of the stretch shuffled. So a session moves by no more than
    the length of a stretch, and the newest sessions stay last.

    An endless session, a robot's, would make a batch that fits in no memory. So one of more than
    256 clicks, and of more than an encoder sees at once, is cut into pieces. These are as sessions
    of their own, but the clicks before a piece that its encoder sees too are named with it.
    """

    # S sessions, K pieces that go on, V clicks before each
    def __init__(
        self, first_clicks: IntArray, lengths: IntArray, *, clicks: int, max_length: int
    ) -> None:
        """Take sessions [S] by the place of their first click and their number of clicks.

        A session without a click is in no batch. A batch has about `clicks` clicks: a session
        begins the batch that its first click falls in. The encoder sees `max_length` clicks.
        """
        longest = max(ORDINARY_CLICKS, max_length)
        counts = -(-lengths // longest)  # pieces of each session
        session = np.repeat(np.arange(len(lengths)), counts)
        skipped = longest * (np.arange(len(session)) - (np.cumsum(counts) - counts)[session])
        self._first_clicks = first_clicks[session] + skipped
        self._lengths = np.minimum(lengths[session] - skipped, longest)
        self._goes_on, self._num_earlier = skipped > 0, max_length - 1
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
        layout, first_clicks = PackedLayout(self._lengths[sessions]), self._first_clicks[sessions]
        carried = np.flatnonzero(self._goes_on[sessions])
        return SessionBatch(
            layout=layout,
            clicks=layout.places(first_clicks),
            carried=carried,
            carried_from=np.arange(len(carried)),
            earlier=first_clicks[carried, None] - np.arange(1, self._num_earlier + 1),
        )

    def __iter__(self) -> Iterator[SessionBatch]:
        return (self[number] for number in range(len(self)))

    def lanes_of(self, number: int) -> IntArray:
        """Return the lane of each session of a batch [S]: each has one of its own."""
        return np.arange(np.diff(self._pieces[number])[0])

    def lanes_of_all(self) -> tuple[IntArray, IntArray]:
        """Return first click and lane of each session, or piece, of all batches [n]."""
        sizes = np.diff(np.sort(self._pieces[:, 0]), append=len(self._order))
        ends = np.cumsum(sizes)
        lanes = np.arange(len(self._order)) - np.repeat(ends - sizes, sizes)
        return self._first_clicks[self._order], lanes
