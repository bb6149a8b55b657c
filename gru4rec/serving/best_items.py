"""The best items of sessions, and the popular ones where nothing of a session is known."""

from collections.abc import Callable, Sequence

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

    def find(some: IntArray | None, depth: int) -> tuple[Float32Array, IntArray]:
        asked = sessions if some is None else sessions.take(some)
        scores, items = _popular(recommender.catalog, len(asked), depth, item_filter)
        known = np.flatnonzero(asked.lengths)
        last_clicks = asked.offsets[1:][known] - 1
        best = recommender.top(asked, last_clicks, depth, item_filter=item_filter)
        for rows, best_scores, best_items in best:
            scores[known[rows]], items[known[rows]] = best_scores, best_items
        return scores, items

    return _as_lists(find, at_least_one(k, "k"), len(recommender.catalog), item_filter)


def best_of_running(
    recommender: Answering,
    sessions: Sequence[RunningSession],
    k: int,
    item_filter: ItemFilter | None,
) -> tuple[Float32Array, IntArray]:
    """Return scores and items [S, k'] of the best next items of running sessions.

    Raise DataError for k < 1.
    """

    def find(some: IntArray | None, depth: int) -> tuple[Float32Array, IntArray]:
        asked = sessions if some is None else [sessions[row] for row in some.tolist()]
        known = [row for row, session in enumerate(asked) if session.items]
        if known and len(known) == len(asked):
            return recommender.top_running(asked, depth, item_filter=item_filter)
        scores, items = _popular(recommender.catalog, len(asked), depth, item_filter)
        if known:
            scores[known], items[known] = recommender.top_running(
                [asked[row] for row in known], depth, item_filter=item_filter
            )
        return scores, items

    return _as_lists(find, at_least_one(k, "k"), len(recommender.catalog), item_filter)


def _as_lists(
    find: Callable[[IntArray | None, int], tuple[Float32Array, IntArray]],
    k: int,
    size: int,
    item_filter: ItemFilter | None,
) -> tuple[Float32Array, IntArray]:
    """Return scores and items [S, k] of lists made of what is found of `size` items.

    `find` is told of which sessions, None for all, and how many of the best items. Where a list
    comes out short of k, four times as many are looked at, until it is complete.
    """
    k, arrangement = min(k, size), None if item_filter is None else item_filter.arrangement
    if arrangement is None:
        return find(None, k)
    depth = min(arrangement.depth(k), size)
    scores, items, complete = arrangement.lists(*find(None, depth), k)
    while depth < size and len(short := np.flatnonzero(~complete)):
        depth = min(4 * depth, size)
        found = arrangement.lists(*find(short, depth), k)
        scores[short], items[short], complete[short] = found
    return scores, items


def _popular(
    catalog: Catalog, num_sessions: int, k: int, item_filter: ItemFilter | None
) -> tuple[Float32Array, IntArray]:
    """Return the most clicked items that may be recommended, alike for each session [S, k].

    A boost makes an item so much more popular as it adds to its odds: e^boost times.
    """
    if item_filter is None:
        scores, items = catalog.popular(k)
    else:
        boosts = item_filter.boosts
        weights = None if boosts is None else np.exp(boosts)
        scores, items = catalog.popular(k, item_filter.allowed, weights)
    missing = (0, k - len(items))
    scores = np.pad(scores, missing, constant_values=-np.inf)
    return np.tile(scores, (num_sessions, 1)), np.tile(np.pad(items, missing), (num_sessions, 1))
