"""Scores and vectors become the k items to show, for running sessions."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.serving.answers import answer_table
    from gru4rec.serving.chunks import row_blocks, row_chunks
    from gru4rec.serving.filtered_search import best_allowed
    from gru4rec.serving.filters import ItemFilter
    from gru4rec.serving.index import AnyVectors, ItemIndex
    from gru4rec.serving.live_session import LiveSession
    from gru4rec.serving.selection import top_k
    from gru4rec.serving.session_store import SessionStore
    from gru4rec.serving.session_store_file import SessionId

__all__ = [
    "AnyVectors",
    "ItemFilter",
    "ItemIndex",
    "LiveSession",
    "SessionId",
    "SessionStore",
    "answer_table",
    "best_allowed",
    "row_blocks",
    "row_chunks",
    "top_k",
]

__getattr__, __dir__ = lazy_face(__name__)
