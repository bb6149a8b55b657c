"""A causal convolution over the last clicks, then a GRU."""

import numpy as np
import torch
from torch import Tensor, nn

from gru4rec.arraytypes import IntArray
from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.protocol import Encoder, State
from gru4rec.sessions import PackedLayout, sent


class ConvGRU(Encoder):
    """A GRU over x'_t = x_t + relu(Σ_k W_k x_{t−k} + b), k from 0 to `conv_width` − 1.

    x are input embeddings, zeros before the first click. Its state is the last conv_width − 1 of
    them and the GRU's.
    """

    # M clicks, S segments, E length of an input, H units, W width of the convolution, V = W − 1
    # inputs that are kept, P = S·V + M rows of the table that convolutions read
    takes_lanes = True

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.width = config.conv_width
        self.conv = nn.Linear(config.conv_width * input_size, input_size)
        self.gru = GRU(config, input_size)

    def initial_state(self, num_sessions: int) -> State:
        """Return zero embeddings [num_sessions, V, E] and the GRU's state."""
        shape = (num_sessions, self.width - 1, self.input_size)
        return (self.conv.weight.new_zeros(shape), *self.gru.initial_state(num_sessions))

    def forward(
        self,
        inputs_ME: Tensor,
        packing: Packing,
        state: State,
        random: torch.Generator | None = None,
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`."""
        kept_SVE, *gru_state = state
        table_PE = torch.cat((kept_SVE.flatten(0, 1), inputs_ME))
        if packing.begins is None:
            rows_MW = sent(self._rows(packing.layout), inputs_ME.device)
        else:
            rows_MW = self._rows_of_lanes(packing)
            table_PE = torch.cat((table_PE, table_PE.new_zeros(1, self.input_size)))
        windows_MX = table_PE.index_select(0, rows_MW.flatten()).view(len(inputs_ME), -1)  # X = W·E
        read_ME = inputs_ME + torch.relu(self.conv(windows_MX))
        outputs_MH, after = self.gru(read_ME, packing, tuple(gru_state), random)
        last_SV = rows_MW.index_select(0, packing.ends)[:, : self.width - 1]
        kept_SVE = table_PE.index_select(0, last_SV.flatten()).view_as(kept_SVE)
        return outputs_MH, (kept_SVE, *after)

    def _rows(self, layout: PackedLayout) -> IntArray:
        """Return the rows of the table with the inputs up to each click, newest first [M, W].

        The table holds those of the state, segment after segment, then those of the clicks.
        """
        num_kept, segment_M1 = self.width - 1, layout.segments[:, None]
        position_MW = layout.positions[:, None] - np.arange(self.width)
        starts_MW = layout.block_starts[np.maximum(position_MW, 0)]
        of_click_MW = len(layout.lengths) * num_kept + starts_MW + segment_M1
        of_state_MW = segment_M1 * num_kept - position_MW - 1  # the newest stands first
        return np.where(position_MW >= 0, of_click_MW, of_state_MW)

    def _rows_of_lanes(self, packing: Packing) -> Tensor:
        """Do as `_rows` for lanes; a row of zeros stands last for what is before a session."""
        position_M1 = packing.lane_positions.unsqueeze(1)
        rows, lanes, num_kept = len(position_M1), len(packing.ends), self.width - 1
        row_M1 = torch.arange(rows, device=position_M1.device).unsqueeze(1)
        back_W = torch.arange(self.width, device=position_M1.device)
        above_M1 = torch.where(position_M1 < 0, -1 - position_M1, position_M1)
        of_click_MW = lanes * num_kept + row_M1 - back_W * lanes
        of_state_MW = row_M1 % lanes * num_kept + back_W - above_M1 - 1  # the newest stands first
        before_MW = torch.where(position_M1 < 0, of_state_MW, lanes * num_kept + rows)
        return torch.where(back_W <= above_M1, of_click_MW, before_MW)
