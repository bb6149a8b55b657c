"""Embed side inputs, and join them with the embeddings of items."""

import numpy as np
import torch
from torch import Tensor, nn

from gru4rec.model.encoders import glorot


class SideEmbeddings(nn.Module):
    """A vector for each code of each side input: added to the item embedding, or set beside it."""

    # M clicks, F side inputs, E length of an item embedding
    def __init__(self, sizes: list[int], *, merge: str, width: int) -> None:
        """`sizes`: codes of each side input. `width`: the length of a vector, E to be added."""
        super().__init__()
        self._add = merge == "add"
        self.sizes = sizes
        self.table = nn.Parameter(torch.zeros(sum(sizes), width))
        self._starts: Tensor
        starts = torch.from_numpy(np.cumsum([0, *sizes[:-1]]))
        self.register_buffer("_starts", starts, persistent=False)

    @property
    def extra(self) -> int:
        """Components by which inputs grow."""
        return 0 if self._add else len(self.sizes) * self.table.shape[1]

    def initialize(self, random: torch.Generator) -> None:
        """Zeros to be added; vectors that are set beside uniform ±√(6 / (codes + width)).

        Item embeddings start so small that those draws, added to them, would drown them.
        """
        if self._add:
            self.table.zero_()
            return
        for part in torch.split(self.table, self.sizes):
            glorot(part, part.shape[0], part.shape[1], random)

    def forward(self, items_ME: Tensor, codes_MF: Tensor) -> Tensor:
        """What the encoder reads of clicks [M, E + extra]."""
        found = self.table.index_select(0, (codes_MF + self._starts).flatten())
        found = found.view(len(items_ME), len(self.sizes), -1)
        if self._add:
            return items_ME + found.sum(1)
        return torch.cat((items_ME, found.flatten(1)), dim=1)
