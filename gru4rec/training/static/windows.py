"""The windows of an epoch on a device: where their clicks are, and what one is when it is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray, UInt16Array
from gru4rec.model import kernels_for
from gru4rec.sessions import NO_CLICK, ORDINARY_CLICKS, LaneGrids, SessionParallelWindows

_PLACES = 1 << 25  # of clicks that lie on the device at once: 300 MB

# W windows of a part, B lanes, T rows of a window, M = T·B places, F side inputs


@dataclass(frozen=True, eq=False)
class Window:
    """One window, row by row; places that have no click count for nothing."""

    inputs: Tensor
    """Item of each click [M]."""
    sides: Tensor
    """Codes of its side inputs [M, F]."""
    targets: Tensor
    """Item of the click after it [M]."""
    filled: Tensor
    """Whether there is a click [M]."""
    begins: Tensor
    """Whether a session begins with it [M]."""
    ends: Tensor
    """Place of each lane's last click [B]."""
    sessions: Tensor
    """A number of the session it is of, or of the stretch of an endless one; 0 or more [M]."""
    num_clicks: Tensor
    """Clicks of the window [], float64."""
    others: Tensor
    """On average, targets that are of other sessions than a click [], float64."""
    rate_factor: Tensor
    """Share of the rate at which it is learned from [], float32."""


@dataclass(frozen=True, eq=False)
class Clicks:
    """The clicks of a window in a list that is as long as those of ordinary windows."""

    window: Window
    """The same window, its clicks first, each [m]."""
    places: Tensor
    """Where each stands in the rows of the window; of what is left of the list any [m]."""
    ranks: Tensor
    """Where each place stands in the list; of places without a click any [M]."""

    @classmethod
    def of(cls, window: Window, size: int) -> Self:
        """List the clicks of a window that has `size` of them at most."""
        filled = window.filled
        ranks = filled.cumsum(0) - 1
        every = torch.arange(len(filled), device=filled.device)
        places = torch.zeros(size + 1, dtype=torch.int64, device=filled.device)
        places = places.scatter_(0, torch.where(filled, ranks, size), every)[:size]
        listed = {
            name: getattr(window, name).index_select(0, places)
            for name in ("inputs", "sides", "targets", "begins", "sessions")
        }
        is_click = torch.arange(size, device=filled.device) <= ranks[-1]
        return cls(replace(window, filled=is_click, **listed), places, ranks.clamp_min(0))


