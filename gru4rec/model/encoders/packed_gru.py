"""One GRU layer over a packed window, with its backward pass written by hand."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class PackedGRU(torch.autograd.Function):
    """torch's GRU (reset gate after the recurrent product) from ready-made input products.

    For the gates' input products a = [a_r, a_z, a_n] and recurrent products c = h W_hhᵀ + b_hh:
    r = σ(a_r + c_r), z = σ(a_z + c_z), n = tanh(a_n + r∘c_n), h' = n + z∘(h − n).

    Each position costs a matrix product and four cheap operations forward, one and three backward;
    all that does not depend on the order of positions is done for the whole window at once. On a
    CPU that takes 8 to 30 % less time than torch's own (`benchmarks/LOG.md`), and it takes the
    products of a one-hot input as they are.
    """

    # M clicks, S segments, H units, G = 3H gate columns (reset, update, new)
    @staticmethod
    def forward(
        ctx: Any,
        products_MG: Tensor,
        initial_SH: Tensor,
        weight_GH: Tensor,
        bias_G: Tensor,
        block_sizes: list[int],
        kept_M1: Tensor | None = None,
    ) -> Tensor:
        """Outputs after every click [M, H]; `kept` is what states before are multiplied by."""
        size = initial_SH.shape[1]
        gates_MG = torch.empty_like(products_MG)
        recurrent_MG = torch.empty_like(products_MG)
        outputs_MH = products_MG.new_empty(len(products_MG), size)
        reset_MH, update_MH, new_MH = gates_MG.chunk(3, 1)
        both, last = slice(2 * size), slice(2 * size, None)
        parts = (
            products_MG[:, both], products_MG[:, last], recurrent_MG, recurrent_MG[:, both],
            recurrent_MG[:, last], gates_MG[:, both], reset_MH, update_MH, new_MH, outputs_MH,
        )  # fmt: skip
        kept_blocks = kept_of(kept_M1, block_sizes)
        blocks = zip(*(torch.split(part, block_sizes) for part in parts), kept_blocks, strict=True)
        weight_HG = weight_GH.t()
        hidden = initial_SH
        for a_rz, a_n, recurrent, c_rz, c_n, rz, reset, update, new, outputs, kept in blocks:
            hidden = hidden[: len(outputs)]
            if kept is not None:
                hidden = hidden * kept
            torch.addmm(bias_G, hidden, weight_HG, out=recurrent)
            torch.add(a_rz, c_rz, out=rz).sigmoid_()
            torch.addcmul(a_n, reset, c_n, out=new).tanh_()
            hidden = torch.lerp(new, hidden, update, out=outputs)
        ctx.save_for_backward(initial_SH, weight_GH, gates_MG, recurrent_MG, outputs_MH, kept_M1)
        ctx.block_sizes = block_sizes
        return outputs_MH

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor, Tensor, None, None]:
        """Gradients of the products, the weight and the bias; what is carried over takes none."""
        initial_SH, weight_GH, gates_MG, recurrent_MG, outputs_MH, kept_M1 = ctx.saved_tensors
        block_sizes: list[int] = ctx.block_sizes
        reset, update, new = gates_MG.chunk(3, 1)
        recurrent_n = recurrent_MG.chunk(3, 1)[2]

        before_MH = states_before(initial_SH, outputs_MH, block_sizes, kept_M1)

        # How the gradient of an output reaches each recurrent product: d_output ∘ factor.
        factors_MG = torch.empty_like(gates_MG)
        factor_r, factor_z, factor_n = factors_MG.chunk(3, 1)
        to_new = (1 - update).mul_(1 - new * new)
        torch.mul(to_new, reset, out=factor_n)
        torch.mul(factor_n, 1 - reset, out=factor_r).mul_(recurrent_n)
        torch.sub(before_MH, new, out=factor_z).mul_(update).mul_(1 - update)

        d_outputs_MH = gradients[0].clone()
        d_recurrent_MG = torch.empty_like(gates_MG)
        size = initial_SH.shape[1]
        blocks = list(
            zip(
                torch.split(d_outputs_MH, block_sizes),
                torch.split(factors_MG.view(-1, 3, size), block_sizes),
                torch.split(d_recurrent_MG.view(-1, 3, size), block_sizes),
                torch.split(d_recurrent_MG, block_sizes),
                torch.split(update, block_sizes),
                kept_of(kept_M1, block_sizes),
                strict=True,
            )
        )
        carried: Tensor | None = None
        for d_outputs, factors, d_gates, d_recurrent, update_gate, kept in reversed(blocks):
            if carried is not None:
                d_outputs[: len(carried)].add_(carried)
            torch.mul(d_outputs.unsqueeze(1), factors, out=d_gates)
            carried = (d_outputs * update_gate).addmm_(d_recurrent, weight_GH)
            if kept is not None:
                carried.mul_(kept)

        d_weight = d_recurrent_MG.t() @ before_MH
        d_bias = d_recurrent_MG.sum(0)
        torch.mul(
            d_outputs_MH, to_new, out=d_recurrent_MG.chunk(3, 1)[2]
        )  # now those of the inputs
        return d_recurrent_MG, None, d_weight, d_bias, None, None


def kept_of(kept_M1: Tensor | None, block_sizes: list[int]) -> Sequence[Tensor | None]:
    """Return what the states before each position are multiplied by; None where all is kept."""
    if kept_M1 is None:
        return [None] * len(block_sizes)
    return torch.split(kept_M1, block_sizes)


def states_before(
    initial_SH: Tensor, outputs_MH: Tensor, block_sizes: list[int], kept_M1: Tensor | None
) -> Tensor:
    """Return the hidden state before each click [M, H]: the output of the position before."""
    before = [initial_SH[: block_sizes[0]]]
    for block, following in zip(
        torch.split(outputs_MH, block_sizes), block_sizes[1:], strict=False
    ):
        before.append(block[:following])
    before_MH = torch.cat(before)
    return before_MH if kept_M1 is None else before_MH * kept_M1
