"""The last click alone: the ablation that shows whether order matters in a log."""

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.encoders.protocol import Encoder, Packing, State


class LastClick(Encoder):
    """A feed-forward net on the last click's embedding: `num_layers` times linear and tanh, linear.

    It has no state.
    """

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        super().__init__()
        if input_size is None:
            raise TypeError("a feed-forward net takes input embeddings, no ready-made products")
        self.output_size = config.hidden_size
        sizes = [input_size, *[config.hidden_size] * config.num_layers]
        self.layers = nn.ModuleList(
            nn.Linear(size, config.hidden_size) for size in (*sizes[:-1], config.hidden_size)
        )

    def initial_state(self, num_sessions: int) -> State:
        """Nothing."""
        return ()

    def forward(
        self, inputs: Tensor, packing: Packing, state: State, random: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`."""
        for layer in self.layers[:-1]:
            inputs = torch.tanh(layer(inputs))
        vectors: Tensor = self.layers[-1](inputs)
        return vectors, ()
