"""A GRU forward and a GRU backward over the prefix."""

import numpy as np
import torch
from torch import Tensor, nn

from gru4rec.arraytypes import IntArray
from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.context import ContextEncoder
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.packing import Packing
from gru4rec.sessions import PackedLayout, sent

# M clicks, S sequences, E length of an input, H units


class BidirectionalGRU(ContextEncoder):
    """vector = W [forward state after the last click, backward state after the first] + b.

    Schuster & Paliwal 1997, over every prefix by itself: the backward GRU starts at the prefix's
    last click and sees none after it.
    """

    causal = False

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.ahead, self.back = GRU(config, input_size), GRU(config, input_size)
        self.join = nn.Linear(2 * config.hidden_size, config.hidden_size)

    def encode(self, inputs_ME: Tensor, packing: Packing, random: torch.Generator | None) -> Tensor:
        """See `ContextEncoder.encode`."""
        ends = packing.ends
        reverse_M = sent(_reversed_rows(packing.layout), inputs_ME.device)
        reversed_ME = inputs_ME.index_select(0, reverse_M)
        finals = []
        for gru, rows_ME in ((self.ahead, inputs_ME), (self.back, reversed_ME)):
            outputs_MH, _ = gru(rows_ME, packing, gru.initial_state(len(ends)), random)
            finals.append(outputs_MH.index_select(0, ends))
        vectors_SH: Tensor = self.join(torch.cat(finals, dim=1))
        return vectors_SH.new_zeros(len(inputs_ME), self.output_size).index_copy(
            0, ends, vectors_SH
        )


def _reversed_rows(layout: PackedLayout) -> IntArray:
    """Return the row of the click that stands in each row when sequences run backwards [M]."""
    last_M = layout.lengths[layout.segments] - 1
    return np.asarray(layout.block_starts[last_M - layout.positions] + layout.segments)
