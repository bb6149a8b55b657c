"""Rows divided by their length, as one Triton kernel each way."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from gru4rec.model.encoders.gru_kernels import to_bf16

_SHORTEST = tl.constexpr(1e-12)  # that of network.py
_VALUES = 2048  # of a program

# R rows, D width, C rows that are returned. In a kernel: P columns, D up to a power of two.


class _UnitRows(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows_RD: Tensor, scale: float, precision: torch.dtype, count: int
    ) -> Tensor:
        rows_RD = rows_RD.contiguous()
        unit_CD = rows_RD.new_empty(count, rows_RD.shape[1], dtype=precision)
        grid, sizes = _launch(count, rows_RD.shape[1])
        _forward[grid](rows_RD, unit_CD, scale, count, rows_RD.shape[1], **sizes)
        ctx.save_for_backward(rows_RD)
        ctx.scale, ctx.count = scale, count
        return unit_CD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (rows_RD,) = ctx.saved_tensors
        d_rows_RD = torch.empty_like(rows_RD)
        grid, sizes = _launch(*rows_RD.shape)
        _backward[grid](
            rows_RD, gradients[0].contiguous(), d_rows_RD, ctx.scale, ctx.count, *rows_RD.shape,
            **sizes,
        )  # fmt: skip
        return d_rows_RD, None, None, None


def unit_rows(
    rows_RD: Tensor,
    *,
    scale: float = 1.0,
    precision: torch.dtype = torch.float32,
    count: int | None = None,
) -> Tensor:
    """Return the first `count` rows as `network.unit` does, times `scale`, in a precision [C, D].

    The rows are float32. The other rows take a gradient of zero.
    """
    if rows_RD.dtype != torch.float32:
        raise ValueError(f"rows are to be float32, got {rows_RD.dtype}")
    count = len(rows_RD) if count is None else count
    unit_CD: Tensor = _UnitRows.apply(rows_RD, scale, precision, count)  # type: ignore[no-untyped-call]
    return unit_CD


def _launch(num_rows: int, width: int) -> tuple[tuple[int], dict[str, int]]:
    """Return the grid of a kernel, and its sizes."""
    columns = triton.next_power_of_2(width)
    rows = max(1, _VALUES // columns)
    return (triton.cdiv(num_rows, rows),), {"ROWS": rows, "P": columns}


@triton.jit  # type: ignore[untyped-decorator]
def _forward(
    rows: tl.tensor,
    unit: tl.tensor,
    scale: tl.tensor,
    count: tl.tensor,
    width: tl.tensor,
    ROWS: tl.constexpr,
    P: tl.constexpr,
) -> None:
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, P)
    mask = (row < count)[:, None] & (column < width)[None, :]
    at = row.to(tl.int64)[:, None] * width + column[None, :]
    value = tl.load(rows + at, mask=mask, other=0.0)
    length = tl.maximum(tl.sqrt(tl.sum(value * value, 1)), _SHORTEST)
    value = value * (scale / length)[:, None]
    if unit.dtype.element_ty == tl.bfloat16:
        value = to_bf16(value)
    tl.store(unit + at, value, mask=mask)


@triton.jit  # type: ignore[untyped-decorator]
def _backward(
    rows: tl.tensor,
    gradient: tl.tensor,
    d_rows: tl.tensor,
    scale: tl.tensor,
    count: tl.tensor,
    num_rows: tl.tensor,
    width: tl.tensor,
    ROWS: tl.constexpr,
    P: tl.constexpr,
) -> None:
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, P)
    is_column = (column < width)[None, :]
    mask, is_unit = (row < num_rows)[:, None] & is_column, (row < count)[:, None] & is_column
    at = row.to(tl.int64)[:, None] * width + column[None, :]
    value = tl.load(rows + at, mask=is_unit, other=0.0)
    g = tl.load(gradient + at, mask=is_unit, other=0.0).to(tl.float32)
    inverse = 1 / tl.maximum(tl.sqrt(tl.sum(value * value, 1)), _SHORTEST)
    value = value * inverse[:, None]
    along = tl.sum(g * value, 1)
    tl.store(d_rows + at, (g - value * along[:, None]) * (scale * inverse)[:, None], mask=mask)
