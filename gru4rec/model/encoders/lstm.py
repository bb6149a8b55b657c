"""The LSTM and the plain recurrent network, to compare the GRU with."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.stacked import RecurrentLayer, Stacked, layer_sizes

# M clicks, S segments, E length of an input, H units, G gate columns; torch wants a state as
# [layers, S, H]: 1SH


class _TorchLayer(RecurrentLayer):
    """A layer that torch computes."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        rows = self.num_gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))

    def _steps(self, inputs_ME: Tensor, packing: Packing) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the gates' input products, both biases added [S, G], and what is kept [S, 1]."""
        assert packing.kept is not None
        bias_G = self.bias_ih + self.bias_hh
        products_MG = torch.addmm(bias_G, inputs_ME, self.weight_ih.t())
        sizes = packing.block_sizes
        parts = (torch.split(part, sizes) for part in (products_MG, packing.kept))
        return zip(*parts, strict=True)


class LSTMLayer(_TorchLayer):
    """Hochreiter & Schmidhuber 1997 with forget gate, as torch's.

    i, f, o = σ of their products, g = tanh of its product, c' = f∘c + i∘g, h' = o∘tanh(c').
    """

    num_gates = 4
    num_states = 2
    cudnn_mode = "LSTM"

    def forward(
        self, inputs_ME: Tensor, packing: Packing, *state_SH: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `RecurrentLayer.forward`; the state is (h, c)."""
        if packing.begins is not None:
            return self._over_lanes(inputs_ME, packing, *state_SH)
        self.lay_side_by_side()
        state_1SH = [part_SH.unsqueeze(0) for part_SH in state_SH]
        outputs_MH, _, cells_1SH = torch._VF.lstm(
            inputs_ME, torch.tensor(packing.block_sizes), state_1SH, self.weights,
            True, 1, 0.0, self.training, False,
        )  # fmt: skip
        return outputs_MH, (cells_1SH.squeeze(0),)

    def _over_lanes(
        self, inputs_ME: Tensor, packing: Packing, hidden_SH: Tensor, cell_SH: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Do as `forward`, step by step: torch's LSTM cannot begin a session within a sequence."""
        hidden_steps, cell_steps = [], []
        for products_SG, kept_S1 in self._steps(inputs_ME, packing):
            products_SG = products_SG + (hidden_SH * kept_S1) @ self.weight_hh.t()
            into_SH, forget_SH, new_SH, out_SH = products_SG.chunk(4, 1)
            kept_SH = torch.sigmoid(forget_SH) * (cell_SH * kept_S1)
            cell_SH = kept_SH + torch.sigmoid(into_SH) * torch.tanh(new_SH)
            hidden_SH = torch.sigmoid(out_SH) * torch.tanh(cell_SH)
            hidden_steps.append(hidden_SH)
            cell_steps.append(cell_SH)
        return torch.cat(hidden_steps), (torch.cat(cell_steps).index_select(0, packing.ends),)


class RNNLayer(_TorchLayer):
    """Elman 1990: h' = tanh(W_ih x + b_ih + W_hh h + b_hh)."""

    num_gates = 1
    cudnn_mode = "RNN_TANH"

    def forward(
        self, inputs_ME: Tensor, packing: Packing, *state_SH: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `RecurrentLayer.forward`; the state is h."""
        if packing.begins is not None:
            (hidden_SH,) = state_SH
            steps = []
            for products_SH, kept_S1 in self._steps(inputs_ME, packing):
                recurrent_SH = (hidden_SH * kept_S1) @ self.weight_hh.t()
                hidden_SH = torch.tanh(products_SH + recurrent_SH)
                steps.append(hidden_SH)
            return torch.cat(steps), ()
        self.lay_side_by_side()
        outputs_MH = torch._VF.rnn_tanh(
            inputs_ME, torch.tensor(packing.block_sizes), state_SH[0].unsqueeze(0), self.weights,
            True, 1, 0.0, self.training, False,
        )[0]  # fmt: skip
        return outputs_MH, ()


class LSTM(Stacked):
    """LSTM layers; the state of each is the pair (h, c)."""

    takes_lanes = True

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        sizes = layer_sizes(config, input_size)
        layers = [LSTMLayer(size, config.hidden_size) for size in sizes]
        super().__init__(config, input_size, layers)


class RNN(Stacked):
    """Plain recurrent layers."""

    takes_lanes = True

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        sizes = layer_sizes(config, input_size)
        layers = [RNNLayer(size, config.hidden_size) for size in sizes]
        super().__init__(config, input_size, layers)
