"""Recommend what is clicked most."""

from collections.abc import Iterator
from typing import Self

import torch
from torch import Tensor

from gru4rec.arrays import IntArray, SessionArrays
from gru4rec.catalog import Catalog
from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.recommender import Recommender, chunks


class Popularity(Recommender):
    """Scores an item by its clicks in the training log, whatever the session."""

    def fit(self, clicks: ClickSource, *, valid: ClickSource | None = None) -> Self:
        """Count the clicks on each item; `valid` is not needed."""
        self.catalog = Catalog.of(read_clicks(clicks))
        return self

    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[IntArray, Tensor]]:
        """See `Recommender.score`."""
        support = torch.from_numpy(self.catalog.support).to(torch.float32)
        for some in chunks(clicks, len(self.catalog)):
            yield some, support.expand(len(some), -1)
