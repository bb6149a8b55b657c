"""Recommend the most frequent followers of the last item."""

from collections.abc import Iterator
from typing import Self

import numpy as np
import torch
from torch import Tensor

from gru4rec.arrays import IntArray, SessionArrays, to_arrays
from gru4rec.catalog import Catalog
from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.recommender import Recommender, chunks


class Markov(Recommender):
    """Scores an item by how often it was clicked right after the session's last item.

    Items with equal counts, those that never followed among them, are told apart by their share of
    all clicks.
    """

    def fit(self, clicks: ClickSource, *, valid: ClickSource | None = None) -> Self:
        """Count who follows whom; `valid` is not needed."""
        log = read_clicks(clicks)
        self.catalog = Catalog.of(log)
        sessions = to_arrays(log, self.catalog)
        follows = np.ones(len(sessions.items), dtype=bool)
        follows[sessions.offsets[:-1]] = False
        after = np.flatnonzero(follows)
        size = len(self.catalog)
        pairs, counts = np.unique(
            sessions.items[after - 1] * size + sessions.items[after], return_counts=True
        )
        support = torch.from_numpy(self.catalog.support).double()
        self._share = support / (support.sum() + 1)
        self._followers = torch.from_numpy(pairs % size)
        self._counts = torch.from_numpy(counts.astype(np.float64))
        self._offsets = np.searchsorted(pairs // size, np.arange(size + 1))
        return self

    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[IntArray, Tensor]]:
        """See `Recommender.score`."""
        for some in chunks(clicks, len(self.catalog)):
            last = sessions.items[some]
            begin, end = self._offsets[last], self._offsets[last + 1]
            rows = np.repeat(np.arange(len(some)), end - begin)
            nth = np.arange(len(rows)) - np.repeat(
                np.cumsum(end - begin) - (end - begin), end - begin
            )
            entries = torch.from_numpy(begin[rows] + nth)
            scores = self._share.repeat(len(some), 1)
            scores[torch.from_numpy(rows), self._followers[entries]] += self._counts[entries]
            yield some, scores
