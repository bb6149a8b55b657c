"""Gather rows of a table and drop components, and the way back, as one Triton kernel each."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from gru4rec.model import least_kept

_VALUES = 1024  # of a program

# U rows, M places, E length of an input


@torch.no_grad()
def read_rows(rows_UE: Tensor, places_M: Tensor, bits: Tensor | None, probability: float) -> Tensor:
    """Return the rows at the places [M, E], components dropped by their bits [M·E], if any."""
    read_ME = rows_UE.new_empty(len(places_M), rows_UE.shape[1])
    grid, numbers, tile = _launch(places_M, rows_UE, probability)
    _read[grid](rows_UE.contiguous(), places_M.contiguous(), bits, read_ME, *numbers, **tile)
    return read_ME


@torch.no_grad()
def add_rows_(
    rows_UE: Tensor, places_M: Tensor, added_ME: Tensor, bits: Tensor | None, probability: float
) -> None:
    """Add onto the rows at the places, components dropped in the same way."""
    if not rows_UE.is_contiguous():
        raise ValueError("rows are added to in place and must be contiguous")
    grid, numbers, tile = _launch(places_M, rows_UE, probability)
    _add[grid](rows_UE, places_M.contiguous(), bits, added_ME.contiguous(), *numbers, **tile)


def _launch(
    places_M: Tensor, rows_UE: Tensor, probability: float
) -> tuple[tuple[int, int], tuple[int | float, ...], dict[str, int]]:
    """Return the grid of a kernel, its numbers and the sizes of its tile."""
    width = rows_UE.shape[1]
    columns = min(128, triton.next_power_of_2(width))
    rows = _VALUES // columns
    grid = (triton.cdiv(len(places_M), rows), triton.cdiv(width, columns))
    numbers = (least_kept(probability), 1 / (1 - probability), width, len(places_M))
    return grid, numbers, {"ROWS": rows, "COLUMNS": columns}


@triton.jit  # type: ignore[untyped-decorator]
def _kept(
    value: tl.tensor, bits: tl.tensor, mask: tl.tensor, least: tl.tensor, factor: tl.tensor
) -> tl.tensor:
    """Zero and scale values by their bits."""
    is_kept = tl.load(bits, mask=mask, other=0).to(tl.int32) >= least
    return tl.where(is_kept, value * factor, 0.0)


@triton.jit  # type: ignore[untyped-decorator]
def _read(
    rows: tl.tensor,
    places: tl.tensor,
    bits: tl.tensor,
    read: tl.tensor,
    least: tl.tensor,
    factor: tl.tensor,
    width: tl.tensor,
    num_places: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    place = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    mask = (place < num_places)[:, None] & (column < width)[None, :]
    row = tl.load(places + place, mask=place < num_places, other=0).to(tl.int64)
    at = place.to(tl.int64)[:, None] * width + column[None, :]
    value = tl.load(rows + row[:, None] * width + column[None, :], mask=mask, other=0.0)
    if bits is not None:
        value = _kept(value, bits + at, mask, least, factor)
    tl.store(read + at, value, mask=mask)


@triton.jit  # type: ignore[untyped-decorator]
def _add(
    rows: tl.tensor,
    places: tl.tensor,
    bits: tl.tensor,
    added: tl.tensor,
    least: tl.tensor,
    factor: tl.tensor,
    width: tl.tensor,
    num_places: tl.tensor,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    """Leave out zeros: places without a click share a row, and would wait for each other."""
    place = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    mask = (place < num_places)[:, None] & (column < width)[None, :]
    row = tl.load(places + place, mask=place < num_places, other=0).to(tl.int64)
    at = place.to(tl.int64)[:, None] * width + column[None, :]
    value = tl.load(added + at, mask=mask, other=0.0)
    if bits is not None:
        value = _kept(value, bits + at, mask, least, factor)
    mask &= value != 0
    tl.atomic_add(rows + row[:, None] * width + column[None, :], value, mask=mask, sem="relaxed")
