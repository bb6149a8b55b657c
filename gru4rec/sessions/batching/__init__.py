"""Cut sessions into batches of clicks to learn from or to encode."""

from gru4rec.sessions.batching.background import prefetch
from gru4rec.sessions.batching.batch import SessionBatch, block_sizes_of
from gru4rec.sessions.batching.session_parallel import SessionParallelWindows
from gru4rec.sessions.batching.whole_session import WholeSessions

__all__ = ["SessionBatch", "SessionParallelWindows", "WholeSessions", "block_sizes_of", "prefetch"]
