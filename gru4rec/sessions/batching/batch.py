"""What every batching yields: the clicks of one window, packed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gru4rec.arraytypes import IntArray


@dataclass(frozen=True)
class SessionBatch:
    """The segments of one window, longest first, laid out as torch's PackedSequence lays them out.

    Row by row: the first click of every segment, then the second click of those that have one, and
    so on. So the rows of one position form a block, and the segments of each block are the first of
    all segments.
    """

    # M clicks, S segments, L clicks in the longest, K segments that go on from the window before
    clicks: IntArray
    """Place of each click among the clicks of the log [M]."""
    lengths: IntArray
    """Clicks of each segment, falling [S]."""
    carried: IntArray
    """The segments whose session began earlier [K]; the others start from a zero state."""
    carried_from: IntArray
    """The segments of the window before that they go on from [K]."""

    @cached_property
    def block_sizes(self) -> IntArray:
        """Clicks at each position: the segments that are longer than it [L]."""
        return block_sizes_of(self.lengths)

    @cached_property
    def block_starts(self) -> IntArray:
        """Row where each position begins [L]."""
        return np.cumsum(self.block_sizes) - self.block_sizes

    @cached_property
    def segments(self) -> IntArray:
        """Segment of each row [M]."""
        return np.arange(len(self.clicks)) - np.repeat(self.block_starts, self.block_sizes)

    @cached_property
    def ends(self) -> IntArray:
        """Row of the last click of each segment [S]."""
        return self.block_starts[self.lengths - 1] + np.arange(len(self.lengths))


def block_sizes_of(lengths: IntArray) -> IntArray:
    """How many of these lengths, falling [S], are larger than each position [L]."""
    ended = np.bincount(lengths)[1:]
    return len(lengths) - np.concatenate(([0], np.cumsum(ended)[:-1]))
