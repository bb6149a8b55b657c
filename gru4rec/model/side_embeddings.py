"""Embed side inputs, and join them with the embeddings of items."""

import numpy as np
import torch
from torch import Tensor, nn

from gru4rec.model.encoders import glorot


class SideEmbeddings(nn.Module):
    """A vector for each code of each side input: added to the item embedding, or set beside it."""

    # M clicks, F side inputs, E length of an item embedding, W of that of a side input
    def __init__(self, sizes: list[int], *, merge: str, width: int) -> None:
        """`sizes`: codes of each side input. `width` is W; to be added it must be E."""
        super().__init__()
        self._add = merge == "add"
        self.sizes = sizes
        self.table = nn.Parameter(torch.zeros(sum(sizes), width))
        self._starts: Tensor
        starts = torch.from_numpy(np.cumsum([0, *sizes[:-1]]))
        self.register_buffer("_starts", starts, persistent=False)

    @property
    def extra(self) -> int:
        """Components by which inputs grow: F·W, or 0 if vectors are added."""
        return 0 if self._add else len(self.sizes) * self.table.shape[1]

    def initialize(self, random: torch.Generator) -> None:
        """Draw vectors that are set beside uniform ±√(6 / (codes + width)); zero those to be added.

        Item embeddings start so small that such draws, added to them, would drown them.
        """
        if self._add:
            self.table.zero_()
            return
        for part in torch.split(self.table, self.sizes):
            glorot(part, part.shape[0], part.shape[1], random)

    def forward(self, items_ME: Tensor, codes_MF: Tensor) -> Tensor:
        """Return what the encoder reads of clicks [M, E + extra]."""
        rows_MF = codes_MF + self._starts
        sides_MFW = self.table.index_select(0, rows_MF.flatten()).view(*rows_MF.shape, -1)
        if self._add:
            return items_ME + sides_MFW.sum(1)
        return torch.cat((items_ME, sides_MFW.flatten(1)), dim=1)
