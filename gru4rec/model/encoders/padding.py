"""Packed sequences as a padded matrix and back, for attention."""

import torch
from torch import Tensor

from gru4rec.model.encoders.packing import Packing
from gru4rec.sessions import sent


class Padding:
    """Sequences of a packing as rows of a matrix, each filled up at its end."""

    # M clicks, S sequences, L clicks of the longest, D width of a row
    def __init__(self, packing: Packing, device: torch.device) -> None:
        layout, longest = packing.layout, len(packing.block_sizes)
        self._shape = (len(packing.ends), longest)
        places_M = layout.segments * longest + layout.positions
        self._places_M = sent(places_M, device)

    def pad(self, packed_MD: Tensor) -> Tensor:
        """Return rows as a matrix [S, L, D], zeros where a sequence has ended."""
        sequences, longest = self._shape
        width = packed_MD.shape[1]
        padded = packed_MD.new_zeros(sequences * longest, width)
        return padded.index_copy(0, self._places_M, packed_MD).view(sequences, longest, width)

    def pack(self, padded_SLD: Tensor) -> Tensor:
        """Return the rows of a matrix [M, D], without what was filled up."""
        return padded_SLD.flatten(0, 1).index_select(0, self._places_M)
