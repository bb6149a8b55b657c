"""The last click alone: the ablation that shows whether order matters in a log."""

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.protocol import Encoder, Packing, State, dropout


class LastClick(Encoder):
    """A feed-forward net on the last click's embedding: linear, `num_layers` times; tanh between.

    It has no state: `state_dropout` drops components of each layer's output.
    """

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        super().__init__()
        if input_size is None:
            raise TypeError("a feed-forward net takes input embeddings, no ready-made products")
        self.output_size = config.hidden_size
        self.layer_dropout, self.state_dropout = config.layer_dropout, config.state_dropout
        sizes = [input_size, *[config.hidden_size] * config.num_layers]
        self.layers = nn.ModuleList(nn.Linear(size, config.hidden_size) for size in sizes)

    def initial_state(self, num_sessions: int) -> State:
        """Nothing."""
        return ()

    def forward(
        self, inputs: Tensor, packing: Packing, state: State, random: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`."""
        outputs = self.layers[0](inputs)
        for layer in self.layers[1:]:
            outputs = dropout(outputs, self.state_dropout, random)
            outputs = layer(dropout(torch.tanh(outputs), self.layer_dropout, random))
        return dropout(outputs, self.state_dropout, random), ()
