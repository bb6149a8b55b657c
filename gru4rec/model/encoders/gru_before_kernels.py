"""One GRU layer whose reset gate acts on the hidden state, as one Triton kernel each way."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from gru4rec.model.encoders.gru_kernels import (
    launch,
    load_gate,
    load_gate_transposed,
    sigmoid,
    tanh,
    to_bf16,
)

# For the letters see gru_kernels.py.


class FusedGRUBefore(torch.autograd.Function):
    """`PackedGRUBefore` for windows of T steps × B lanes in which sessions follow each other.

    Precision, `starts` and what stays on the chip are as with `FusedGRU`.
    """

    @staticmethod
    def forward(
        ctx: Any, products_TBG: Tensor, initial_BH: Tensor, weight_GH: Tensor, starts_TB: Tensor
    ) -> Tensor:
        """Return the outputs after every click [T, B, H]."""
        products_TBG, starts_TB = products_TBG.contiguous(), starts_TB.contiguous()
        weight_GH = weight_GH.contiguous()
        grid, sizes = launch(products_TBG, weight_GH)
        gates_TBG = torch.empty_like(products_TBG)
        outputs_TBH = products_TBG.new_empty(*starts_TB.shape, weight_GH.shape[1])
        before_TBH, reset_state_TBH = torch.empty_like(outputs_TBH), torch.empty_like(outputs_TBH)
        _forward[grid](
            products_TBG, initial_BH.contiguous(), weight_GH, starts_TB,
            outputs_TBH, before_TBH, gates_TBG, reset_state_TBH, *starts_TB.shape, **sizes,
        )  # fmt: skip
        ctx.save_for_backward(weight_GH, starts_TB, before_TBH, gates_TBG, reset_state_TBH)
        return outputs_TBH

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor, None]:
        """Gradients of the products and the weight; what is carried over takes none."""
        weight_GH, starts_TB, before_TBH, gates_TBG, reset_state_TBH = ctx.saved_tensors
        grid, sizes = launch(gates_TBG, weight_GH)
        d_products_TBG = torch.empty_like(gates_TBG)
        _backward[grid](
            gradients[0].contiguous(), weight_GH, starts_TB, before_TBH, gates_TBG,
            d_products_TBG, *starts_TB.shape, **sizes,
        )  # fmt: skip
        both = 2 * weight_GH.shape[1]
        d_products_GM = d_products_TBG.flatten(0, 1).t()
        d_weight_GH = torch.empty_like(weight_GH)
        torch.mm(d_products_GM[:both], before_TBH.flatten(0, 1), out=d_weight_GH[:both])
        torch.mm(d_products_GM[both:], reset_state_TBH.flatten(0, 1), out=d_weight_GH[both:])
        return d_products_TBG, None, d_weight_GH, None


@triton.jit  # type: ignore[untyped-decorator]
def _forward(
    products: tl.tensor,
    initial: tl.tensor,
    weight: tl.tensor,
    starts: tl.tensor,
    outputs: tl.tensor,
    before: tl.tensor,
    gates: tl.tensor,
    reset_state: tl.tensor,
    T: tl.tensor,
    B: tl.tensor,
    H: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    S: tl.constexpr,
) -> None:
    """Write outputs and what the backward pass reads: states before, gates, states reset."""
    units = tl.arange(0, P)
    lanes = tl.program_id(0) * L + tl.arange(0, L)
    is_lane = lanes < B
    is_place = is_lane[:, None] & (units < H)[None, :]
    weight_r = load_gate_transposed(weight, 0, H, P)
    weight_z = load_gate_transposed(weight, 1, H, P)
    weight_n = load_gate_transposed(weight, 2, H, P)
    state_LP = tl.load(initial + lanes[:, None] * H + units[None, :], mask=is_place, other=0.0)
    begins = tl.load(starts + lanes, mask=is_lane, other=0).to(tl.int1)
    for t in tl.range(T, num_stages=S):
        clicks = t * B + lanes
        in_H = clicks[:, None] * H + units[None, :]
        in_G = clicks[:, None] * (3 * H) + units[None, :]
        product_r = tl.load(products + in_G, mask=is_place, other=0.0)
        product_z = tl.load(products + in_G + H, mask=is_place, other=0.0)
        product_n = tl.load(products + in_G + 2 * H, mask=is_place, other=0.0)
        state_LP = tl.where(begins[:, None], 0.0, state_LP)
        begins = tl.load(starts + clicks + B, mask=is_lane & (t + 1 < T), other=0).to(tl.int1)
        tl.store(before + in_H, state_LP, mask=is_place)
        rounded_LP = to_bf16(state_LP)
        reset_LP = sigmoid(product_r + tl.dot(rounded_LP, weight_r))
        update_LP = sigmoid(product_z + tl.dot(rounded_LP, weight_z))
        reset_state_LP = reset_LP * state_LP
        new_LP = tanh(product_n + tl.dot(to_bf16(reset_state_LP), weight_n))
        state_LP += update_LP * (new_LP - state_LP)
        tl.store(outputs + in_H, state_LP, mask=is_place)
        tl.store(gates + in_G, reset_LP, mask=is_place)
        tl.store(gates + in_G + H, update_LP, mask=is_place)
        tl.store(gates + in_G + 2 * H, new_LP, mask=is_place)
        tl.store(reset_state + in_H, reset_state_LP, mask=is_place)


@triton.jit  # type: ignore[untyped-decorator]
def _backward(
    d_outputs: tl.tensor,
    weight: tl.tensor,
    starts: tl.tensor,
    before: tl.tensor,
    gates: tl.tensor,
    d_products: tl.tensor,
    T: tl.tensor,
    B: tl.tensor,
    H: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    S: tl.constexpr,
) -> None:
    """Write the gradients of the input products, which are those of the recurrent ones too."""
    units = tl.arange(0, P)
    lanes = tl.program_id(0) * L + tl.arange(0, L)
    is_lane = lanes < B
    is_place = is_lane[:, None] & (units < H)[None, :]
    weight_r = load_gate(weight, 0, H, P)
    weight_z = load_gate(weight, 1, H, P)
    weight_n = load_gate(weight, 2, H, P)
    d_state_LP = tl.zeros((L, P), tl.float32)
    for step in tl.range(T, num_stages=S):
        clicks = (T - 1 - step) * B + lanes
        in_H = clicks[:, None] * H + units[None, :]
        in_G = clicks[:, None] * (3 * H) + units[None, :]
        begins = tl.load(starts + clicks, mask=is_lane, other=0).to(tl.int1)
        d_state_LP += tl.load(d_outputs + in_H, mask=is_place, other=0.0)
        state_LP = tl.load(before + in_H, mask=is_place, other=0.0)
        reset_LP = tl.load(gates + in_G, mask=is_place, other=0.0)
        update_LP = tl.load(gates + in_G + H, mask=is_place, other=0.0)
        new_LP = tl.load(gates + in_G + 2 * H, mask=is_place, other=0.0)
        d_new_LP = d_state_LP * update_LP * (1 - new_LP * new_LP)
        d_update_LP = d_state_LP * (new_LP - state_LP) * update_LP * (1 - update_LP)
        d_reset_state_LP = tl.dot(to_bf16(d_new_LP), weight_n)
        d_reset_LP = d_reset_state_LP * state_LP * reset_LP * (1 - reset_LP)
        d_state_LP = d_state_LP * (1 - update_LP) + d_reset_state_LP * reset_LP
        d_state_LP = tl.dot(to_bf16(d_update_LP), weight_z, d_state_LP)
        d_state_LP = tl.dot(to_bf16(d_reset_LP), weight_r, d_state_LP)
        d_state_LP = tl.where(begins[:, None], 0.0, d_state_LP)
        tl.store(d_products + in_G, d_reset_LP, mask=is_place)
        tl.store(d_products + in_G + H, d_update_LP, mask=is_place)
        tl.store(d_products + in_G + 2 * H, d_new_LP, mask=is_place)
