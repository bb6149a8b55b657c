"""The LSTM and the plain recurrent network, to compare the GRU with."""

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.stacked import RecurrentLayer, Stacked, layer_sizes

# M clicks, S segments, E length of an input, H units; torch wants a state as [layers, S, H]: 1SH


class _TorchLayer(RecurrentLayer):
    """A layer that torch computes."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        rows = self.num_gates * hidden_size
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

    num_gates = 4
    num_states = 2

    def forward(
        self, inputs_ME: Tensor, packing: Packing, *state_SH: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `RecurrentLayer.forward`; the state is (h, c)."""
        state_1SH = [part_SH.unsqueeze(0) for part_SH in state_SH]
        outputs_MH, _, cells_1SH = torch._VF.lstm(
            inputs_ME, torch.tensor(packing.block_sizes), state_1SH, self._weights,
            True, 1, 0.0, self.training, False,
        )  # fmt: skip
        return outputs_MH, (cells_1SH.squeeze(0),)


class RNNLayer(_TorchLayer):
    """Elman 1990: h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."""

    num_gates = 1

    def forward(
        self, inputs_ME: Tensor, packing: Packing, *state_SH: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `RecurrentLayer.forward`; the state is h."""
        outputs_MH = torch._VF.rnn_tanh(
            inputs_ME, torch.tensor(packing.block_sizes), state_SH[0].unsqueeze(0), self._weights,
            True, 1, 0.0, self.training, False,
        )[0]  # fmt: skip
        return outputs_MH, ()


class LSTM(Stacked):
    """LSTM layers; the state of each is the pair (h, c)."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        sizes = layer_sizes(config, input_size)
        layers = [LSTMLayer(size, config.hidden_size) for size in sizes]
        super().__init__(config, input_size, layers)


class RNN(Stacked):
    """Plain recurrent layers."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        sizes = layer_sizes(config, input_size)
        layers = [RNNLayer(size, config.hidden_size) for size in sizes]
        super().__init__(config, input_size, layers)
