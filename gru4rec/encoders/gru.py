"""The GRU encoder: one or more stacked layers."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gru4rec.config import EncoderConfig
from gru4rec.encoders.packed_gru import PackedGRU
from gru4rec.encoders.packed_gru_before import PackedGRUBefore
from gru4rec.encoders.protocol import Encoder, Packing, State, dropout


class GRULayer(nn.Module):
    """One layer: torch's GRU, whose fused kernel it runs on a GPU; on a CPU our own `PackedGRU`.

    With `reset_before`, that of `PackedGRUBefore` everywhere. Without an `input_size` it takes the
    gates' input products [M, 3H] as they are, less their bias.
    """

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

    def forward(self, inputs: Tensor, packing: Packing, initial: Tensor) -> Tensor:
        """Outputs after every click [M, H], from the hidden state before each segment [S, H]."""
        if self.weight_ih is None:
            products = inputs + self.bias_ih
        elif inputs.is_cuda and self.bias_hh is not None:
            return self.fused(inputs, packing, initial)
        else:
            products = torch.addmm(self.bias_ih, inputs, self.weight_ih.t())
        sizes = packing.block_sizes
        outputs: Tensor
        if self.bias_hh is None:
            outputs = PackedGRUBefore.apply(products, initial, self.weight_hh, sizes)  # type: ignore[no-untyped-call]
        else:
            outputs = PackedGRU.apply(products, initial, self.weight_hh, self.bias_hh, sizes)  # type: ignore[no-untyped-call]
        return outputs

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


class GRU(Encoder):
    """GRU layers, each over the outputs of the one below; the last gives the session vector.

    The reset gate is applied after the recurrent product (torch, cuDNN, the authors' PyTorch code),
    or with `reset_gate = "before"` on the hidden state (their paper). With `state_dropout`, for
    windows of one step, components of each layer's output are dropped before they are scored and
    carried on, as the authors' code does. Its state is the hidden state of each layer.
    """

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        """`input_size` is that of input embeddings; None: inputs are gate products [M, 3H]."""
        super().__init__()
        self.output_size = config.hidden_size
        self.layer_dropout, self.state_dropout = config.layer_dropout, config.state_dropout
        reset_before = config.reset_gate == "before"
        sizes = [input_size] + [config.hidden_size] * (config.num_layers - 1)
        self.layers = nn.ModuleList(
            GRULayer(size, config.hidden_size, reset_before=reset_before) for size in sizes
        )

    def initial_state(self, num_sessions: int) -> State:
        """The hidden state of each layer, zeros [num_sessions, H]."""
        like = next(self.parameters())
        return tuple(like.new_zeros(num_sessions, self.output_size) for _ in self.layers)

    def forward(
        self, inputs: Tensor, packing: Packing, state: State, random: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`."""
        ends = []
        outputs = inputs
        for depth, (layer, initial) in enumerate(zip(self.layers, state, strict=True)):
            if depth > 0:
                outputs = dropout(outputs, self.layer_dropout, random)
            outputs = dropout(layer(outputs, packing, initial), self.state_dropout, random)
            ends.append(outputs.index_select(0, packing.ends))
        return outputs, tuple(ends)
