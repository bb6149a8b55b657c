"""Cut sessions into batches of clicks to learn from or to encode."""

from gru4rec.sessions.batching.background import prefetch
from gru4rec.sessions.batching.batch import ORDINARY_CLICKS, SessionBatch
from gru4rec.sessions.batching.lane_grids import LaneGrids
from gru4rec.sessions.batching.packed_layout import PackedLayout
from gru4rec.sessions.batching.rank_windows import LanedWindows, RankWindows, WindowPart
from gru4rec.sessions.batching.session_parallel import SessionParallelWindows
from gru4rec.sessions.batching.whole_session import WholeSessions

__all__ = [
    "ORDINARY_CLICKS",
    "LaneGrids",
    "LanedWindows",
    "PackedLayout",
    "RankWindows",
    "SessionBatch",
    "SessionParallelWindows",
    "WholeSessions",
    "WindowPart",
    "prefetch",
]
