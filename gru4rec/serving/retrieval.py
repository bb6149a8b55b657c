"""Find the best items of sessions by an index, a filter, and a head that knows own items better."""

import numpy as np

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.serving.filtered_search import search_allowed
from gru4rec.serving.filters import ItemFilter
from gru4rec.serving.index import ItemIndex, ordered
from gru4rec.serving.repeat_head import RepeatHead
from gru4rec.sessions import REACH, OwnItems, SessionArrays, offsets_of

_ROWS_AT_ONCE = 512


# Q queries, k results, F items found, D components, O own items of a query at most
def retrieve(
    index: ItemIndex,
    queries: Float32Array,
    k: int,
    sessions: SessionArrays,
    clicks: IntArray,
    *,
    item_filter: ItemFilter | None = None,
    head: RepeatHead | None = None,
    own: OwnItems | None = None,
) -> tuple[Float32Array, IntArray]:
    """Return scores and items [Q, k] of the best that the filter lets pass; −∞ for no more.

    `queries` [Q, D] are of the sessions up to and with the `clicks` [Q], which nothing but a filter
    reads. Their `own` items are scored anew by the head, unless the filter leaves them out. So many
    more than k are looked for that k besides the own items are among what is found: with an exact
    index the answer is the one that the scores of all items give. An approximate one is always
    asked for as many, so that what it finds for a session does not depend on the others.
    """
    left_out = item_filter is not None and item_filter.exclude_clicked
    if head is None or own is None or left_out:
        return _found(index, queries, k, sessions, clicks, item_filter)
    if len(queries) == 1:
        wanted = min(k + (len(own.items) if index.is_exact else REACH), len(index))
        if item_filter is None:
            found = index.candidates(queries, wanted)
        else:
            found = search_allowed(index, queries, wanted, item_filter, sessions, clicks)
        of_own = _rescored(index, queries, head, own, slice(None), item_filter)
        return _joined_one(found, of_own, own.items, k)
    starts = offsets_of(np.bincount(own.rows, minlength=len(queries)))
    most_own = int(np.diff(starts).max(initial=0)) if index.is_exact else REACH
    wanted = min(k + most_own, len(index))
    scores, items = _found(index, queries, wanted, sessions, clicks, item_filter)
    best = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        rows = slice(start, min(start + _ROWS_AT_ONCE, len(queries)))
        of_rows = slice(starts[rows.start], starts[rows.stop])
        of_own = _rescored(index, queries, head, own, of_rows, item_filter)
        places = np.arange(of_rows.start, of_rows.stop) - starts[own.rows[of_rows]]
        found = scores[rows], items[rows]
        best[0][rows], best[1][rows] = _joined(
            found, own.rows[of_rows] - start, places, of_own, own.items[of_rows], k
        )
    return best


def _found(
    index: ItemIndex,
    queries: Float32Array,
    k: int,
    sessions: SessionArrays,
    clicks: IntArray,
    item_filter: ItemFilter | None,
) -> tuple[Float32Array, IntArray]:
    """Return scores and items [Q, k] of the best that the filter lets pass, by the index alone."""
    if item_filter is None:
        return index.search(queries, k)
    return search_allowed(index, queries, k, item_filter, sessions, clicks)


def _rescored(
    index: ItemIndex,
    queries: Float32Array,
    head: RepeatHead,
    own: OwnItems,
    some: slice,
    item_filter: ItemFilter | None,
) -> Float32Array:
    """Return what the head makes of the scores of some own items; −∞ if one may not be shown."""
    vectors = index.vectors[own.items[some]].astype(np.float32, copy=False)
    scores: Float32Array = np.vecdot(vectors, queries[own.rows[some]])
    scores = scores * np.float32(head.slope) + head.bonuses[own.cells[some]]
    if item_filter is not None:
        if item_filter.boosts is not None:
            scores += item_filter.boosts[own.items[some]]
        scores[~item_filter.allowed[own.items[some]]] = -np.inf
    return scores


def _joined(
    found: tuple[Float32Array, IntArray],
    rows: IntArray,
    places: IntArray,
    own_scores: Float32Array,
    own_items: IntArray,
    k: int,
) -> tuple[Float32Array, IntArray]:
    """Return scores and items [Q, k] of the best of what was found [Q, F] and own items.

    Own items have a row and a place in it each; their own score takes the place of the found one.
    """
    scores, items = found
    shape = len(scores), 1 + int(places.max(initial=0))
    items_QO, scores_QO = np.full(shape, -1), np.full(shape, -np.inf, np.float32)
    items_QO[rows, places], scores_QO[rows, places] = own_items, own_scores
    is_own = (items[:, :, None] == items_QO[:, None, :]).any(axis=2)
    return ordered(
        np.concatenate((np.where(is_own, np.float32(-np.inf), scores), scores_QO), axis=1),
        np.concatenate((items, np.maximum(items_QO, 0)), axis=1),
        k,
    )


def _joined_one(
    found: tuple[Float32Array, IntArray], own_scores: Float32Array, own_items: IntArray, k: int
) -> tuple[Float32Array, IntArray]:
    """Return what `_joined` does, of one query: found are [1, F]."""
    scores = np.concatenate((found[0], own_scores[None]), axis=1)
    items = np.concatenate((found[1], own_items[None]), axis=1)
    is_own = (found[1] == own_items[:, None]).any(axis=0)
    scores[0, : len(is_own)][is_own] = -np.inf
    return ordered(scores, items, k)
