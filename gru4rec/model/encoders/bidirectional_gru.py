"""A GRU forward and a GRU backward over the prefix."""

import numpy as np
import torch
from torch import Tensor, nn

from gru4rec.arraytypes import IntArray
from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.context import ContextEncoder
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.protocol import Packing


class BidirectionalGRU(ContextEncoder):
    """vector = W [forward state after the last click, backward state after the first] + b.

    Schuster & Paliwal 1997, over every prefix by itself: the backward GRU starts at the prefix's
    last click and sees none after it.
    """

    causal = False

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        super().__init__(config, input_size)
        self.ahead, self.back = GRU(config, input_size), GRU(config, input_size)
        self.join = nn.Linear(2 * config.hidden_size, config.hidden_size)

    def encode(self, inputs: Tensor, packing: Packing, random: torch.Generator | None) -> Tensor:
        """See `ContextEncoder.encode`."""
        ends = packing.ends
        reverse = torch.from_numpy(_reversed_rows(packing)).to(inputs.device)
        final = []
        for gru, rows in ((self.ahead, inputs), (self.back, inputs.index_select(0, reverse))):
            outputs, _ = gru(rows, packing, gru.initial_state(len(ends)), random)
            final.append(outputs.index_select(0, ends))
        vectors: Tensor = self.join(torch.cat(final, dim=1))
        return vectors.new_zeros(len(inputs), self.output_size).index_copy(0, ends, vectors)


def _reversed_rows(packing: Packing) -> IntArray:
    """For each row, the row of the click that stands there when sequences run backwards."""
    sequences = packing.sequences
    lengths = np.bincount(sequences)
    return np.asarray(packing.starts[lengths[sequences] - 1 - packing.positions] + sequences)
