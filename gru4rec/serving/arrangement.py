"""Arrange the best items of a session as a list: spread out, and not too many of a kind.

Variety is maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): the next item of the
list is the one with the largest

    (1 − diversity) · relevance − diversity · largest cosine with an item that the list has

where relevance is the score, moved so that the best found is 1 and the worst 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gru4rec.arraytypes import BoolArray, Float32Array, IntArray

REARRANGED = 200
"""The best items, which variety puts in another order; those after them stay behind."""

VectorsOf = Callable[[IntArray], Float32Array]
"""Gives the vectors of some items [n, D]."""


# S sessions, L items found for each, k of a list, N items
@dataclass(frozen=True)
class Arrangement:
    """How lists are made of the best items."""

    diversity: float = 0.0
    """From 0, the order of scores, to 1."""
    vectors_of: VectorsOf | None = None
    """What variety is measured by."""
    at_most: int | None = None
    """Items of one kind in a list."""
    kinds: IntArray | None = None
    """The kind of each item [N]; −1 of one that has none, which is not counted."""

    def depth(self, k: int) -> int:
        """Return how many items to find at first for a list of k."""
        return max(k, REARRANGED) if self.diversity or self.at_most is not None else k

    def lists(
        self, scores_SL: Float32Array, items_SL: IntArray, k: int
    ) -> tuple[Float32Array, IntArray, BoolArray]:
        """Return scores and items [S, k] of lists, and whether each is complete [S].

        What was found comes best first, −∞ at the end for no more. A list is complete if it has k
        items, or if all that may be shown was found.
        """
        scores, items = empty(len(scores_SL), k)
        complete = np.zeros(len(scores_SL), dtype=bool)
        for row, (scores_L, items_L) in enumerate(zip(scores_SL, items_SL, strict=True)):
            found = int(np.isfinite(scores_L).sum())
            order = self._order(scores_L[:found], items_L[:found], k)
            chosen = order[:k] if self.at_most is None else self._few_of_a_kind(items_L, order, k)
            scores[row, : len(chosen)], items[row, : len(chosen)] = (
                scores_L[chosen],
                items_L[chosen],
            )
            complete[row] = len(chosen) == k or found < len(scores_L)
        return scores, items, complete

    def _order(self, scores_L: Float32Array, items_L: IntArray, k: int) -> IntArray:
        """Return places in the order in which the list takes them."""
        order = np.arange(len(scores_L))
        if not self.diversity or self.vectors_of is None or len(order) < 2:
            return order
        near = min(REARRANGED, len(order))
        # How many of them the walk over kinds will pass by is not known before.
        wanted = min(near, k) if self.at_most is None else near
        first = _spread(
            scores_L[:near], items_L[:near], self.vectors_of(items_L[:near]), wanted, self.diversity
        )
        left = np.ones(near, dtype=bool)
        left[first] = False
        return np.concatenate((first, np.flatnonzero(left), order[near:]))

    def _few_of_a_kind(self, items_L: IntArray, order: IntArray, k: int) -> IntArray:
        """Return the first k places of an order, without those beyond the most of their kind."""
        assert self.kinds is not None
        assert self.at_most is not None
        kinds = self.kinds[items_L[order]]
        by_kind = np.argsort(kinds, kind="stable")
        first = np.flatnonzero(np.diff(kinds[by_kind], prepend=-2))
        nth = np.empty(len(kinds), dtype=np.int64)
        nth[by_kind] = np.arange(len(kinds)) - np.repeat(first, np.diff(first, append=len(kinds)))
        return order[(kinds < 0) | (nth < self.at_most)][:k]


def _spread(
    scores_L: Float32Array, items_L: IntArray, vectors_LD: Float32Array, count: int, weight: float
) -> IntArray:
    """Return the places of so many items by maximal marginal relevance; see the module."""
    lengths = np.linalg.norm(vectors_LD, axis=1, keepdims=True)
    unit_LD = vectors_LD / np.maximum(lengths, 1e-12)
    spread = scores_L[0] - scores_L[-1]
    relevance_L = (scores_L - scores_L[-1]) / spread if spread else np.zeros_like(scores_L)
    worth_L = (1 - weight) * relevance_L
    nearest_L = np.full(len(scores_L), -np.inf, dtype=np.float32)
    chosen = np.empty(count, dtype=np.int64)
    chosen[0] = 0
    for place in range(1, count):
        worth_L[chosen[place - 1]] = -np.inf
        # A dot product each: those of equal vectors are equal, and no thread waits for another.
        np.maximum(nearest_L, np.vecdot(unit_LD, unit_LD[chosen[place - 1]]), out=nearest_L)
        marginal_L = worth_L - weight * nearest_L
        best = np.flatnonzero(marginal_L == marginal_L.max())
        chosen[place] = best[items_L[best].argmin()]
    return chosen


def empty(sessions: int, k: int) -> tuple[Float32Array, IntArray]:
    """Return the scores and items [S, k] of lists that have no items yet."""
    return np.full((sessions, k), -np.inf, np.float32), np.zeros((sessions, k), np.int64)
