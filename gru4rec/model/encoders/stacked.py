"""Recurrent layers, stacked: what gru, lstm and rnn share."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.backends.cudnn.rnn import get_cudnn_mode

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.protocol import Encoder, State, dropout

# M clicks, S segments, E length of an input, H units


class RecurrentLayer(nn.Module):
    """One recurrent layer over packed sequences."""

    num_gates: int
    """Gates whose matrices lie one below another in each of its weights."""
    num_states = 1
    """Tensors of its state; the first is its output."""
    cudnn_mode: str | None = None
    """What cuDNN calls it, if that runs it on a GPU."""

    @property
    def weights(self) -> list[Tensor]:
        """Its weights as torch's own layers have them."""
        return [getattr(self, name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the weights, as `to` does; then lay them side by side."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.lay_side_by_side()
        return self

    def lay_side_by_side(self) -> None:
        """Keep the weights in one piece of memory on a GPU, as cuDNN reads them.

        Else torch would gather them at each call, and warn that it does. Where they lie so already,
        they stay.
        """
        if self.cudnn_mode is None or not self.weights[0].is_cuda:
            return
        if len({weight.untyped_storage().data_ptr() for weight in self.weights}) == 1:
            return
        hidden_size = self.weights[1].shape[1]
        with torch.no_grad():
            torch._cudnn_rnn_flatten_weight(
                self.weights, 4, self.weights[0].shape[1], get_cudnn_mode(self.cudnn_mode),  # type: ignore[no-untyped-call]
                hidden_size, 0, 1, True, False,
            )  # fmt: skip

    @abstractmethod
    def forward(
        self, inputs_ME: Tensor, packing: Packing, *state_SH: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return outputs after every click [M, H], and the rest of the state after every segment.

        `inputs` are in packed order. `state` is that before each segment; the rest is all of it but
        its first tensor.
        """


class Stacked(Encoder):
    """Layers, each over the outputs of the one below; the last gives the session vector.

    With `state_dropout`, for windows of one step, components of each layer's output are dropped
    before they are scored and carried on, as the GRU4Rec authors' code does. Its state is that of
    each layer.
    """

    def __init__(
        self, config: EncoderConfig, input_size: int, layers: Sequence[RecurrentLayer]
    ) -> None:
        super().__init__(config, input_size)
        self.layer_dropout, self.state_dropout = config.layer_dropout, config.state_dropout
        self.layers = nn.ModuleList(layers)
        self._num_states = layers[0].num_states

    def initial_state(self, num_sessions: int) -> State:
        """Return zeros [num_sessions, H] for each tensor of each layer."""
        like = next(self.parameters())
        count = self._num_states * len(self.layers)
        return tuple(like.new_zeros(num_sessions, self.output_size) for _ in range(count))

    def forward(
        self,
        inputs_ME: Tensor,
        packing: Packing,
        state: State,
        random: torch.Generator | None = None,
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`."""
        after: list[Tensor] = []  # [S, H] each
        outputs_MH, num_states = inputs_ME, self._num_states
        for depth, layer in enumerate(self.layers):
            if depth > 0:
                outputs_MH = dropout(outputs_MH, self.layer_dropout, random)
            before_SH = state[depth * num_states : (depth + 1) * num_states]
            outputs_MH, rest_SH = layer(outputs_MH, packing, *before_SH)
            outputs_MH = dropout(outputs_MH, self.state_dropout, random)
            after += (outputs_MH.index_select(0, packing.ends), *rest_SH)
        return outputs_MH, tuple(after)


def layer_sizes(config: EncoderConfig, input_size: int) -> list[int]:
    """Return the input size of each layer."""
    return [input_size, *[config.hidden_size] * (config.num_layers - 1)]