class DeviceWindows:
    """Windows that lie on a device, in parts if they are many; `read` takes them one by one.

    `next` [1] is the window of the part that it takes next, which the device counts.
    """

    def __init__(
        self,
        windows: SessionParallelWindows,
        items: IntArray,
        sides: UInt16Array,
        device: torch.device,
    ) -> None:
        """Take windows, and of each click of the log item [n] and codes of side inputs [n, F]."""
        self.lanes, self.steps = windows.lanes, windows.steps
        self.own = range(self.lanes)
        """The lanes that this process learns from."""
        self._windows, self._device = windows, device
        self._items = torch.tensor(items, device=device)
        codes = sides.astype(np.int32) if len(sides) else np.empty((len(items), 0), dtype=np.int32)
        self._sides = torch.tensor(codes, device=device)
        self._parts = _parts_of(windows.heights() * windows.lanes)
        self._part = range(0)
        self.next = torch.zeros(1, dtype=torch.int64, device=device)
        self._plan: dict[str, Tensor] = {}
        self.heights: list[int] = []
        self.num_clicks: list[int] = []

    def parts(self, windows: range) -> list[range]:
        """Return windows in parts that fit on the device."""
        shared = (
            range(max(windows.start, part.start), min(windows.stop, part.stop))
            for part in self._parts
        )
        return [part for part in shared if part]

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the plan of the windows that lie on the device."""
        return (*self._plan.values(), self.next)

    def place(self, part: range, rate_factor: Callable[[int], float]) -> None:
        """Put a part on the device, to be read from its first window on.

        `heights` and `num_clicks` [W] are its windows' then.
        """
        whole = next(whole for whole in self._parts if part.start in whole)
        if whole != self._part:
            grids = self._grids(whole)
            stretches = np.maximum(grids.num_stretches, 1)
            others = grids.num_clicks * (1 - 1 / stretches)
            self._put(
                clicks=grids.clicks,
                begins=grids.begins,
                ends=grids.ends,
                starts=grids.starts,
                figures=np.stack((grids.num_clicks, others, np.zeros(len(whole))), axis=1),
            )
            self._part = whole
            self._heights, self._num_clicks = grids.heights.tolist(), grids.num_clicks.tolist()
        here = slice(part.start - whole.start, part.stop - whole.start)
        factors = torch.tensor([rate_factor(window) for window in part], dtype=torch.float64)
        self._plan["figures"][here, 2] = factors.to(self._device)
        self.next.fill_(here.start)
        self.heights, self.num_clicks = self._heights[here], self._num_clicks[here]

    def _grids(self, part: range) -> LaneGrids:
        return self._windows.grids(part)

    def _put(self, **plan: np.ndarray) -> None:
        """Write a plan where an earlier one lies, if it fits there."""
        tensors = {name: torch.from_numpy(part) for name, part in plan.items()}
        fits = self._plan and all(
            len(part) <= len(self._plan[name]) for name, part in tensors.items()
        )
        if fits:
            for name, part in tensors.items():
                self._plan[name][: len(part)] = part.to(self._device)
        else:
            self._plan = {name: part.to(self._device) for name, part in tensors.items()}

    def read(self, height: int) -> Window:
        """Return the next window, which has so many rows. The device alone knows which it is."""
        read = _read
        if kernels_for(self.next):
            from gru4rec.training.static.window_kernels import read
        window = read(self._plan, self.next, self._items, self._sides, height)
        self.next += 1
        return window


def _parts_of(places: IntArray) -> list[range]:
    """Cut windows that have so many places each [W] where `_PLACES` are full."""
    before = np.cumsum(places) - places
    starts = np.flatnonzero(np.diff(before // _PLACES, prepend=-1)).tolist()
    return [range(*ends) for ends in pairwise([*starts, len(places)])]


def _read(
    plan: Mapping[str, Tensor], number: Tensor, items: Tensor, sides: Tensor, height: int
) -> Window:
    """Return window `number` [1] of a plan, which has so many rows."""
    lanes = plan["ends"].shape[1]
    places = torch.arange(height * lanes, device=items.device)
    places = plan["starts"].index_select(0, number) + places
    clicks, begins = (plan[name].index_select(0, places) for name in ("clicks", "begins"))
    filled = clicks != NO_CLICK
    inputs = clicks.clamp_min(0)
    figures = plan["figures"].index_select(0, number).squeeze(0)
    return Window(
        inputs=items.index_select(0, inputs),
        sides=sides.index_select(0, inputs).long(),
        targets=items.index_select(0, inputs + 1),
        filled=filled,
        begins=begins,
        ends=plan["ends"].index_select(0, number).squeeze(0),
        sessions=_sessions(begins.view(height, lanes)),
        num_clicks=figures[0],
        others=figures[1],
        rate_factor=figures[2].float(),
    )


def _sessions(begins_TB: Tensor) -> Tensor:
    """Return a number for the session of each place, or the stretch of an endless one [M]."""
    height, lanes = begins_TB.shape
    lane_B = torch.arange(lanes, device=begins_TB.device)
    session_TB = begins_TB.cumsum(0) + lane_B * (height + 1)
    if height > ORDINARY_CLICKS:
        row_T1 = torch.arange(height, device=begins_TB.device).unsqueeze(1)
        began_TB = torch.where(begins_TB, row_T1, 0).cummax(0).values
        stretches = -(-height // ORDINARY_CLICKS)
        session_TB = session_TB * stretches + (row_T1 - began_TB) // ORDINARY_CLICKS
    return session_TB.flatten()
