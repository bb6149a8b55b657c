"""What every batching yields: the clicks of one window, packed."""

from dataclasses import dataclass

from gru4rec.arraytypes import IntArray
from gru4rec.sessions.batching.packed_layout import PackedLayout


@dataclass(frozen=True, eq=False)
class SessionBatch:
    """The segments of one window and where they come from."""

    # M clicks, S segments, K segments that go on from the window before
    layout: PackedLayout
    """How the rows of the window form its segments."""
    clicks: IntArray
    """Place of each row's click among the clicks of the log [M]."""
    carried: IntArray
    """The segments whose session began earlier [K]; the others start from a zero state."""
    carried_from: IntArray
    """The segments of the window before that they go on from [K]."""
