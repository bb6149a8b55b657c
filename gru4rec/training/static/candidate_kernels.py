"""Candidates of a window as a few Triton kernels: what `candidates._find` and `._join` do.

Each item of the catalog has marks that the places and draws of a window are gathered in. From these
it is numbered, and then each place and draw writes what its column and its row are.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from gru4rec.training.static.candidates import Columns, Rows, Sampling
from gru4rec.training.static.windows import Window

_NEVER = tl.constexpr(2**62)
_NOBODY = tl.constexpr(-2)
_DRAWN = tl.constexpr(-1)
_AT_ONCE = 256  # values of a program

# M places of a window, R draws, C columns, U rows of the input table, N items


def find(points: Tensor, cumulative: Tensor) -> Tensor:
    """Return the item whose share of all weights has each point of [0, 1) in it [R]."""
    found = torch.empty(len(points), dtype=torch.int64, device=points.device)
    _find[(triton.cdiv(len(points), _AT_ONCE),)](
        points, cumulative, found, len(points), len(cumulative), len(cumulative).bit_length(),
        BLOCK=_AT_ONCE,
    )  # fmt: skip
    return found


def join(window: Window, draws: Tensor, sampling: Sampling) -> tuple[Columns, Rows]:
    """Return the targets and draws of a window, each item once, and the rows it reads."""
    num_places, num_draws = len(window.targets), len(draws)
    num_items, shared = len(sampling.cumulative), sampling.shared
    num_columns = min(num_places + num_draws, num_items)
    num_rows = min((2 * num_places + num_draws) if shared else num_places, num_items)
    by_support = sampling.log_support is not None
    # first and last session, whether it is read; and by support how often target and draw
    marks = draws.new_full(((5 if by_support else 3) * num_items,), _NEVER.value)
    of_values = (triton.cdiv(num_places + num_draws, _AT_ONCE),)
    values = (
        window.targets, window.inputs, window.filled, draws, num_places, num_draws, num_items
    )  # fmt: skip
    _mark[of_values](*values, window.sessions, marks, COUNTS=by_support, BLOCK=_AT_ONCE)

    flags = draws.new_empty(2 * num_items, dtype=torch.int32)
    rows = draws.new_empty(num_rows)
    items = rows[:num_columns] if shared else draws.new_empty(num_columns)
    owners = draws.new_empty(num_columns)
    correction = draws.new_empty(num_columns, dtype=torch.float32)
    _flag[(triton.cdiv(num_items, _AT_ONCE),)](
        marks, flags, rows, items, owners, correction, num_rows, num_columns, num_items,
        SHARED=shared, BLOCK=_AT_ONCE,
    )  # fmt: skip
    ranks = flags.cumsum(0, dtype=torch.int32)

    columns, places = draws.new_empty(num_places), draws.new_empty(num_places)
    counts = draws.new_empty(2)
    _list[of_values](
        *values, marks, ranks, window.others, sampling.log_untargeted, sampling.log_unsampled,
        sampling.log_support, sampling.draws, rows, items, owners, correction, columns, places,
        counts, SHARED=shared, LOGQ=sampling.logq, ALPHA=sampling.alpha, BLOCK=_AT_ONCE,
    )  # fmt: skip
    return Columns(items, counts[0], columns, correction, owners), Rows(rows, counts[1], places)


@triton.jit  # type: ignore[untyped-decorator]
def _find(
    points: tl.tensor,
    cumulative: tl.tensor,
    found: tl.tensor,
    num_points: tl.tensor,
    num_items: tl.tensor,
    halvings: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """Search for each point by halves."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    point = tl.load(points + place, mask=place < num_points, other=0.0)
    point *= tl.load(cumulative + num_items - 1)
    low = tl.zeros((BLOCK,), dtype=tl.int32)
    high = low + num_items
    for _ in range(halvings):
        middle = low + (high - low) // 2
        below = tl.load(cumulative + middle, mask=low < high, other=float("inf")) <= point
        low = tl.where(below, middle + 1, low)
        high = tl.where(below, high, middle)
    tl.store(found + place, tl.minimum(low, num_items - 1), mask=place < num_points)


@triton.jit  # type: ignore[untyped-decorator]
def _values(
    targets: tl.tensor,
    filled: tl.tensor,
    draws: tl.tensor,
    num_places: tl.tensor,
    num_draws: tl.tensor,
    BLOCK: tl.constexpr,
) -> tuple[tl.tensor, ...]:
    """Return places of this program, which have a click, which are draws, and what they score."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    is_filled = tl.load(filled + place, mask=place < num_places, other=0) != 0
    is_draw = (place >= num_places) & (place < num_places + num_draws)
    target = tl.load(targets + place, mask=is_filled, other=0)
    item = tl.load(draws + place - num_places, mask=is_draw, other=0) + target
    return place, is_filled, is_draw, item


@triton.jit  # type: ignore[untyped-decorator]
def _mark(
    targets: tl.tensor,
    inputs: tl.tensor,
    filled: tl.tensor,
    draws: tl.tensor,
    num_places: tl.tensor,
    num_draws: tl.tensor,
    num_items: tl.tensor,
    sessions: tl.tensor,
    marks: tl.tensor,
    COUNTS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Gather in the marks of each item who brings it; a draw is a session of its own."""
    place, is_filled, is_draw, item = _values(
        targets, filled, draws, num_places, num_draws, BLOCK
    )  # fmt: skip
    occurs = is_filled | is_draw
    session = tl.load(sessions + place, mask=is_filled, other=_DRAWN)
    tl.atomic_min(marks + item, session, mask=occurs, sem="relaxed")
    tl.atomic_min(marks + num_items + item, -session, mask=occurs, sem="relaxed")
    if COUNTS:
        once = tl.full((BLOCK,), 1, dtype=tl.int64)
        count = marks + tl.where(is_draw, 4, 3).to(tl.int64) * num_items
        tl.atomic_add(count + item, once, mask=occurs, sem="relaxed")
    read = tl.load(inputs + place, mask=is_filled, other=0)
    tl.store(marks + 2 * num_items + read, 0, mask=is_filled)


