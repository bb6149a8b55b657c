"""The best items of sessions as the table that is returned."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.clicks import at_least_one
from gru4rec.schema import ITEM_ID, OUTCOME, RANK, REASON, SCORE, SESSION_ID, UNKNOWN
from gru4rec.serving.answering import Answering
from gru4rec.serving.session_outcomes import outcome_column, outcomes_of_sessions
from gru4rec.sessions import Catalog, ItemLinks, SessionArrays

logger = logging.getLogger(__name__)

OF_MODEL, OF_POPULARITY, OF_REPEAT = "model", "popularity", "repeat"
OF_ATTRIBUTES = "attributes"
"""Why items are recommended; `repeat`: because the session has the item, and a head knows that
visitors return to such items; `attributes`: by the model too, which knows no click on the item, but
its attributes."""

_ROWS_AT_ONCE = 2_000_000  # of an answer

Answer: TypeAlias = tuple[SessionArrays, Float32Array, IntArray]
"""Sessions, and the scores and items [S, k'] of the best items after each."""


# S sessions, k items of each
def answer_table(
    session_ids: pl.Series,
    catalog: Catalog,
    scores: Float32Array,
    items: IntArray,
    explained: Mapping[str, pl.Series] = MappingProxyType({}),
) -> pl.DataFrame:
    """Return session_id, rank (from 1), item_id and score of scores and items [S, k], best first.

    `explained` are further columns [S · k]. A score of −∞ marks an empty place: it has no
    row.
    """
    count, k = scores.shape
    session, rank = np.repeat(np.arange(count), k), np.tile(np.arange(1, k + 1), count)
    items, scores, others = items.ravel(), scores.ravel(), dict(explained)
    left = np.isfinite(scores)
    if not left.all():  # here, since in a process that was forked Polars may have no threads
        session, rank, items, scores = session[left], rank[left], items[left], scores[left]
        others = {name: values.filter(left) for name, values in others.items()}
    return pl.DataFrame(
        {
            SESSION_ID: session_ids.gather(session),
            RANK: rank,
            ITEM_ID: catalog.item_ids.gather(items),
            SCORE: scores,
            **others,
        }
    )


def answers_in_pieces(
    recommender: Answering,
    pieces: Iterable[SessionArrays],
    k: int,
    *,
    explain: bool,
    outcome: bool,
    at_once: int,
    answer: Callable[[Iterator[SessionArrays]], Iterator[Answer]],
) -> Iterator[pl.DataFrame]:
    """Answer sessions that come in pieces, `at_once` at a time or less, by `answer`.

    At the end, log how many clicks were passed over, and how many sessions got popular items.
    """
    at_once = min(at_once, max(1, _ROWS_AT_ONCE // at_least_one(k, "k")))
    unknown = popular = 0
    for sessions, scores, items in answer(few for piece in pieces for few in piece.pieces(at_once)):
        explained = _explained(recommender, sessions, items) if explain else {}
        if outcome:
            found = outcomes_of_sessions(recommender, sessions)
            column = outcome_column(recommender.outcome_classes, found)
            explained[OUTCOME] = column.gather(np.repeat(np.arange(len(items)), items.shape[1]))
        yield answer_table(sessions.session_ids, recommender.catalog, scores, items, explained)
        unknown += sessions.num_unknown
        popular += int((sessions.lengths == 0).sum())
    if unknown:
        logger.warning("skipped %d clicks on items that are not in the catalog", unknown)
    if popular:
        logger.warning("%d sessions have no known item and get the popular items", popular)


def _explained(
    recommender: Answering, sessions: SessionArrays, items: IntArray
) -> dict[str, pl.Series]:
    """Return how each of the items [S, k] comes to be recommended, by the names of columns."""
    is_own = np.zeros(items.shape, dtype=bool)
    known = np.flatnonzero(sessions.lengths)
    if recommender.repeats is not None and len(known):
        own = ItemLinks.of(sessions).own_items(sessions.offsets[1:][known] - 1)
        size = len(recommender.catalog)
        keys = items[known] + size * np.arange(len(known))[:, None]
        is_own[known] = np.isin(keys, own.items + size * own.rows)
    unknown = (sessions.lengths == 0)[:, None] | np.zeros_like(is_own)
    unclicked = recommender.catalog.support[items] == 0
    reasons = np.select(
        [unknown, is_own, unclicked], [OF_POPULARITY, OF_REPEAT, OF_ATTRIBUTES], OF_MODEL
    )
    return {
        REASON: pl.Series(reasons.ravel(), dtype=pl.String),
        UNKNOWN: pl.Series(np.repeat(sessions.unknown, items.shape[1])),
    }
