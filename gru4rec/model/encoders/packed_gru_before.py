"""One GRU layer whose reset gate acts on the hidden state, its backward pass written by hand."""

from typing import Any

import torch
from torch import Tensor

from gru4rec.model.encoders.packed_gru import kept_of, states_before


class PackedGRUBefore(torch.autograd.Function):
    """The GRU of Chung et al. 2014 and of the GRU4Rec paper, from ready-made input products.

    For the gates' input products a = [a_r, a_z, a_n] (bias included), h the state before:
    r = σ(a_r + h W_rᵀ), z = σ(a_z + h W_zᵀ), n = tanh(a_n + (r∘h) W_nᵀ), h' = (1 − z)∘h + z∘n.

    z weighs the new state here and the old one in torch's GRU. Each position costs two matrix
    products, one after the other, forward and backward; torch's form costs one.
    """

    # M clicks, S segments, H units, G = 3H gate columns (reset, update, new)
    @staticmethod
    def forward(
        ctx: Any,
        products_MG: Tensor,
        initial_SH: Tensor,
        weight_GH: Tensor,
        block_sizes: list[int],
        kept_M1: Tensor | None = None,
    ) -> Tensor:
        """Outputs after every click [M, H]; `kept` is what states before are multiplied by."""
        size = initial_SH.shape[1]
        weight_rz, weight_n = weight_GH[: 2 * size].t(), weight_GH[2 * size :].t()
        gates_MG = torch.empty_like(products_MG)
        reset_state_MH = products_MG.new_empty(len(products_MG), size)
        outputs_MH = torch.empty_like(reset_state_MH)
        blocks = zip(
            torch.split(products_MG, block_sizes),
            torch.split(gates_MG, block_sizes),
            torch.split(reset_state_MH, block_sizes),
            torch.split(outputs_MH, block_sizes),
            kept_of(kept_M1, block_sizes),
            strict=True,
        )
        hidden = initial_SH
        for products, gates, reset_state, outputs, kept in blocks:
            hidden = hidden[: len(outputs)]
            if kept is not None:
                hidden = hidden * kept
            rz, new = gates[:, : 2 * size], gates[:, 2 * size :]
            rz.copy_(torch.addmm(products[:, : 2 * size], hidden, weight_rz).sigmoid_())
            torch.mul(gates[:, :size], hidden, out=reset_state)
            new.copy_(torch.addmm(products[:, 2 * size :], reset_state, weight_n).tanh_())
            hidden = torch.lerp(hidden, new, gates[:, size : 2 * size], out=outputs)
        ctx.save_for_backward(initial_SH, weight_GH, gates_MG, reset_state_MH, outputs_MH, kept_M1)
        ctx.block_sizes = block_sizes
        return outputs_MH

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor, None, None]:
        """Gradients of the products and the weight; what is carried over takes none."""
        initial_SH, weight_GH, gates_MG, reset_state_MH, outputs_MH, kept_M1 = ctx.saved_tensors
        block_sizes: list[int] = ctx.block_sizes
        size = initial_SH.shape[1]
        weight_rz, weight_n = weight_GH[: 2 * size], weight_GH[2 * size :]
        reset, update, new = gates_MG.chunk(3, 1)
        before_MH = states_before(initial_SH, outputs_MH, block_sizes, kept_M1)

        # How the gradient of an output reaches the products of z and n, and that of r∘h those of r.
        factor_n = update * (1 - new * new)
        factor_z = (new - before_MH).mul_(update).mul_(1 - update)
        factor_r = before_MH * reset * (1 - reset)
        d_outputs_MH = gradients[0].clone()
        d_products_MG = torch.empty_like(gates_MG)
        blocks = list(
            zip(
                *(
                    torch.split(part, block_sizes)
                    for part in (
                        d_outputs_MH, d_products_MG, reset, 1 - update, factor_r, factor_z, factor_n
                    )
                ),
                kept_of(kept_M1, block_sizes),
                strict=True,
            )
        )  # fmt: skip
        carried: Tensor | None = None
        for d_outputs, d_products, reset_gate, left, to_r, to_z, to_n, kept in reversed(blocks):
            if carried is not None:
                d_outputs[: len(carried)].add_(carried)
            d_r, d_z, d_n = d_products.chunk(3, 1)
            torch.mul(d_outputs, to_n, out=d_n)
            d_reset_state = d_n @ weight_n
            torch.mul(d_reset_state, to_r, out=d_r)
            torch.mul(d_outputs, to_z, out=d_z)
            carried = torch.addmm(d_outputs * left, d_products[:, : 2 * size], weight_rz)
            carried.addcmul_(d_reset_state, reset_gate)
            if kept is not None:
                carried.mul_(kept)

        d_weight = torch.empty_like(weight_GH)
        torch.mm(d_products_MG[:, : 2 * size].t(), before_MH, out=d_weight[: 2 * size])
        torch.mm(d_products_MG[:, 2 * size :].t(), reset_state_MH, out=d_weight[2 * size :])
        return d_products_MG, None, d_weight, None, None