@triton.jit  # type: ignore[untyped-decorator]
def _flag(
    marks: tl.tensor,
    flags: tl.tensor,
    rows: tl.tensor,
    items: tl.tensor,
    owners: tl.tensor,
    correction: tl.tensor,
    num_rows: tl.tensor,
    num_columns: tl.tensor,
    num_items: tl.tensor,
    SHARED: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Flag items that are scored, then those that are further rows; and clear what is listed."""
    item = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    is_item = item < num_items
    is_scored = tl.load(marks + item, mask=is_item, other=_NEVER) < _NEVER
    is_row = tl.load(marks + 2 * num_items + item, mask=is_item, other=_NEVER) < _NEVER
    if SHARED:
        is_row = is_row & (is_scored == 0)
    else:
        tl.store(items + item, 0, mask=item < num_columns)
    tl.store(flags + item, is_scored.to(tl.int32), mask=is_item)
    tl.store(flags + num_items + item, is_row.to(tl.int32), mask=is_item)
    tl.store(rows + item, 0, mask=item < num_rows)
    tl.store(owners + item, _NOBODY, mask=item < num_columns)
    tl.store(correction + item, float("inf"), mask=item < num_columns)


@triton.jit  # type: ignore[untyped-decorator]
def _list(
    targets: tl.tensor,
    inputs: tl.tensor,
    filled: tl.tensor,
    draws: tl.tensor,
    num_places: tl.tensor,
    num_draws: tl.tensor,
    num_items: tl.tensor,
    marks: tl.tensor,
    ranks: tl.tensor,
    others: tl.tensor,
    log_untargeted: tl.tensor,
    log_unsampled: tl.tensor,
    log_support: tl.tensor,
    draws_of_window: tl.tensor,
    rows: tl.tensor,
    items: tl.tensor,
    owners: tl.tensor,
    correction: tl.tensor,
    columns: tl.tensor,
    places: tl.tensor,
    counts: tl.tensor,
    SHARED: tl.constexpr,
    LOGQ: tl.constexpr,
    ALPHA: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Let each place and draw write its column and row; copies of an item write the same."""
    count = tl.load(ranks + num_items - 1)
    place, is_filled, is_draw, item = _values(
        targets, filled, draws, num_places, num_draws, BLOCK
    )  # fmt: skip
    occurs = is_filled | is_draw
    column = tl.load(ranks + item, mask=occurs, other=1) - 1
    tl.store(columns + place, tl.where(is_filled, column, 0), mask=place < num_places)
    tl.store(items + column, item, mask=occurs)
    first = tl.load(marks + item, mask=occurs, other=0)
    last = -tl.load(marks + num_items + item, mask=occurs, other=0)
    tl.store(owners + column, tl.where(first == last, first, _NOBODY), mask=occurs)
    if log_support is not None:
        as_target = tl.load(marks + 3 * num_items + item, mask=occurs, other=_NEVER) - _NEVER
        drawn = tl.load(marks + 4 * num_items + item, mask=occurs, other=_NEVER) - _NEVER
        scaled = -LOGQ * tl.load(log_support + item, mask=occurs, other=0.0)
        weight = as_target * tl.exp(scaled) + drawn * tl.exp(ALPHA * scaled)
        value = -tl.log(tl.where(occurs, weight, 1.0))
    elif LOGQ == 0:
        value = tl.zeros((BLOCK,), dtype=tl.float64)
    else:
        others_of_window = tl.load(others)
        absent = others_of_window * tl.load(log_untargeted + item, mask=occurs, other=0.0)
        absent += draws_of_window * tl.load(log_unsampled + item, mask=occurs, other=0.0)
        value = LOGQ * _log_complement_of_exp(tl.minimum(absent, -1e-12))
        # a click that has no negatives has nothing to correct
        value = tl.where((draws_of_window > 0) | (others_of_window > 0), value, 0.0)
    tl.store(correction + column, value.to(tl.float32), mask=occurs)

    read = tl.load(inputs + place, mask=is_filled, other=0)
    row = tl.load(ranks + num_items + read, mask=is_filled, other=1) - 1
    if SHARED:
        is_scored = tl.load(marks + read, mask=is_filled, other=_NEVER) < _NEVER
        row = tl.where(is_scored, tl.load(ranks + read, mask=is_filled, other=1) - 1, row)
    else:
        row = row - count
    tl.store(rows + row, read, mask=is_filled)
    tl.store(places + place, tl.where(is_filled, row, 0), mask=place < num_places)
    if tl.program_id(0) == 0:
        num_rows = tl.load(ranks + 2 * num_items - 1)
        tl.store(counts, count)
        tl.store(counts + 1, num_rows if SHARED else num_rows - count)


@triton.jit  # type: ignore[untyped-decorator]
def _log_complement_of_exp(value: tl.tensor) -> tl.tensor:
    """Return log(1 − e^value) of values below 0; of those near it by the series of 1 − e^x."""
    series = 1 + value / 2 * (1 + value / 3 * (1 + value / 4 * (1 + value / 5)))
    return tl.log(tl.where(value > -0.01, -value * series, 1 - tl.exp(value)))
