"""The windows of an epoch on a device: where their clicks are, and what one is when it is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray, UInt16Array
from gru4rec.model import kernels_for
from gru4rec.sessions import ORDINARY_CLICKS, SessionParallelWindows

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
        self.lanes, self._windows, self._device = windows.lanes, windows, device
        self._items = torch.from_numpy(items).to(device)
        codes = sides.astype(np.int32) if len(sides) else np.empty((len(items), 0), dtype=np.int32)
        self._sides = torch.from_numpy(codes).to(device)
        self._at_once = max(1, _PLACES // (windows.lanes * windows.steps))
        self._part = range(0)
        self.next = torch.zeros(1, dtype=torch.int64, device=device)
        self._plan: dict[str, Tensor] = {}
        self.heights: list[int] = []
        self.num_clicks: list[int] = []

    def parts(self, windows: range) -> list[range]:
        """Return windows in parts that fit on the device."""
        size = self._at_once
        firsts = range(windows.start // size * size, windows.stop, size)
        return [
            range(max(windows.start, first), min(windows.stop, first + size)) for first in firsts
        ]

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the plan of the windows that lie on the device."""
        return (*self._plan.values(), self.next)

    def place(self, part: range, rate_factor: Callable[[int], float]) -> None:
        """Put a part on the device, to be read from its first window on.

        `heights` and `num_clicks` [W] are its windows' then.
        """
        whole = range(part.start // self._at_once * self._at_once, part.stop)
        whole = range(whole.start, min(whole.start + self._at_once, len(self._windows)))
        if whole != self._part:
            grids = self._windows.grids(whole)
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


def _read(
    plan: Mapping[str, Tensor], number: Tensor, items: Tensor, sides: Tensor, height: int
) -> Window:
    """Return window `number` [1] of a plan, which has so many rows."""
    lanes = plan["ends"].shape[1]
    places = torch.arange(height * lanes, device=items.device)
    places = plan["starts"].index_select(0, number) + places
    clicks, begins = (plan[name].index_select(0, places) for name in ("clicks", "begins"))
    filled = clicks >= 0
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
