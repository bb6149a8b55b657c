"""The layout of packed clicks as encoders need it: row numbers on the device, sizes on the host."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray
from gru4rec.sessions import PackedLayout, sent


@dataclass(frozen=True, eq=False)
class Packing:
    """How the rows of a batch form segments, longest first.

    Or how they form lanes: segments of one length, within which sessions begin (`of_lanes`).
    """

    # M rows, S segments, L clicks in the longest
    layout: PackedLayout
    """The whole layout, in NumPy."""
    block_sizes: list[int]
    """Clicks at each position [L]."""
    ends: Tensor
    """Row of the last click of each segment [S], on the device."""
    begins: Tensor | None = None
    """Of lanes, whether a session begins with a row: then it starts from the initial state [M]."""
    in_bf16: bool = False
    """Whether the products of a recurrent step may be rounded to bf16."""

    @classmethod
    def of(cls, layout: PackedLayout) -> Self:
        """Return the packing of a layout, on the CPU."""
        return cls(layout, layout.block_sizes.tolist(), torch.from_numpy(layout.ends))

    @classmethod
    def of_lengths(cls, lengths: IntArray) -> Self:
        """Return the packing of segments of these lengths, falling [S], on the CPU."""
        return cls.of(PackedLayout(lengths))

    @classmethod
    def of_lanes(cls, begins: Tensor, ends: Tensor, *, in_bf16: bool = False) -> Self:
        """Return the packing of lanes [S], row by row; those that have ended are filled up.

        `begins` [M] says where their sessions begin, `ends` [S] which row has a lane's last click.
        """
        height, lanes = len(begins) // len(ends), len(ends)
        return cls(PackedLayout(np.full(lanes, height)), [lanes] * height, ends, begins, in_bf16)

    @cached_property
    def kept(self) -> Tensor | None:
        """What the state before each row is multiplied by, 0 where a session begins [M, 1]."""
        return None if self.begins is None else (~self.begins).float().unsqueeze(1)

    @cached_property
    def lane_positions(self) -> Tensor:
        """Of lanes, how many rows above each its session began, or else its window [M].

        And of rows whose session began in a window before −1 − the rows above [M].
        """
        assert self.begins is not None
        height, lanes = len(self.block_sizes), len(self.ends)
        row_T1 = torch.arange(height, device=self.begins.device).unsqueeze(1)
        began_TS = torch.where(self.begins.view(height, lanes), row_T1, -1).cummax(0).values
        return torch.where(began_TS >= 0, row_T1 - began_TS, -1 - row_T1).flatten()

    # The same by what is known beforehand, in a third of the time: live answers wait for these.
    @classmethod
    def of_single_clicks(cls, count: int) -> Self:
        """Return the packing of `count` segments of one click, on the CPU."""
        return cls(PackedLayout(np.ones(count, dtype=np.int64)), [count], torch.arange(count))

    @classmethod
    def of_one_segment(cls, length: int) -> Self:
        """Return the packing of a single segment, on the CPU."""
        return cls(PackedLayout(np.array([length])), [1] * length, torch.tensor([length - 1]))

    def to(self, device: torch.device) -> Self:
        """Return the packing with its tensor on a device, from the CPU."""
        return self if device.type == "cpu" else replace(self, ends=sent(self.layout.ends, device))
