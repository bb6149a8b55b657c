"""Find the best items that may be recommended, through the index as far as it goes."""

import numpy as np
from torch import Tensor

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.serving.arrangement import empty
from gru4rec.serving.filters import ItemFilter
from gru4rec.serving.index import MANY, ItemIndex
from gru4rec.sessions import SessionArrays

# An index is not asked for more items than this, nor more than the catalog's size divided by that.
_MOST, _SHARE = 500, 8


# Q queries, k results, F items fetched, D components
def search_allowed(
    index: ItemIndex,
    queries: Float32Array,
    k: int,
    item_filter: ItemFilter,
    sessions: SessionArrays,
    clicks: IntArray,
) -> tuple[Float32Array, IntArray]:
    """Return scores and items [Q, k] of the best that the filter lets pass; −∞ for no more.

    `queries` [Q, D] are of the sessions up to and with the `clicks` [Q]. The index is asked for
    more items than k. Where too few of them pass, or it were asked for very many, the scores of all
    items decide, or of all that pass if these are few. So they do where scores are boosted, since
    an index does not know of that.
    """

    def scan(rows: IntArray) -> tuple[Float32Array, IntArray]:
        clicks_of_rows = clicks[rows]
        return index.scan(
            queries[rows],
            k,
            lambda scores, part: item_filter.mask(scores, sessions, clicks_of_rows[part]),
        )

    if item_filter.is_narrow:
        return _scan_few(index, queries, k, item_filter, sessions, clicks)
    fetched = item_filter.reach(k, sessions, clicks)
    many = index.is_exact and len(queries) >= MANY
    if many or item_filter.boosts is not None or fetched > min(_MOST, len(index) // _SHARE):
        return scan(np.arange(len(queries)))
    scores, items = index.search(queries, fetched)
    passing = item_filter.passes(items, sessions, clicks)
    first = np.argsort(~passing, axis=1, kind="stable")[:, :k]
    scores, items = np.take_along_axis(scores, first, 1), np.take_along_axis(items, first, 1)
    short = np.flatnonzero(passing.sum(axis=1) < k)
    if len(short):
        scores[short], items[short] = scan(short)
    return scores, items


def _scan_few(
    index: ItemIndex,
    queries: Float32Array,
    k: int,
    item_filter: ItemFilter,
    sessions: SessionArrays,
    clicks: IntArray,
) -> tuple[Float32Array, IntArray]:
    """Do what `search_allowed` does by the scores of the items that pass, and of no others."""
    (few, passing), (scores, items) = item_filter.few_of(index), empty(len(queries), k)

    def mask(scores_of_few: Tensor, part: slice) -> None:
        item_filter.mask(scores_of_few, sessions, clicks[part], among=passing)

    found, places = few.scan(queries, k, mask)
    count = places.shape[1]
    scores[:, :count], items[:, :count] = found, passing[places]
    return scores, items
