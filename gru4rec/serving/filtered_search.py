"""Find the best items that may be recommended, through the index as far as it goes."""

import numpy as np

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.serving.filters import ItemFilter
from gru4rec.serving.index import MANY, ItemIndex
from gru4rec.sessions import SessionArrays

# An index is not asked for more items than this, nor more than the catalog's size divided by that.
_MOST, _SHARE = 500, 8


# Q queries, k results, F items fetched, D components
def best_allowed(
    index: ItemIndex,
    queries: Float32Array,
    k: int,
    only: ItemFilter,
    sessions: SessionArrays,
    clicks: IntArray,
) -> tuple[Float32Array, IntArray]:
    """Scores and items [Q, k] of the best items that `only` lets pass, −∞ where there are no more.

    `queries` [Q, D] are of the sessions up to and with the `clicks` [Q]. The index is asked for
    more items than k; where too few of them pass, or it were asked for very many, the scores of all
    items decide.
    """

    def by_all_scores(rows: IntArray) -> tuple[Float32Array, IntArray]:
        of_rows = clicks[rows]
        return index.search_all(
            queries[rows], k, lambda scores, some: only.mask(scores, sessions, of_rows[some])
        )

    fetched = only.reach(k, sessions, clicks)
    together = index.is_exact and len(queries) >= MANY
    if together or fetched > min(_MOST, len(index) // _SHARE):
        return by_all_scores(np.arange(len(queries)))
    scores, items = index.search(queries, fetched)
    passing = only.passes(items, sessions, clicks)
    first = np.argsort(~passing, axis=1, kind="stable")[:, :k]
    scores, items = np.take_along_axis(scores, first, 1), np.take_along_axis(items, first, 1)
    short = np.flatnonzero(passing.sum(axis=1) < k)
    if len(short):
        scores[short], items[short] = by_all_scores(short)
    return scores, items
