"""Adagrad for whole parameters, several by one Triton kernel."""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

_EPSILON = tl.constexpr(1e-6)  # that of optimizers.py
_VALUES = 1024  # of a program
_AT_ONCE = 8  # parameters of a kernel, which has the code once for each

# K parameters


@torch.no_grad()
def update_whole(
    weights_K: Sequence[Tensor],
    accumulated_K: Sequence[Tensor],
    velocities_K: Sequence[Tensor | None],
    gradients_K: Sequence[Tensor],
    rate: Tensor,
    momentum: float,
) -> None:
    """Move parameters as `Adagrad.update` does; `rate` is of shape [] and on the device.

    The velocities are all None, or none is.
    """
    for part in (*weights_K, *accumulated_K, *velocities_K):
        if part is not None and not part.is_contiguous():
            raise ValueError("parameters are updated in place and must be contiguous")
    for start in range(0, len(weights_K), _AT_ONCE):
        chunk = slice(start, start + _AT_ONCE)
        sizes = tuple(weight.numel() for weight in weights_K[chunk])
        _update[(triton.cdiv(max(sizes), _VALUES), len(sizes))](
            tuple(weights_K[chunk]), tuple(accumulated_K[chunk]),
            None if velocities_K[0] is None else tuple(velocities_K[chunk]),
            tuple(gradient.contiguous() for gradient in gradients_K[chunk]),
            sizes, rate, momentum, VALUES=_VALUES,
        )  # fmt: skip


@triton.jit  # type: ignore[untyped-decorator]
def _update(
    weights: tl.tuple,
    accumulated: tl.tuple,
    velocities: tl.tuple,
    gradients: tl.tuple,
    sizes: tl.tuple,
    rate: tl.tensor,
    momentum: tl.tensor,
    VALUES: tl.constexpr,
) -> None:
    """Move a part of one parameter."""
    at = tl.program_id(0) * VALUES + tl.arange(0, VALUES)
    for k in tl.static_range(len(weights)):
        if tl.program_id(1) == k:
            mask = at < sizes[k]
            g = tl.load(gradients[k] + at, mask=mask, other=0.0)
            sum_of_squares = tl.load(accumulated[k] + at, mask=mask, other=0.0) + g * g
            tl.store(accumulated[k] + at, sum_of_squares, mask=mask)
            step = -tl.load(rate).to(tl.float32) * g / tl.sqrt(sum_of_squares + _EPSILON)
            if velocities is not None:
                step += momentum * tl.load(velocities[k] + at, mask=mask, other=0.0)
                tl.store(velocities[k] + at, step, mask=mask)
            weight = tl.load(weights[k] + at, mask=mask, other=0.0)
            tl.store(weights[k] + at, weight + step, mask=mask)
