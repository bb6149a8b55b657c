"""Where each click of packed segments stands, worked out from their lengths alone."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gru4rec.arraytypes import IntArray


@dataclass(frozen=True, eq=False)
class PackedLayout:
    """The rows of segments, longest first, in the order of torch's PackedSequence.

    First comes the first click of every segment, then the second click of those that have one, and
    so on. So the rows of one position form a block. The segments of a block are the first of all
    segments.
    """

    # M clicks, S segments, L clicks in the longest
    lengths: IntArray
    """Clicks of each segment, 1 or more, falling [S]."""

    @cached_property
    def block_sizes(self) -> IntArray:
        """Clicks at each position: the number of segments that are longer than it [L]."""
        return len(self.lengths) - np.cumsum(np.bincount(self.lengths))[:-1]

    @cached_property
    def block_starts(self) -> IntArray:
        """Row where each position begins [L]."""
        return np.cumsum(self.block_sizes) - self.block_sizes

    @cached_property
    def positions(self) -> IntArray:
        """Position of each row in its segment [M]."""
        return np.repeat(np.arange(len(self.block_sizes)), self.block_sizes)

    @cached_property
    def segments(self) -> IntArray:
        """Segment of each row [M]."""
        return np.arange(self.block_sizes.sum()) - np.repeat(self.block_starts, self.block_sizes)

    @cached_property
    def ends(self) -> IntArray:
        """Row of the last click of each segment [S]."""
        return self.block_starts[self.lengths - 1] + np.arange(len(self.lengths))

    def places(self, first_places: IntArray) -> IntArray:
        """Return the place of each row's click [M], where each segment's clicks lie side by side.

        `first_places` are those of the first click of each segment [S].
        """
        return first_places[self.segments] + self.positions
