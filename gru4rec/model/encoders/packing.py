"""The layout of packed clicks as encoders need it: row numbers on the device, sizes on the host."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray
from gru4rec.bulk import sent
from gru4rec.sessions import PackedLayout


@dataclass(frozen=True, eq=False)
class Packing:
    """How the rows of a batch form segments, longest first."""

    # S segments, L clicks in the longest
    layout: PackedLayout
    """The whole layout, in NumPy."""
    block_sizes: list[int]
    """Clicks at each position [L]."""
    ends: Tensor
    """Row of the last click of each segment [S], on the device."""

    @classmethod
    def of(cls, layout: PackedLayout) -> Self:
        """Return the packing of a layout, on the CPU."""
        return cls(layout, layout.block_sizes.tolist(), torch.from_numpy(layout.ends))

    @classmethod
    def of_lengths(cls, lengths: IntArray) -> Self:
        """Return the packing of segments of these lengths, falling [S], on the CPU."""
        return cls.of(PackedLayout(lengths))

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
