"""The best items of sessions as the table that is returned."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.clicks import at_least_one
from gru4rec.schema import ITEM_ID, RANK, REASON, SCORE, SESSION_ID, UNKNOWN
from gru4rec.serving.answering import Answering
from gru4rec.serving.best_items import best_of_sessions
from gru4rec.serving.filters import ItemFilter
from gru4rec.sessions import Catalog, SessionArrays

logger = logging.getLogger(__name__)

OF_MODEL, OF_POPULARITY = "model", "popularity"
"""Why items are recommended."""

_ROWS_AT_ONCE = 2_000_000  # of an answer


# S sessions, k items of each
def answer_table(
    session_ids: pl.Series,
    catalog: Catalog,
    scores: Float32Array,
    items: IntArray,
    explained: Mapping[str, pl.Series] = MappingProxyType({}),
) -> pl.DataFrame:
    """Return session_id, rank (from 1), item_id and score of scores and items [S, k], best first.

    `explained` are further columns, by session [S]. A score of −∞ marks an empty place: it has no
    row.
    """
    count, k = scores.shape
    session, rank = np.repeat(np.arange(count), k), np.tile(np.arange(1, k + 1), count)
    items, scores = items.ravel(), scores.ravel()
    left = np.isfinite(scores)
    if not left.all():  # here, since in a process that was forked Polars may have no threads
        session, rank, items, scores = session[left], rank[left], items[left], scores[left]
    return pl.DataFrame(
        {
            SESSION_ID: session_ids.gather(session),
            RANK: rank,
            ITEM_ID: catalog.item_ids.gather(items),
            SCORE: scores,
            **{name: values.gather(session) for name, values in explained.items()},
        }
    )


def answers_in_pieces(
    recommender: Answering,
    pieces: Iterable[SessionArrays],
    k: int,
    *,
    item_filter: ItemFilter | None,
    explain: bool,
) -> Iterator[pl.DataFrame]:
    """Answer sessions that come in pieces, some at a time.

    At the end, log how many clicks were passed over, and how many sessions got popular items.
    """
    at_once, unknown, popular = max(1, _ROWS_AT_ONCE // at_least_one(k, "k")), 0, 0
    for piece in pieces:
        for sessions in piece.pieces(at_once):
            scores, items = best_of_sessions(recommender, sessions, k, item_filter)
            explained = _explained(sessions) if explain else {}
            yield answer_table(sessions.session_ids, recommender.catalog, scores, items, explained)
        unknown += piece.num_unknown
        popular += int((piece.lengths == 0).sum())
    if unknown:
        logger.warning("skipped %d clicks on items that are not in the catalog", unknown)
    if popular:
        logger.warning("%d sessions have no known item and get the popular items", popular)


def _explained(sessions: SessionArrays) -> dict[str, pl.Series]:
    """Return how the answer for each session comes about [S], by the names of columns."""
    reasons = [OF_MODEL if length else OF_POPULARITY for length in sessions.lengths]
    return {REASON: pl.Series(reasons, dtype=pl.String), UNKNOWN: pl.Series(sessions.unknown)}
