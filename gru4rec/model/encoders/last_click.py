"""The last click alone: the ablation that shows whether order matters in a log."""

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.protocol import Encoder, State, dropout


class LastClick(Encoder):
    """A feed-forward net on the last click's embedding: linear, `num_layers` times; tanh between.

    It has no state: `state_dropout` drops components of each layer's output.
    """

    takes_lanes = True

    # M clicks, E length of an input, H units
    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.layer_dropout, self.state_dropout = config.layer_dropout, config.state_dropout
        sizes = [input_size, *[config.hidden_size] * config.num_layers]
        self.layers = nn.ModuleList(nn.Linear(size, config.hidden_size) for size in sizes)

    def initial_state(self, num_sessions: int) -> State:
        """Return nothing."""
        return ()

    def forward(
        self,
        inputs_ME: Tensor,
        packing: Packing,
        state: State,
        random: torch.Generator | None = None,
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`."""
        outputs_MH = self.layers[0](inputs_ME)
        for layer in self.layers[1:]:
            outputs_MH = torch.tanh(dropout(outputs_MH, self.state_dropout, random))
            outputs_MH = layer(dropout(outputs_MH, self.layer_dropout, random))
        return dropout(outputs_MH, self.state_dropout, random), ()
