"""The GRU encoder."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.packed_gru import PackedGRU
from gru4rec.model.encoders.packed_gru_before import PackedGRUBefore
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.stacked import RecurrentLayer, Stacked, layer_sizes
from gru4rec.model.kernels import kernels_for

# M clicks, S segments, E length of an input, H units, G = 3H gate columns (reset, update, new)


class GRULayer(RecurrentLayer):
    """One layer: torch's GRU, whose fused kernel it runs on a GPU; on a CPU our own `PackedGRU`.

    With `reset_before` it is `PackedGRUBefore` everywhere. Without an `input_size` its inputs are
    the gates' input products [M, G] as they are, less their bias.
    """

    num_gates = 3

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
        if self.weight_ih is not None and self.bias_hh is not None:
            self.cudnn_mode = "GRU"

    def forward(
        self, inputs_ME: Tensor, packing: Packing, *state_SH: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `RecurrentLayer.forward`; the state is the hidden state."""
        (initial_SH,) = state_SH
        if self.weight_ih is None:
            products_MG = inputs_ME + self.bias_ih
        elif inputs_ME.is_cuda and self.bias_hh is not None and packing.begins is None:
            return self.fused(inputs_ME, packing, initial_SH), ()
        elif self.is_served(packing) and self.bias_hh is not None:
            return torch.gru_cell(inputs_ME, initial_SH, *self.weights), ()
        else:
            products_MG = torch.addmm(self.bias_ih, inputs_ME, self.weight_ih.t())
        return self._run(products_MG, initial_SH, packing), ()

    def _run(self, products_MG: Tensor, initial_SH: Tensor, packing: Packing) -> Tensor:
        """Return the outputs [M, H] by the gates' input products."""
        outputs_MH: Tensor
        if packing.begins is not None and packing.in_bf16 and kernels_for(products_MG):
            from gru4rec.model.encoders.gru_kernels import fits, run_lanes

            if fits(initial_SH.shape[1], products_MG.device):
                weights = (self.weight_hh, self.bias_hh)
                return run_lanes(products_MG, initial_SH, *weights, packing.begins)
        if self.bias_hh is None:
            outputs_MH = PackedGRUBefore.apply(  # type: ignore[no-untyped-call]
                products_MG, initial_SH, self.weight_hh, packing.block_sizes, packing.kept
            )
        else:
            outputs_MH = PackedGRU.apply(  # type: ignore[no-untyped-call]
                products_MG, initial_SH, self.weight_hh, self.bias_hh,
                packing.block_sizes, packing.kept,
            )  # fmt: skip
        return outputs_MH

    @staticmethod
    def is_served(packing: Packing) -> bool:
        """Whether one click of each session is all there is, and nothing is learned from it.

        Then torch's cell takes a third of the time of a window's preparations.
        """
        return len(packing.block_sizes) == 1 and not torch.is_grad_enabled()

    def gates_of(self, inputs_ME: Tensor, before_MH: Tensor) -> tuple[Tensor, Tensor]:
        """Return reset and update gates [M, H] of clicks, by the states before them."""
        recurrent_MG = before_MH @ self.weight_hh.t()
        products_MG = inputs_ME if self.weight_ih is None else inputs_ME @ self.weight_ih.t()
        if self.bias_hh is not None:
            recurrent_MG = recurrent_MG + self.bias_hh
        gates_MG = torch.sigmoid(products_MG + self.bias_ih + recurrent_MG)
        reset_MH, update_MH, _ = gates_MG.chunk(3, dim=1)
        return reset_MH, update_MH if self.bias_hh is None else 1 - update_MH

    def fused(self, inputs_ME: Tensor, packing: Packing, initial_SH: Tensor) -> Tensor:
        """Return the outputs [M, H] of torch's own GRU: cuDNN's on a GPU."""
        if self.weight_ih is None or self.bias_hh is None:
            raise TypeError("torch's GRU has no ready-made input products and resets after")
        self.lay_side_by_side()
        sequence = PackedSequence(inputs_ME, torch.tensor(packing.block_sizes))
        outputs_MH: Tensor = torch._VF.gru(
            sequence.data, sequence.batch_sizes, initial_SH.unsqueeze(0), self.weights,
            True, 1, 0.0, self.training, False,
        )[0]  # fmt: skip
        return outputs_MH


class GRU(Stacked):
    """GRU layers (Cho et al. 2014, Chung et al. 2014).

    The reset gate is applied after the recurrent product (torch, cuDNN, the GRU4Rec authors'
    PyTorch code), or with `reset_gate = "before"` on the hidden state (their paper).
    """

    takes_lanes = True
    takes_products = True

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        """With `onehot` inputs are gate products [M, G], else input embeddings [M, E]."""
        before = config.reset_gate == "before"
        first, *others = layer_sizes(config, input_size)
        sizes = [None if config.embedding == "onehot" else first, *others]
        layers = [GRULayer(size, config.hidden_size, reset_before=before) for size in sizes]
        super().__init__(config, input_size, layers)

    def gates(self, inputs_ME: Tensor) -> tuple[Tensor, Tensor]:
        """See `Encoder.gates`."""
        packing = Packing.of_one_segment(len(inputs_ME)).to(inputs_ME.device)
        resets, updates = [], []
        for layer in self.layers:
            assert isinstance(layer, GRULayer)
            initial_SH = inputs_ME.new_zeros(1, self.output_size)
            outputs_MH, _ = layer(inputs_ME, packing, initial_SH)
            reset_MH, update_MH = layer.gates_of(
                inputs_ME, torch.cat((initial_SH, outputs_MH[:-1]))
            )
            resets.append(reset_MH)
            updates.append(update_MH)
            inputs_ME = outputs_MH
        return torch.stack(resets), torch.stack(updates)
