"""Rows divided by their length, as one Triton kernel each way."""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from gru4rec.model.encoders.dropout_kernels import kept
from gru4rec.model.encoders.gru_kernels import to_bf16
from gru4rec.model.encoders.protocol import least_kept

_SHORTEST = tl.constexpr(1e-12)  # that of network.py
_VALUES = 2048  # of a program

# R rows, D width, C rows that are returned. In a kernel: P columns, D up to a power of two.


class _UnitRows(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        rows_RD: Tensor,
        scale: float,
        precision: torch.dtype,
        count: int,
        bits: Tensor | None,
        probability: float,
    ) -> Tensor:
        rows_RD = rows_RD.contiguous()
        unit_CD = rows_RD.new_empty(count, rows_RD.shape[1], dtype=precision)
        grid, sizes = _launch(count, rows_RD.shape[1])
        ctx.save_for_backward(rows_RD, bits)
        ctx.numbers = (scale, least_kept(probability), 1 / (1 - probability), count)
        _forward[grid](rows_RD, bits, unit_CD, *ctx.numbers, rows_RD.shape[1], **sizes)
        return unit_CD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows_RD, bits = ctx.saved_tensors
        d_rows_RD = torch.empty_like(rows_RD)
        grid, sizes = _launch(*rows_RD.shape)
        _backward[grid](
            rows_RD, bits, gradients[0].contiguous(), d_rows_RD, *ctx.numbers, *rows_RD.shape,
            **sizes,
        )  # fmt: skip
        return d_rows_RD, None, None, None, None, None


def unit_rows(
    rows_RD: Tensor,
    *,
    scale: float = 1.0,
    precision: torch.dtype = torch.float32,
    count: int | None = None,
    bits: Tensor | None = None,
    probability: float = 0.0,
) -> Tensor:
    """Return the first `count` rows as `network.unit` does, times `scale`, in a precision [C, D].

    With `bits` [R·D] components are dropped first, as `dropout` does. The rows are float32. The
    others than the first take a gradient of zero.
    """
    if rows_RD.dtype != torch.float32:
        raise ValueError(f"rows are to be float32, got {rows_RD.dtype}")
    count = len(rows_RD) if count is None else count
    unit_CD: Tensor = _UnitRows.apply(  # type: ignore[no-untyped-call]
        rows_RD, scale, precision, count, bits, probability
    )
    return unit_CD


def _launch(num_rows: int, width: int) -> tuple[tuple[int], dict[str, int]]:
    """Return the grid of a kernel, and its sizes."""
    columns = triton.next_power_of_2(width)
    rows = max(1, _VALUES // columns)
    return (triton.cdiv(num_rows, rows),), {"ROWS": rows, "P": columns}


@triton.jit  # type: ignore[untyped-decorator]
def _forward(
    rows: tl.tensor,
    bits: tl.tensor,
    unit: tl.tensor,
    scale: tl.tensor,
    least: tl.tensor,
    factor: tl.tensor,
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
    if bits is not None:
        value = kept(value, bits + at, mask, least, factor)
    length = tl.maximum(tl.sqrt(tl.sum(value * value, 1)), _SHORTEST)
    value = value * (scale / length)[:, None]
    if unit.dtype.element_ty == tl.bfloat16:
        value = to_bf16(value)
    tl.store(unit + at, value, mask=mask)


@triton.jit  # type: ignore[untyped-decorator]
def _backward(
    rows: tl.tensor,
    bits: tl.tensor,
    gradient: tl.tensor,
    d_rows: tl.tensor,
    scale: tl.tensor,
    least: tl.tensor,
    factor: tl.tensor,
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
    if bits is not None:
        value = kept(value, bits + at, is_unit, least, factor)
    inverse = 1 / tl.maximum(tl.sqrt(tl.sum(value * value, 1)), _SHORTEST)
    value = value * inverse[:, None]
    along = tl.sum(g * value, 1)
    d_value = (g - value * along[:, None]) * (scale * inverse)[:, None]
    if bits is not None:
        d_value = kept(d_value, bits + at, is_unit, least, factor)
    tl.store(d_rows + at, d_value, mask=mask)
