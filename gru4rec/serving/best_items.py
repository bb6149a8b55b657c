"""The best items of sessions, and the popular ones where nothing of a session is known."""

from collections.abc import Sequence

import numpy as np

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.clicks import at_least_one
from gru4rec.serving.answering import Answering
from gru4rec.serving.filters import ItemFilter
from gru4rec.sessions import Catalog, RunningSession, SessionArrays

# S sessions, k' = min(k, N) items of each. A score of −∞ marks an empty place: fewer than k items
# may be recommended, and the item that stands there means nothing.


def best_of_sessions(
    recommender: Answering, sessions: SessionArrays, k: int, item_filter: ItemFilter | None
) -> tuple[Float32Array, IntArray]:
    """Return scores and items [S, k'] of the best items after the last click of each session.

    Raise DataError for k < 1.
    """
    scores, items = _popular(recommender.catalog, len(sessions), k, item_filter)
    known = np.flatnonzero(sessions.lengths)
    last_clicks = sessions.offsets[1:][known] - 1
    best = recommender.top(sessions, last_clicks, items.shape[1], item_filter=item_filter)
    for rows, best_scores, best_items in best:
        scores[known[rows]], items[known[rows]] = best_scores, best_items
    return scores, items


def best_of_running(
    recommender: Answering,
    sessions: Sequence[RunningSession],
    k: int,
    item_filter: ItemFilter | None,
) -> tuple[Float32Array, IntArray]:
    """Return scores and items [S, k'] of the best next items of running sessions.

    Raise DataError for k < 1.
    """
    known = [row for row, session in enumerate(sessions) if session.items]
    if known and len(known) == len(sessions):
        k = min(at_least_one(k, "k"), len(recommender.catalog))
        return recommender.top_running(sessions, k, item_filter=item_filter)
    scores, items = _popular(recommender.catalog, len(sessions), k, item_filter)
    if known:
        scores[known], items[known] = recommender.top_running(
            [sessions[row] for row in known], items.shape[1], item_filter=item_filter
        )
    return scores, items


def _popular(
    catalog: Catalog, num_sessions: int, k: int, item_filter: ItemFilter | None
) -> tuple[Float32Array, IntArray]:
    """Return the most clicked items that may be recommended, alike for each session [S, k'].

    Raise DataError for k < 1.
    """
    k = min(at_least_one(k, "k"), len(catalog))
    scores, items = catalog.popular(k, None if item_filter is None else item_filter.allowed)
    missing = (0, k - len(items))
    scores = np.pad(scores, missing, constant_values=-np.inf)
    return np.tile(scores, (num_sessions, 1)), np.tile(np.pad(items, missing), (num_sessions, 1))
