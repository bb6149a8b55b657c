"""What every batching yields: the clicks of one window, packed."""

from dataclasses import dataclass

from gru4rec.arraytypes import IntArray
from gru4rec.sessions.batching.packed_layout import PackedLayout

ORDINARY_CLICKS = 256
"""Clicks that hardly a session of a person has more of. Longer ones are batched otherwise."""


@dataclass(frozen=True, eq=False)
class SessionBatch:
    """The segments of one window and where they come from."""

    # M clicks, S segments, K segments that go on, V clicks before each of them
    layout: PackedLayout
    """How the rows of the window form its segments."""
    clicks: IntArray
    """Place of each row's click among the clicks of the log [M]."""
    carried: IntArray
    """The segments whose session began earlier [K]; the others start from a zero state."""
    carried_from: IntArray
    """The segments of the window before that they go on from, or else the rows of `earlier` [K]."""
    earlier: IntArray
    """Places of the V clicks before each segment that goes on, the newest first [K, V]. They are
    read again; with V = 0 the state after the window before is at hand."""
