"""The LSTM and the plain recurrent network, to compare the GRU with."""

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.protocol import Packing
from gru4rec.model.encoders.stacked import RecurrentLayer, Stacked, layer_sizes


class _TorchLayer(RecurrentLayer):
    """A layer that torch computes."""

    def __init__(self, input_size: int | None, hidden_size: int) -> None:
        super().__init__()
        if input_size is None:
            raise TypeError("torch's layers take input embeddings, no ready-made products")
        rows = self.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))

    @property
    def _weights(self) -> list[Tensor]:
        return [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]


class LSTMLayer(_TorchLayer):
    """Hochreiter & Schmidhuber 1997 with forget gate, as torch's.

    i, f, o = σ of their products, g = tanh of its product, c' = f∘c + i∘g, h' = o∘tanh(c').
    """

    gates = 4
    num_states = 2

    def forward(
        self, inputs: Tensor, packing: Packing, *state: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `RecurrentLayer.forward`; the state is (h, c)."""
        before = [part.unsqueeze(0) for part in state]
        outputs, _, cells = torch._VF.lstm(
            inputs, torch.tensor(packing.block_sizes), before, self._weights,
            True, 1, 0.0, self.training, False,
        )  # fmt: skip
        return outputs, (cells.squeeze(0),)


class RNNLayer(_TorchLayer):
    """Elman 1990: h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."""

    gates = 1

    def forward(
        self, inputs: Tensor, packing: Packing, *state: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `RecurrentLayer.forward`; the state is h."""
        outputs = torch._VF.rnn_tanh(
            inputs, torch.tensor(packing.block_sizes), state[0].unsqueeze(0), self._weights,
            True, 1, 0.0, self.training, False,
        )[0]  # fmt: skip
        return outputs, ()


class LSTM(Stacked):
    """LSTM layers; the state of each is the pair (h, c)."""

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        sizes = layer_sizes(config, input_size)
        super().__init__(config, [LSTMLayer(size, config.hidden_size) for size in sizes])


class RNN(Stacked):
    """Plain recurrent layers."""

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        sizes = layer_sizes(config, input_size)
        super().__init__(config, [RNNLayer(size, config.hidden_size) for size in sizes])
