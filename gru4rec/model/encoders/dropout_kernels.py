"""Dropout by given bits, as one Triton kernel each way."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from gru4rec.model.encoders.protocol import least_kept

_VALUES = 1024  # of a program


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, bits: Tensor, probability: float) -> Tensor:
        ctx.save_for_backward(bits)
        ctx.probability = probability
        return _dropped(values, bits, probability)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (bits,) = ctx.saved_tensors
        return _dropped(gradients[0], bits, ctx.probability), None, None


def drop(values: Tensor, bits: Tensor, probability: float) -> Tensor:
    """Zero and scale components as `dropout` does, by their bits [values.numel()]."""
    dropped: Tensor = _Drop.apply(values, bits, probability)  # type: ignore[no-untyped-call]
    return dropped


def _dropped(values: Tensor, bits: Tensor, probability: float) -> Tensor:
    dropped = torch.empty_like(values, memory_format=torch.contiguous_format)
    _drop[(triton.cdiv(values.numel(), _VALUES),)](
        values.contiguous(), bits, dropped, least_kept(probability), 1 / (1 - probability),
        values.numel(), VALUES=_VALUES,
    )  # fmt: skip
    return dropped


@triton.jit  # type: ignore[untyped-decorator]
def kept(
    value: tl.tensor, bits: tl.tensor, mask: tl.tensor, least: tl.tensor, factor: tl.tensor
) -> tl.tensor:
    """Zero and scale values by their bits."""
    is_kept = tl.load(bits, mask=mask, other=0).to(tl.int32) >= least
    return tl.where(is_kept, value * factor, 0.0)


@triton.jit  # type: ignore[untyped-decorator]
def _drop(
    values: tl.tensor,
    bits: tl.tensor,
    dropped: tl.tensor,
    least: tl.tensor,
    factor: tl.tensor,
    count: tl.tensor,
    VALUES: tl.constexpr,
) -> None:
    at = tl.program_id(0).to(tl.int64) * VALUES + tl.arange(0, VALUES)
    mask = at < count
    value = tl.load(values + at, mask=mask, other=0.0)
    tl.store(dropped + at, kept(value, bits + at, mask, least, factor), mask=mask)
