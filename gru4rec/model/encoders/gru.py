"""The GRU encoder."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.packed_gru import PackedGRU
from gru4rec.model.encoders.packed_gru_before import PackedGRUBefore
from gru4rec.model.encoders.protocol import Packing
from gru4rec.model.encoders.stacked import RecurrentLayer, Stacked, layer_sizes


class GRULayer(RecurrentLayer):
    """One layer: torch's GRU, whose fused kernel it runs on a GPU; on a CPU our own `PackedGRU`.

    With `reset_before`, that of `PackedGRUBefore` everywhere. Without an `input_size` it takes the
    gates' input products [M, 3H] as they are, less their bias.
    """

    gates = 3

    def __init__(
        self, input_size: int | None, hidden_size: int, *, reset_before: bool = False
    ) -> None:
        super().__init__()
        self.weight_ih = (
            None if input_size is None else nn.Parameter(torch.empty(3 * hidden_size, input_size))
        )
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(3 * hidden_size))
        # Before the recurrent product the two biases of a gate are one.
        self.bias_hh = None if reset_before else nn.Parameter(torch.empty(3 * hidden_size))

    def forward(
        self, inputs: Tensor, packing: Packing, *state: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `RecurrentLayer.forward`; the state is the hidden state."""
        (initial,) = state
        if self.weight_ih is None:
            products = inputs + self.bias_ih
        elif inputs.is_cuda and self.bias_hh is not None:
            return self.fused(inputs, packing, initial), ()
        elif self.is_served(packing) and self.bias_hh is not None:
            weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
            return torch.gru_cell(inputs, initial, *weights), ()
        else:
            products = torch.addmm(self.bias_ih, inputs, self.weight_ih.t())
        sizes = packing.block_sizes
        outputs: Tensor
        if self.bias_hh is None:
            outputs = PackedGRUBefore.apply(products, initial, self.weight_hh, sizes)  # type: ignore[no-untyped-call]
        else:
            outputs = PackedGRU.apply(products, initial, self.weight_hh, self.bias_hh, sizes)  # type: ignore[no-untyped-call]
        return outputs, ()

    @staticmethod
    def is_served(packing: Packing) -> bool:
        """Whether one click of each session is all there is, and nothing is learned from it: then
        torch's cell takes a third of the time of a window's preparations."""
        return len(packing.block_sizes) == 1 and not torch.is_grad_enabled()

    def gates_of(self, inputs: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Reset and update gates [M, H] of clicks, by the states before them [M, H]."""
        recurrent = before @ self.weight_hh.t()
        products = inputs if self.weight_ih is None else inputs @ self.weight_ih.t()
        if self.bias_hh is not None:
            recurrent = recurrent + self.bias_hh
        reset, update, _ = torch.sigmoid(products + self.bias_ih + recurrent).chunk(3, dim=1)
        return reset, update if self.bias_hh is None else 1 - update

    def fused(self, inputs: Tensor, packing: Packing, initial: Tensor) -> Tensor:
        """The same by torch's own GRU: cuDNN's on a GPU."""
        if self.weight_ih is None or self.bias_hh is None:
            raise TypeError("torch's GRU has no ready-made input products and resets after")
        weights: list[Tensor] = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        sequence = PackedSequence(inputs, torch.tensor(packing.block_sizes))
        outputs: Tensor = torch._VF.gru(
            sequence.data,
            sequence.batch_sizes,
            initial.unsqueeze(0),
            weights,
            True,
            1,
            0.0,
            self.training,
            False,
        )[0]
        return outputs


class GRU(Stacked):
    """GRU layers (Cho et al. 2014, Chung et al. 2014).

    The reset gate is applied after the recurrent product (torch, cuDNN, the GRU4Rec authors'
    PyTorch code), or with `reset_gate = "before"` on the hidden state (their paper).
    """

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        """`input_size` is that of input embeddings; None: inputs are gate products [M, 3H]."""
        before = config.reset_gate == "before"
        sizes = layer_sizes(config, input_size)
        super().__init__(
            config, [GRULayer(size, config.hidden_size, reset_before=before) for size in sizes]
        )

    def gates(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """See `Encoder.gates`."""
        packing = Packing.of_lengths(np.array([len(inputs)])).to(inputs.device)
        found = []
        for layer in self.layers:
            assert isinstance(layer, GRULayer)
            initial = inputs.new_zeros(1, self.output_size)
            outputs, _ = layer(inputs, packing, initial)
            found.append(layer.gates_of(inputs, torch.cat((initial, outputs[:-1]))))
            inputs = outputs
        resets, updates = zip(*found, strict=True)
        return torch.stack(resets), torch.stack(updates)
