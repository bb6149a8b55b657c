"""Lean item vectors on those of the items clicked beside them.

    e' = |e| · unit(unit(e) + strength · mean of unit(f) over the neighbouring clicks f)

An item that was clicked a few times only has a vector that says little; its neighbours' say more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import numpy as np
import torch
from torch import Tensor

from gru4rec.model import Model, unit
from gru4rec.sessions import SessionArrays
from gru4rec.training.ranks import ONE, Ranks

_AT_ONCE = 1 << 18  # neighbours whose vectors are gathered at once

# P pairs of an item and a neighbour, N items, D components


class Neighbours:
    """The clicks beside those on each item, in any session; those on the item itself count not."""

    def __init__(self, items: Tensor, beside: Tensor, num_items: int, ranks: Ranks = ONE) -> None:
        """Take pairs of an item and a click beside one on it [P]; each rank those it has."""
        self._items, self._beside, self._ranks = items, beside, ranks
        counts = ranks.all_sum_(torch.bincount(items, minlength=num_items))
        self._shares = 1.0 / counts.clamp_min(1).float().unsqueeze(1)

    @classmethod
    def of(cls, sessions: SessionArrays, num_items: int, ranks: Ranks = ONE) -> Self:
        """Take the neighbours in sessions."""
        starts_one = np.zeros(len(sessions.items), dtype=bool)
        starts_one[sessions.offsets[:-1][sessions.lengths > 0]] = True
        first, second = sessions.items[:-1], sessions.items[1:]
        pairs = ~starts_one[1:] & (first != second)
        first, second = first[pairs], second[pairs]
        items, beside = np.concatenate((first, second)), np.concatenate((second, first))
        return cls(torch.from_numpy(items), torch.from_numpy(beside), num_items, ranks)

    def means(self, vectors_ND: Tensor) -> Tensor:
        """Return the mean vector of each item's neighbours [N, D]; zeros where it has none."""
        sums_ND = torch.zeros_like(vectors_ND)
        device = vectors_ND.device
        for start in range(0, len(self._items), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            beside = self._beside[some].to(device)
            sums_ND.index_add_(0, self._items[some].to(device), vectors_ND[beside])
        return self._ranks.all_sum_(sums_ND) * self._shares.to(device)


@torch.no_grad()
def smooth(model: Model, sessions: SessionArrays, strength: float, ranks: Ranks = ONE) -> None:
    """Smooth the output embeddings of a model in place; shared ones are its inputs too.

    The neighbours are those in `sessions`, of all ranks. Strength 0 costs nothing.
    """
    if not strength:
        return
    neighbours = Neighbours.of(sessions, len(model.output_table), ranks)
    table_ND = model.output_table
    unit_ND = unit(table_ND)
    lengths_N1 = torch.linalg.vector_norm(table_ND, dim=1, keepdim=True)
    leaning_ND = unit_ND + strength * neighbours.means(unit_ND)
    table_ND.copy_(unit(leaning_ND) * lengths_N1)


@contextmanager
def smoothed(
    model: Model, sessions: SessionArrays, strength: float, ranks: Ranks = ONE
) -> Iterator[None]:
    """Smooth a model while this lasts; then it is as before, to the bit."""
    before = model.output_table.detach().clone() if strength else None
    smooth(model, sessions, strength, ranks)
    try:
        yield
    finally:
        if before is not None:
            with torch.no_grad():
                model.output_table.copy_(before)
