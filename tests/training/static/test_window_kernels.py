"""The kernel that reads a window against the operations that read it."""

import dataclasses
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
pytest.importorskip("triton", reason="Triton is not installed")

from gru4rec.model import use_kernels
from gru4rec.sessions import NO_CLICK, LaneGrids, SessionParallelWindows
from gru4rec.training.static.rank_windows import OTHERS_CLICK
from gru4rec.training.static.windows import DeviceWindows

pytestmark = pytest.mark.kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclasses.dataclass
class OthersClicks:
    """Windows whose lanes from one on are another rank's, which has the items of their clicks."""

    windows: SessionParallelWindows
    first: int

    def grids(self, part: range) -> LaneGrids:
        grids = self.windows.grids(part)
        lane = np.arange(len(grids.clicks)) % self.windows.lanes
        others = (lane >= self.first) & (grids.clicks != NO_CLICK)
        return dataclasses.replace(grids, clicks=np.where(others, OTHERS_CLICK, grids.clicks))


def assert_read_as_by_torch(
    lengths: list[int],
    *,
    lanes: int,
    steps: int,
    num_sides: int = 0,
    of_others: int | None = None,
) -> list[int]:
    """Read all windows both ways; return how many rows they have."""
    clicks, size = np.array(lengths), sum(lengths) + len(lengths)
    random = np.random.default_rng(size)
    # a click of each session is a target only
    windows = SessionParallelWindows(
        np.cumsum(clicks + 1) - clicks - 1, clicks, lanes=lanes, steps=steps
    )
    items = random.integers(0, 1000, size)
    sides = random.integers(0, 60_000, (size, num_sides)).astype(np.uint16)
    placed = DeviceWindows(windows, items, sides, DEVICE)
    if of_others is not None:
        placed._windows = OthersClicks(windows, of_others)
    heights = []
    for part in placed.parts(range(len(windows))):
        placed.place(part, lambda window: 1 / (1 + window))
        for height in placed.heights:
            before = placed.next.clone()
            with use_kernels():
                plain = placed.read(height)
            placed.next.copy_(before)
            with use_kernels(on_gpu=True, on_cpu=True):
                ours = placed.read(height)
            assert placed.next == before + 1
            for field in dataclasses.fields(plain):
                name = field.name
                torch.testing.assert_close(
                    getattr(ours, name), getattr(plain, name), rtol=0, atol=0, msg=name
                )
        heights += placed.heights
    return heights


# one program, several, more rows than a program takes at once, a window of one place
@pytest.mark.parametrize(
    ("lanes", "steps"), [(4, 5), (33, 3), (70, 16), (32, 50), (3, 1), (1, 1)], ids=str
)
def test_every_part_of_a_window_is_read(lanes: int, steps: int) -> None:
    lengths = np.random.default_rng(0).geometric(0.2, 20 * lanes).tolist()
    assert_read_as_by_torch(lengths, lanes=lanes, steps=steps)


@pytest.mark.parametrize("num_sides", [1, 3])
def test_so_are_side_inputs(num_sides: int) -> None:
    assert_read_as_by_torch([4, 2, 9, 3, 2, 14], lanes=3, steps=4, num_sides=num_sides)


@pytest.mark.parametrize("first", [0, 1, 3])
def test_clicks_of_other_ranks_are_there_without_their_items(first: int) -> None:
    how = {"lanes": 3, "steps": 4, "num_sides": 1, "of_others": first}
    assert_read_as_by_torch([4, 2, 9, 3, 2, 14], **how)


def test_endless_sessions_are_told_apart_in_stretches() -> None:
    heights = assert_read_as_by_torch([5, 1500, 3, 2, 4, 700, 2, 9], lanes=8, steps=80)
    assert max(heights) > 2 * 256


@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    lanes=st.integers(1, 40),
    steps=st.integers(1, 6),
)
@settings(max_examples=20, deadline=None)
def test_any_windows(lengths: list[int], lanes: int, steps: int) -> None:
    assert_read_as_by_torch(lengths, lanes=lanes, steps=steps)
