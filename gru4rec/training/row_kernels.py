"""Adagrad for the touched rows of a table, as one Triton kernel."""

import torch
import triton
import triton.language as tl
from torch import Tensor

_EPSILON = tl.constexpr(1e-6)  # that of optimizers.py
_VALUES = 1024  # of a program

# N rows of a table, W values of a row, R rows of an update with its padding


@torch.no_grad()
def update_rows(
    weight_NW: Tensor,
    accumulated_NW: Tensor,
    velocity_NW: Tensor | None,
    rows_R: Tensor,
    gradient_RW: Tensor,
    used: Tensor,
    rate: Tensor,
    momentum: float,
) -> None:
    """Move the first `used` of the rows, each named once, as `Adagrad.update_rows` does.

    `used` (int64) and `rate` (float32) are of shape [] and on the device: how many rows count is
    read there, and rows after them are padding. A table may also be [N], its gradient then [R].
    """
    for table in (weight_NW, accumulated_NW, velocity_NW):
        if table is not None and not table.is_contiguous():
            raise ValueError("a table is updated in place and must be contiguous")
    width = weight_NW[0].numel()
    columns = min(128, triton.next_power_of_2(width))
    rows = _VALUES // columns
    grid = (triton.cdiv(len(rows_R), rows), triton.cdiv(width, columns))
    _update[grid](
        weight_NW, accumulated_NW, velocity_NW, rows_R.contiguous(), gradient_RW.contiguous(),
        used, rate, momentum, width, len(rows_R), ROWS=rows, COLUMNS=columns,
    )  # fmt: skip


@triton.jit  # type: ignore[untyped-decorator]
def _update(
    weight: tl.tensor,
    accumulated: tl.tensor,
    velocity: tl.tensor,
    rows: tl.tensor,
    gradient: tl.tensor,
    used: tl.tensor,
    rate: tl.tensor,
    momentum: tl.tensor,
    width: tl.tensor,
    num_rows: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    places = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    is_used = places < tl.minimum(tl.load(used), num_rows)
    mask = is_used[:, None] & (columns < width)[None, :]
    # 64 bits: a catalog may have more than 2³¹ values
    row = tl.load(rows + places, mask=is_used, other=0).to(tl.int64)
    at = row[:, None] * width + columns[None, :]
    from_place = places.to(tl.int64)[:, None] * width + columns[None, :]
    g = tl.load(gradient + from_place, mask=mask, other=0.0)
    sum_of_squares = tl.load(accumulated + at, mask=mask, other=0.0) + g * g
    tl.store(accumulated + at, sum_of_squares, mask=mask)
    step = -tl.load(rate) * g / tl.sqrt(sum_of_squares + _EPSILON)
    if velocity is not None:
        step += momentum * tl.load(velocity + at, mask=mask, other=0.0)
        tl.store(velocity + at, step, mask=mask)
    tl.store(weight + at, tl.load(weight + at, mask=mask, other=0.0) + step, mask=mask)
