"""The next window of a plan, as one Triton kernel: what `windows._read` does."""

from collections.abc import Mapping

import torch
import triton
import triton.language as tl
from torch import Tensor

from gru4rec.sessions import NO_CLICK, ORDINARY_CLICKS
from gru4rec.training.static.windows import Window

_STRETCH = tl.constexpr(ORDINARY_CLICKS)
_NO_CLICK = tl.constexpr(NO_CLICK)
_LANES = 32  # of a program, at most
_PLACES = 1024  # that it takes at once

# B lanes, T rows of a window, M = T·B places, F side inputs


def read(
    plan: Mapping[str, Tensor], number: Tensor, items: Tensor, sides: Tensor, height: int
) -> Window:
    """Return window `number` [1] of a plan, which has so many rows."""
    lanes, num_sides = plan["ends"].shape[1], sides.shape[1]
    size = height * lanes
    inputs, targets, sessions = (items.new_empty(size) for _ in range(3))
    filled, begins = (items.new_empty(size, dtype=torch.bool) for _ in range(2))
    codes, ends = items.new_empty((size, num_sides)), items.new_empty(lanes)
    figures = items.new_empty(2, dtype=torch.float64)
    rate_factor = items.new_empty((), dtype=torch.float32)
    lanes_at_once = min(_LANES, triton.next_power_of_2(lanes))
    _read[(triton.cdiv(lanes, lanes_at_once),)](
        plan["clicks"], plan["begins"], plan["starts"], plan["ends"], plan["figures"], number,
        items, sides, inputs, targets, sessions, filled, begins, codes, ends, figures, rate_factor,
        height, lanes, num_sides, triton.cdiv(height, ORDINARY_CLICKS),
        ENDLESS=height > ORDINARY_CLICKS, LANES=lanes_at_once,
        ROWS=min(_PLACES // lanes_at_once, triton.next_power_of_2(height)),
    )  # fmt: skip
    return Window(
        inputs=inputs,
        sides=codes,
        targets=targets,
        filled=filled,
        begins=begins,
        ends=ends,
        sessions=sessions,
        num_clicks=figures[0],
        others=figures[1],
        rate_factor=rate_factor,
    )


@triton.jit  # type: ignore[untyped-decorator]
def _larger(one: tl.tensor, other: tl.tensor) -> tl.tensor:
    return tl.maximum(one, other)


@triton.jit  # type: ignore[untyped-decorator]
def _read(
    clicks: tl.tensor,
    all_begins: tl.tensor,
    starts: tl.tensor,
    all_ends: tl.tensor,
    all_figures: tl.tensor,
    number: tl.tensor,
    items: tl.tensor,
    all_sides: tl.tensor,
    inputs: tl.tensor,
    targets: tl.tensor,
    sessions: tl.tensor,
    filled: tl.tensor,
    begins: tl.tensor,
    sides: tl.tensor,
    ends: tl.tensor,
    figures: tl.tensor,
    rate_factor: tl.tensor,
    height: tl.tensor,
    lanes: tl.tensor,
    num_sides: tl.tensor,
    stretches: tl.tensor,
    ENDLESS: tl.constexpr,
    LANES: tl.constexpr,
    ROWS: tl.constexpr,
) -> None:
    """Take some lanes through all rows, `ROWS` at once."""
    window = tl.load(number)
    start = tl.load(starts + window)
    lane = tl.program_id(0) * LANES + tl.arange(0, LANES)
    begun = tl.zeros((LANES,), dtype=tl.int32)  # sessions of each lane so far
    began = tl.zeros((LANES,), dtype=tl.int32)  # row in which the last of them began
    for above in range(0, height, ROWS):
        row = above + tl.arange(0, ROWS)
        place = row[:, None] * lanes + lane[None, :]
        is_place = (row < height)[:, None] & (lane < lanes)[None, :]
        click = tl.load(clicks + start + place, mask=is_place, other=-1)
        begin = tl.load(all_begins + start + place, mask=is_place, other=0).to(tl.int32)
        tl.store(filled + place, click != _NO_CLICK, mask=is_place)
        tl.store(begins + place, begin != 0, mask=is_place)
        click = tl.maximum(click, 0)
        tl.store(inputs + place, tl.load(items + click, mask=is_place), mask=is_place)
        tl.store(targets + place, tl.load(items + click + 1, mask=is_place), mask=is_place)
        for side in range(num_sides):
            code = tl.load(all_sides + click * num_sides + side, mask=is_place)
            tl.store(sides + place.to(tl.int64) * num_sides + side, code, mask=is_place)
        session = (begun[None, :] + tl.cumsum(begin, 0)).to(tl.int64)
        session += lane[None, :].to(tl.int64) * (height + 1)
        begun += tl.sum(begin, 0)
        if ENDLESS:
            here = tl.maximum(began[None, :], begin * row[:, None])
            began_here = tl.associative_scan(here, 0, _larger)
            began = tl.max(here, 0)
            session = session * stretches + (row[:, None] - began_here) // _STRETCH
        tl.store(sessions + place, session, mask=is_place)
    last = tl.load(all_ends + window * lanes + lane, mask=lane < lanes)
    tl.store(ends + lane, last, mask=lane < lanes)
    if tl.program_id(0) == 0:
        tl.store(figures, tl.load(all_figures + window * 3))
        tl.store(figures + 1, tl.load(all_figures + window * 3 + 1))
        tl.store(rate_factor, tl.load(all_figures + window * 3 + 2).to(tl.float32))
