"""Packed sequences as a padded matrix and back, for attention."""

import torch
from torch import Tensor

from gru4rec.model.encoders.protocol import Packing


class Padding:
    """Sequences of a packing as rows of a matrix, each filled up at its end."""

    # M clicks, S sequences, L clicks of the longest
    def __init__(self, packing: Packing, device: torch.device) -> None:
        longest = len(packing.block_sizes)
        self._shape = (packing.block_sizes[0], longest)
        places = packing.sequences * longest + packing.positions
        self._places = torch.from_numpy(places).to(device)  # [M]

    def pad(self, packed_MD: Tensor) -> Tensor:
        """[S, L, D], zeros where a sequence has ended."""
        sequences, longest = self._shape
        width = packed_MD.shape[1]
        padded = packed_MD.new_zeros(sequences * longest, width)
        return padded.index_copy(0, self._places, packed_MD).view(sequences, longest, width)

    def pack(self, padded_SLD: Tensor) -> Tensor:
        """[M, D], without what was filled up."""
        return padded_SLD.flatten(0, 1).index_select(0, self._places)
