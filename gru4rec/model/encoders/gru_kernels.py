"""One GRU layer over a window of lanes, as one Triton kernel each way."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

# T steps, B lanes, H units, G = 3H gate columns (reset, update, new). In a kernel: L lanes of a
# program; P units, H up to a power of two; S steps that are on the chip or on their way.
# Products and weights of units beyond H are zero, so that their state stays zero.

_LANES = 16  # the fewest rows that a tensor core multiplies
_MOST_UNITS = 128
_MOST_STEPS_AT_ONCE = 3

_INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)


class FusedGRU(torch.autograd.Function):
    """`PackedGRU` for windows of T steps × B lanes in which sessions follow each other.

    Recurrent products are of bf16 values, summed in float32; all else is float32. Where `starts`
    is true a session begins, and the state before is zero. The weight stays on the chip for all
    steps. Nothing waits for the device, so that it can be part of a CUDA graph.
    """

    @staticmethod
    def forward(
        ctx: Any,
        products_TBG: Tensor,
        initial_BH: Tensor,
        weight_GH: Tensor,
        bias_G: Tensor,
        starts_TB: Tensor,
    ) -> Tensor:
        """Return the outputs after every click [T, B, H]."""
        products_TBG, starts_TB = products_TBG.contiguous(), starts_TB.contiguous()
        weight_GH = weight_GH.contiguous()
        grid, sizes = launch(products_TBG, weight_GH)
        gates_TBG = torch.empty_like(products_TBG)
        outputs_TBH = products_TBG.new_empty(*starts_TB.shape, weight_GH.shape[1])
        before_TBH, recurrent_TBH = torch.empty_like(outputs_TBH), torch.empty_like(outputs_TBH)
        _forward[grid](
            products_TBG, initial_BH.contiguous(), weight_GH, bias_G.contiguous(), starts_TB,
            outputs_TBH, before_TBH, gates_TBG, recurrent_TBH, *starts_TB.shape, **sizes,
        )  # fmt: skip
        ctx.save_for_backward(weight_GH, starts_TB, before_TBH, gates_TBG, recurrent_TBH)
        return outputs_TBH

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, Tensor, Tensor, None]:
        """Gradients of the products, the weight and the bias; what is carried over takes none."""
        weight_GH, starts_TB, before_TBH, gates_TBG, recurrent_TBH = ctx.saved_tensors
        grid, sizes = launch(gates_TBG, weight_GH)
        d_products_TBG, d_recurrent_TBG = torch.empty_like(gates_TBG), torch.empty_like(gates_TBG)
        _backward[grid](
            gradients[0].contiguous(), weight_GH, starts_TB, before_TBH, gates_TBG, recurrent_TBH,
            d_products_TBG, d_recurrent_TBG, *starts_TB.shape, **sizes,
        )  # fmt: skip
        d_recurrent_MG = d_recurrent_TBG.flatten(0, 1)
        d_weight_GH = d_recurrent_MG.t() @ before_TBH.flatten(0, 1)
        return d_products_TBG, None, d_weight_GH, d_recurrent_MG.sum(0), None


def run_lanes(
    products_MG: Tensor,
    initial_BH: Tensor,
    weight_GH: Tensor,
    bias_G: Tensor | None,
    begins_M: Tensor,
) -> Tensor:
    """Return the outputs of lanes [M, H], row by row; without a bias the reset gate acts before."""
    from gru4rec.model.encoders.gru_before_kernels import FusedGRUBefore

    shape = (-1, len(initial_BH))
    products_TBG, begins_TB = products_MG.view(*shape, products_MG.shape[1]), begins_M.view(shape)
    outputs_TBH: Tensor
    if bias_G is None:
        outputs_TBH = FusedGRUBefore.apply(products_TBG, initial_BH, weight_GH, begins_TB)  # type: ignore[no-untyped-call]
    else:
        outputs_TBH = FusedGRU.apply(products_TBG, initial_BH, weight_GH, bias_G, begins_TB)  # type: ignore[no-untyped-call]
    return outputs_TBH.flatten(0, 1)


def fits(num_units: int, device: torch.device) -> bool:
    """Whether the kernels run on a device with as many units."""
    if num_units > _MOST_UNITS:
        return False
    if device.type != "cuda":
        return bool(triton.knobs.runtime.interpret)
    return (
        torch.cuda.get_device_capability(device) >= (8, 0) and steps_at_once(num_units, device) > 0
    )


def launch(products_TBG: Tensor, weight_GH: Tensor) -> tuple[tuple[int], dict[str, int]]:
    """Return the grid of a window's kernels, and their sizes."""
    num_units, device = weight_GH.shape[1], weight_GH.device
    if not fits(num_units, device):
        raise ValueError(f"the kernels do not run on {device} with {num_units} units")
    padded = padded_units(num_units)
    # A warp multiplies by 16 columns of each matrix.
    sizes = {"H": num_units, "P": padded, "L": _LANES, "num_warps": padded // 16}
    sizes["S"] = steps_at_once(num_units, device)
    return (triton.cdiv(products_TBG.shape[1], _LANES),), sizes


def padded_units(num_units: int) -> int:
    """Return P."""
    return max(16, 1 << (num_units - 1).bit_length())


def steps_at_once(num_units: int, device: torch.device) -> int:
    """Return S: how many steps fit on the chip beside the weight; 0 if not even one."""
    if device.type != "cuda":
        return 1
    padded, chip = padded_units(num_units), torch.cuda.get_device_properties(device)
    # torch's stubs lack the first, AMD's devices too.
    room = int(getattr(chip, "shared_memory_per_block_optin", chip.shared_memory_per_block))
    weight, tile = 3 * padded * padded * 2, _LANES * padded * 4  # bytes of bf16, of float32
    # The backward pass reads six tiles a step; up to two more are between one layout and another.
    return max(0, min(_MOST_STEPS_AT_ONCE, 1 + (room - weight - 2 * tile) // (6 * tile)))


@triton.jit  # type: ignore[untyped-decorator]
def to_bf16(x: tl.tensor) -> tl.tensor:
    """Round to bf16, to nearest even.

    The interpreter cuts bits off instead and multiplies bf16 as if they were integers. There the
    bits are rounded by hand, and what is rounded stays float32; the products are the same.
    """
    if _INTERPRETED:
        bits = x.to(tl.uint32, bitcast=True)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        return bits.to(tl.float32, bitcast=True)
    return x.to(tl.bfloat16)


@triton.jit  # type: ignore[untyped-decorator]
def sigmoid(x: tl.tensor) -> tl.tensor:
    """1 / (1 + e⁻ˣ)."""
    return 1 / (1 + tl.exp(-x))


@triton.jit  # type: ignore[untyped-decorator]
def tanh(x: tl.tensor) -> tl.tensor:
    """2 σ(2x) − 1."""
    return 2 / (1 + tl.exp(-2 * x)) - 1


@triton.jit  # type: ignore[untyped-decorator]
def load_gate(weight: tl.tensor, gate: tl.constexpr, H: tl.constexpr, P: tl.constexpr) -> tl.tensor:
    """Load the recurrent matrix of a gate [P, P] as it lies in the weight: outputs × inputs."""
    out, into = tl.arange(0, P)[:, None], tl.arange(0, P)[None, :]
    at = weight + gate * H * H + out * H + into
    return to_bf16(tl.load(at, mask=(out < H) & (into < H), other=0.0))


@triton.jit  # type: ignore[untyped-decorator]
def load_gate_transposed(
    weight: tl.tensor, gate: tl.constexpr, H: tl.constexpr, P: tl.constexpr
) -> tl.tensor:
    """Load the recurrent matrix of a gate [P, P] transposed: inputs × outputs."""
    into, out = tl.arange(0, P)[:, None], tl.arange(0, P)[None, :]
    at = weight + gate * H * H + out * H + into
    return to_bf16(tl.load(at, mask=(out < H) & (into < H), other=0.0))


@triton.jit  # type: ignore[untyped-decorator]
def _forward(
    products: tl.tensor,
    initial: tl.tensor,
    weight: tl.tensor,
    bias: tl.tensor,
    starts: tl.tensor,
    outputs: tl.tensor,
    before: tl.tensor,
    gates: tl.tensor,
    recurrent: tl.tensor,
    T: tl.tensor,
    B: tl.tensor,
    H: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    S: tl.constexpr,
) -> None:
    """Write outputs and what `_backward` reads: states before, gates, recurrent products of n."""
    units = tl.arange(0, P)
    lanes = tl.program_id(0) * L + tl.arange(0, L)
    is_unit, is_lane = units < H, lanes < B
    is_place = is_lane[:, None] & is_unit[None, :]
    weight_r = load_gate_transposed(weight, 0, H, P)
    weight_z = load_gate_transposed(weight, 1, H, P)
    weight_n = load_gate_transposed(weight, 2, H, P)
    bias_r = tl.load(bias + units, mask=is_unit, other=0.0)[None, :]
    bias_z = tl.load(bias + H + units, mask=is_unit, other=0.0)[None, :]
    bias_n = tl.load(bias + 2 * H + units, mask=is_unit, other=0.0)[None, :]
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
        reset_LP = sigmoid(product_r + tl.dot(rounded_LP, weight_r) + bias_r)
        update_LP = sigmoid(product_z + tl.dot(rounded_LP, weight_z) + bias_z)
        recurrent_LP = tl.dot(rounded_LP, weight_n) + bias_n
        new_LP = tanh(product_n + reset_LP * recurrent_LP)
        state_LP = new_LP + update_LP * (state_LP - new_LP)
        tl.store(outputs + in_H, state_LP, mask=is_place)
        tl.store(gates + in_G, reset_LP, mask=is_place)
        tl.store(gates + in_G + H, update_LP, mask=is_place)
        tl.store(gates + in_G + 2 * H, new_LP, mask=is_place)
        tl.store(recurrent + in_H, recurrent_LP, mask=is_place)


@triton.jit  # type: ignore[untyped-decorator]
def _backward(
    d_outputs: tl.tensor,
    weight: tl.tensor,
    starts: tl.tensor,
    before: tl.tensor,
    gates: tl.tensor,
    recurrent: tl.tensor,
    d_products: tl.tensor,
    d_recurrent: tl.tensor,
    T: tl.tensor,
    B: tl.tensor,
    H: tl.constexpr,
    P: tl.constexpr,
    L: tl.constexpr,
    S: tl.constexpr,
) -> None:
    """Write the gradients of the input products and of the recurrent products."""
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
        recurrent_LP = tl.load(recurrent + in_H, mask=is_place, other=0.0)
        d_new_LP = d_state_LP * (1 - update_LP) * (1 - new_LP * new_LP)
        d_recurrent_n = d_new_LP * reset_LP
        d_reset_LP = d_recurrent_n * (1 - reset_LP) * recurrent_LP
        d_update_LP = d_state_LP * (state_LP - new_LP) * update_LP * (1 - update_LP)
        d_state_LP = d_state_LP * update_LP
        d_state_LP = tl.dot(to_bf16(d_reset_LP), weight_r, d_state_LP)
        d_state_LP = tl.dot(to_bf16(d_update_LP), weight_z, d_state_LP)
        d_state_LP = tl.dot(to_bf16(d_recurrent_n), weight_n, d_state_LP)
        d_state_LP = tl.where(begins[:, None], 0.0, d_state_LP)
        tl.store(d_products + in_G, d_reset_LP, mask=is_place)
        tl.store(d_products + in_G + H, d_update_LP, mask=is_place)
        tl.store(d_products + in_G + 2 * H, d_new_LP, mask=is_place)
        tl.store(d_recurrent + in_G, d_reset_LP, mask=is_place)
        tl.store(d_recurrent + in_G + H, d_update_LP, mask=is_place)
        tl.store(d_recurrent + in_G + 2 * H, d_recurrent_n, mask=is_place)
