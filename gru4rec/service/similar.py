"""Find the items that are most like an item."""

from typing import Any

import numpy as np

from gru4rec.recommenders import Indexed, Recommender

_LOOKED_AT = 4, 50  # times k and besides: what an index by dot products proposes


def similar(recommender: Recommender, item: int, k: int) -> tuple[list[Any], list[float]]:
    """Return the ids of the k items most like that of an item index, and how like they are.

    By the cosine of their vectors, of those whose dot products are the largest. A recommender
    without vectors says what it recommends after the item alone.
    """
    catalog = recommender.catalog
    if not isinstance(recommender, Indexed):
        (item_id,) = catalog.ids_of([item])
        ids, scores = recommender.next_items([item_id], k + 1)
        found = [pair for pair in zip(ids, scores, strict=True) if pair[0] != item_id][:k]
        return [each for each, _ in found], [score for _, score in found]
    times, besides = _LOOKED_AT
    vectors = recommender.index.vectors
    query = vectors[item : item + 1].astype(np.float32, copy=False)
    _, (near,) = recommender.index.search(query, times * k + besides)
    near = near[near != item]
    of_near = vectors[near].astype(np.float32, copy=False)
    lengths = np.linalg.norm(of_near, axis=1) * np.linalg.norm(query)
    cosines = of_near @ query[0] / np.maximum(lengths, np.finfo(np.float32).tiny)
    best = np.lexsort((near, -cosines))[:k]
    return catalog.ids_of(near[best].tolist()), cosines[best].tolist()
