"""Windows of which a rank has the clicks of its own lanes; the others tell it of theirs."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from gru4rec.sessions import NO_CLICK, LaneGrids, SessionParallelWindows
from gru4rec.training.rank_batches import RankBatches
from gru4rec.training.ranks import Ranks
from gru4rec.training.static.windows import DeviceWindows, Window

OTHERS_CLICK = NO_CLICK - 1
"""In a plan: a click is there, of another rank."""

# B lanes, b own ones, T rows of a window, M = T·B places


class RankLanes(DeviceWindows):
    """Plans all lanes of windows, and has the items and side inputs of own ones.

    In a window that is read, items and codes of others' clicks are any: see `complete`.
    """

    def __init__(
        self, windows: SessionParallelWindows, batches: RankBatches, device: torch.device
    ) -> None:
        """Take the windows of the whole log, and this rank's part of their clicks."""
        items, sides = batches.items, batches.sides
        if not len(items):  # what is read of others' clicks has to be somewhere
            items = np.zeros(2, dtype=np.int64)
            sides = np.zeros((2, sides.shape[1] if sides.ndim == 2 else 0), dtype=np.uint16)
        super().__init__(windows, items, sides, device)
        ranks = batches.ranks
        self.own = range(ranks.rank, windows.lanes, ranks.size)
        self._places_of = batches.places

    def _grids(self, part: range) -> LaneGrids:
        """Name own clicks by their places among own ones."""
        grids = super()._grids(part)
        lane = np.arange(len(grids.clicks)) % self.lanes
        is_own = lane % self.own.step == self.own.start
        clicks = np.where(grids.clicks == NO_CLICK, NO_CLICK, OTHERS_CLICK)
        own = np.flatnonzero(is_own & (grids.clicks != NO_CLICK))
        clicks[own] = self._places_of(grids.clicks[own])
        return replace(grids, clicks=clicks)

    def complete(self, window: Window, ranks: Ranks) -> Window:
        """Return a window with the items of all clicks, which ranks give each other."""
        known_2M = torch.stack((window.inputs, window.targets)) * window.filled
        sent_2TB = torch.zeros_like(known_2M).view(2, -1, self.lanes)
        sent_2TB[..., self._slice] = known_2M.view(2, -1, self.lanes)[..., self._slice]
        inputs, targets = ranks.all_sum_(sent_2TB).flatten(1)
        return replace(window, inputs=inputs, targets=targets)

    def of_own(self, values: Tensor) -> Tensor:
        """Return those of the places of own lanes [T·b, …] of all [M, …]."""
        rows = values.view(len(values) // self.lanes, self.lanes, *values.shape[1:])
        return rows[:, self._slice].flatten(0, 1).contiguous()  # kernels go by addresses

    def part_of(self, window: Window) -> Window:
        """Return the own lanes of a window, as a window of so many lanes."""
        own = {
            name: self.of_own(getattr(window, name))
            for name in ("inputs", "sides", "targets", "filled", "begins", "sessions")
        }
        rows_b = window.ends[self._slice] // self.lanes
        lanes_b = torch.arange(len(self.own), device=rows_b.device)
        return replace(window, ends=rows_b * len(self.own) + lanes_b, **own)

    @property
    def _slice(self) -> slice:
        return slice(self.own.start, None, self.own.step)
