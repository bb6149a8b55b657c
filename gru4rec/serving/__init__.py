"""Scores and vectors become the k items to show, for running sessions."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.serving.answers import (
        OF_ATTRIBUTES,
        OF_MODEL,
        OF_POPULARITY,
        OF_REPEAT,
        Answer,
        answers_in_pieces,
    )
    from gru4rec.serving.best_items import best_of_running, best_of_sessions, lists_after
    from gru4rec.serving.chunks import chunks_of_block, in_row_chunks, row_blocks, row_chunks
    from gru4rec.serving.filters import ItemFilter
    from gru4rec.serving.index import AnyVectors, ItemIndex
    from gru4rec.serving.item_columns import kinds_of, vectors_of
    from gru4rec.serving.list_rules import ListRules, filter_of, rule_sets
    from gru4rec.serving.live_session import LiveSession
    from gru4rec.serving.plain_answer import PlainAnswer, plain_answers
    from gru4rec.serving.repeat_head import INDICATORS, RepeatHead
    from gru4rec.serving.retrieval import retrieve
    from gru4rec.serving.saved_session import SavedSession, SessionId
    from gru4rec.serving.selection import top_k
    from gru4rec.serving.session_outcomes import outcomes_of_running, outcomes_of_sessions
    from gru4rec.serving.session_store import SessionStore
    from gru4rec.serving.session_store_file import is_of_others

__all__ = [
    "INDICATORS",
    "OF_ATTRIBUTES",
    "OF_MODEL",
    "OF_POPULARITY",
    "OF_REPEAT",
    "Answer",
    "AnyVectors",
    "ItemFilter",
    "ItemIndex",
    "ListRules",
    "LiveSession",
    "PlainAnswer",
    "RepeatHead",
    "SavedSession",
    "SessionId",
    "SessionStore",
    "answers_in_pieces",
    "best_of_running",
    "best_of_sessions",
    "chunks_of_block",
    "filter_of",
    "in_row_chunks",
    "is_of_others",
    "kinds_of",
    "lists_after",
    "outcomes_of_running",
    "outcomes_of_sessions",
    "plain_answers",
    "retrieve",
    "row_blocks",
    "row_chunks",
    "rule_sets",
    "top_k",
    "vectors_of",
]

__getattr__, __dir__ = lazy_face(__name__)
