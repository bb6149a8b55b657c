"""A causal convolution over the last clicks, then a GRU."""

import numpy as np
import torch
from torch import Tensor, nn

from gru4rec.arraytypes import IntArray
from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.protocol import Encoder, Packing, State


class ConvGRU(Encoder):
    """A GRU over x'_t = x_t + relu(Σ_k W_k x_{t−k} + b), k from 0 to `conv_width` − 1.

    x are input embeddings, zeros before the first click. Its state is the last conv_width − 1 of
    them and the GRU's.
    """

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        super().__init__()
        if input_size is None:
            raise TypeError("a convolution takes input embeddings, no ready-made products")
        self.output_size = config.hidden_size
        self.width, self._input_size = config.conv_width, input_size
        self.conv = nn.Linear(config.conv_width * input_size, input_size)
        self.gru = GRU(config, input_size)

    def initial_state(self, num_sessions: int) -> State:
        """Zero embeddings [num_sessions, conv_width − 1, E] and the GRU's state."""
        shape = (num_sessions, self.width - 1, self._input_size)
        return (self.conv.weight.new_zeros(shape), *self.gru.initial_state(num_sessions))

    def forward(
        self, inputs: Tensor, packing: Packing, state: State, random: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`."""
        earlier, *gru_state = state
        # All embeddings in one table: those of the state, segment after segment, then the clicks'.
        pool = torch.cat((earlier.flatten(0, 1), inputs))
        rows = torch.from_numpy(self._rows(packing)).to(inputs.device, non_blocking=True)
        windows = pool.index_select(0, rows.flatten()).view(len(inputs), -1)
        outputs, after = self.gru(
            inputs + torch.relu(self.conv(windows)), packing, tuple(gru_state), random
        )
        last = rows.index_select(0, packing.ends)[:, : self.width - 1]
        kept = pool.index_select(0, last.flatten()).view_as(earlier)
        return outputs, (kept, *after)

    def _rows(self, packing: Packing) -> IntArray:
        """Where in the table the embeddings up to each click stand, newest first [M, width]."""
        kept, segment = self.width - 1, packing.sequences[:, None]
        position = packing.positions[:, None] - np.arange(self.width)
        of_click = packing.block_sizes[0] * kept + packing.starts[np.maximum(position, 0)] + segment
        of_state = segment * kept - position - 1  # the newest stands first
        return np.where(position >= 0, of_click, of_state)
