"""Recurrent layers, stacked: what gru, lstm and rnn share."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.protocol import Encoder, Packing, State, dropout


class RecurrentLayer(nn.Module):
    """One recurrent layer over packed sequences."""

    gates: int
    """Gates whose matrices lie one below another in each of its weights."""
    num_states = 1
    """Tensors of its state; the first is its output."""

    @abstractmethod
    def forward(
        self, inputs: Tensor, packing: Packing, *state: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Outputs after every click [M, H], and the rest of the state after every segment [S, H].

        `inputs` [M, E] are in packed order, `state` is that before each segment [S, H].
        """


class Stacked(Encoder):
    """Layers, each over the outputs of the one below; the last gives the session vector.

    With `state_dropout`, for windows of one step, components of each layer's output are dropped
    before they are scored and carried on, as the GRU4Rec authors' code does. Its state is that of
    each layer.
    """

    def __init__(self, config: EncoderConfig, layers: list[RecurrentLayer]) -> None:
        super().__init__()
        self.output_size = config.hidden_size
        self.layer_dropout, self.state_dropout = config.layer_dropout, config.state_dropout
        self.layers = nn.ModuleList(layers)
        self._num_states = layers[0].num_states

    def initial_state(self, num_sessions: int) -> State:
        """Zeros [num_sessions, H] for each tensor of each layer."""
        like = next(self.parameters())
        count = self._num_states * len(self.layers)
        return tuple(like.new_zeros(num_sessions, self.output_size) for _ in range(count))

    def forward(
        self, inputs: Tensor, packing: Packing, state: State, random: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`."""
        after: list[Tensor] = []
        outputs, each = inputs, self._num_states
        for depth, layer in enumerate(self.layers):
            if depth > 0:
                outputs = dropout(outputs, self.layer_dropout, random)
            outputs, rest = layer(outputs, packing, *state[depth * each : (depth + 1) * each])
            outputs = dropout(outputs, self.state_dropout, random)
            after += (outputs.index_select(0, packing.ends), *rest)
        return outputs, tuple(after)


def layer_sizes(config: EncoderConfig, input_size: int | None) -> list[int | None]:
    """The input size of each layer."""
    return [input_size, *[config.hidden_size] * (config.num_layers - 1)]
