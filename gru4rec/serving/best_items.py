"""The best items of sessions, and the popular ones where nothing of a session is known."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from gru4rec.arraytypes import BoolArray, Float32Array, IntArray, Rows
from gru4rec.clicks import at_least_one
from gru4rec.serving.answering import Answering
from gru4rec.serving.arrangement import empty
from gru4rec.serving.filters import ItemFilter
from gru4rec.sessions import Catalog, RunningSession, SessionArrays

# S sessions, k' = min(k, N) items of each. A score of −∞ marks an empty place: fewer than k items
# may be recommended, and the item that stands there means nothing.

Found: TypeAlias = tuple[Rows, Float32Array, IntArray]
"""Rows of what is asked, and the scores and items found for them, best first."""


def best_of_sessions(
    recommender: Answering, sessions: SessionArrays, k: int, item_filter: ItemFilter | None
) -> tuple[Float32Array, IntArray]:
    """Return scores and items [S, k'] of the best items after the last click of each session.

    Raise DataError for k < 1.
    """
    known = np.flatnonzero(sessions.lengths)
    last_clicks = sessions.offsets[1:][known] - 1
    lists = lists_after(recommender, sessions, last_clicks, k, item_filter)
    scores, items = empty(len(sessions), min(k, len(recommender.catalog)))
    for rows, best_scores, best_items in lists:
        scores[known[rows]], items[known[rows]] = best_scores, best_items
    if len(known) < len(sessions):
        _put_popular(recommender.catalog, sessions.lengths == 0, scores, items, item_filter)
    return scores, items


def lists_after(
    recommender: Answering,
    sessions: SessionArrays,
    clicks: IntArray,
    k: int,
    item_filter: ItemFilter | None,
) -> Iterator[Found]:
    """Return an iterator over lists after each given click, by its session up to and with it.

    `clicks` are places in `sessions.items`, rising. It gives rows of `clicks`, scores and items
    [n, k'], each row once, in no order. Raise DataError for k < 1.
    """

    def find(some: Rows, depth: int) -> Iterator[Found]:
        return recommender.top(sessions, clicks[some], depth, item_filter=item_filter)

    return _lists(find, len(clicks), at_least_one(k, "k"), len(recommender.catalog), item_filter)


def best_of_running(
    recommender: Answering,
    sessions: Sequence[RunningSession],
    k: int,
    item_filter: ItemFilter | None,
) -> tuple[Float32Array, IntArray]:
    """Return scores and items [S, k'] of the best next items of running sessions.

    Raise DataError for k < 1.
    """
    size = len(recommender.catalog)
    k = min(at_least_one(k, "k"), size)
    known = [row for row, session in enumerate(sessions) if session.items]
    is_plain = item_filter is None or item_filter.arrangement is None
    if is_plain and known and len(known) == len(sessions):  # soonest: a live answer waits
        return recommender.top_running(sessions, k, item_filter=item_filter)

    def find(some: Rows, depth: int) -> Iterator[Found]:
        asked = [sessions[row] for row in np.array(known)[some].tolist()]
        yield slice(None), *recommender.top_running(asked, depth, item_filter=item_filter)

    scores, items = empty(len(sessions), k)
    if known:
        for rows, best_scores, best_items in _lists(find, len(known), k, size, item_filter):
            places = np.array(known)[rows]
            scores[places], items[places] = best_scores, best_items
    if len(known) < len(sessions):
        unknown = np.array([not session.items for session in sessions])
        _put_popular(recommender.catalog, unknown, scores, items, item_filter)
    return scores, items


def _lists(
    find: Callable[[Rows, int], Iterator[Found]],
    count: int,
    k: int,
    size: int,
    item_filter: ItemFilter | None,
) -> Iterator[Found]:
    """Yield rows, scores and items [n, k'] of so many lists made of what is found of `size` items.

    `find` is told of which rows, and how many of the best items, and gives them in pieces. Where a
    list comes out short of k, four times as many are looked at, until it is complete.
    """
    k, arrangement = min(k, size), None if item_filter is None else item_filter.arrangement
    if arrangement is None:
        yield from find(slice(None), k)
        return
    left, depth = np.arange(count), min(arrangement.depth(k), size)
    while len(left):
        short = []
        for rows, found_scores, found_items in find(left, depth):
            scores, items, complete = arrangement.lists(found_scores, found_items, k)
            complete |= depth == size
            yield left[rows][complete], scores[complete], items[complete]
            short.append(left[rows][~complete])
        left, depth = np.sort(np.concatenate(short)), min(4 * depth, size)


def _put_popular(
    catalog: Catalog,
    where: BoolArray,
    scores: Float32Array,
    items: IntArray,
    item_filter: ItemFilter | None,
) -> None:
    """Put the list of popular items where nothing of a session is known, in scores [S, k']."""

    def find(some: Rows, depth: int) -> Iterator[Found]:
        yield slice(None), *_popular(catalog, depth, item_filter)

    for _, best_scores, best_items in _lists(find, 1, scores.shape[1], len(catalog), item_filter):
        if len(best_scores):
            scores[where], items[where] = best_scores, best_items


def _popular(
    catalog: Catalog, k: int, item_filter: ItemFilter | None
) -> tuple[Float32Array, IntArray]:
    """Return the most clicked items that may be recommended, and their scores [1, k].

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
    return scores[None], np.pad(items, missing)[None]
