"""Arrange the best items of a session as a list: spread out, and not too many of a kind.

Variety is maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): the next item of the
list is the one with the largest

    (1 − diversity) · relevance − diversity · largest cosine with an item that the list has

where relevance is the score, moved so that the best found is 1 and the worst 0.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

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

    most: int | None = None
    """Items that a list can have: all without a kind, and so many of each kind; None: no bound."""

    def depth(self, k: int) -> int:
        """Return how many items to find at first for a list of k."""
        return max(k, REARRANGED) if self.diversity or self.at_most is not None else k

    def lists(
        self, scores_SL: Float32Array, items_SL: IntArray, k: int
    ) -> tuple[Float32Array, IntArray, BoolArray]:
        """Return scores and items [S, k] of lists, and whether each is complete [S].

        What was found comes best first, −∞ at the end for no more. A list is complete if it has k
        items, or as many as it can have, or if all that may be shown was found.
        """
        scores, items = empty(len(scores_SL), k)
        complete = np.zeros(len(scores_SL), dtype=bool)
        enough = k if self.most is None else min(k, self.most)
        for row, (scores_L, items_L) in enumerate(zip(scores_SL, items_SL, strict=True)):
            found = int(np.isfinite(scores_L).sum())
            order = self._order(scores_L[:found], items_L[:found])
            chosen = [*islice(self._few_of_a_kind(order, items_L), k)]
            scores[row, : len(chosen)] = scores_L[chosen]
            items[row, : len(chosen)] = items_L[chosen]
            complete[row] = len(chosen) >= enough or found < len(scores_L)
        return scores, items, complete

    def _order(self, scores_L: Float32Array, items_L: IntArray) -> Iterable[int]:
        """Yield places in the order in which the list takes them, as far as anybody asks."""
        if not self.diversity or self.vectors_of is None or len(scores_L) < 2:
            return range(len(scores_L))
        near = min(REARRANGED, len(scores_L))
        vectors_LD = self.vectors_of(items_L[:near])
        first = _spread(scores_L[:near], items_L[:near], vectors_LD, self.diversity)
        return chain(first, range(near, len(scores_L)))

    def _few_of_a_kind(self, order: Iterable[int], items_L: IntArray) -> Iterator[int]:
        """Yield the places of an order, without those beyond the most of their kind."""
        if self.at_most is None or self.kinds is None:
            yield from order
            return
        kinds, taken = self.kinds[items_L].tolist(), Counter[int]()
        for place in order:
            kind = kinds[place]
            if kind < 0 or taken[kind] < self.at_most:
                taken[kind] += 1
                yield place


def _spread(
    scores_L: Float32Array, items_L: IntArray, vectors_LD: Float32Array, weight: float
) -> Iterator[int]:
    """Yield all places by maximal marginal relevance; see the module."""
    lengths = np.linalg.norm(vectors_LD, axis=1, keepdims=True)
    unit_LD = vectors_LD / np.maximum(lengths, 1e-12)
    spread = scores_L[0] - scores_L[-1]
    relevance_L = (scores_L - scores_L[-1]) / spread if spread else np.zeros_like(scores_L)
    worth_L = (1 - weight) * relevance_L
    nearest_L = np.full(len(scores_L), -np.inf, dtype=np.float32)
    last = 0
    yield last
    for _ in range(1, len(scores_L)):
        worth_L[last] = -np.inf
        # A dot product each: those of equal vectors are equal, and no thread waits for another.
        np.maximum(nearest_L, np.vecdot(unit_LD, unit_LD[last]), out=nearest_L)
        marginal_L = worth_L - weight * nearest_L
        best = np.flatnonzero(marginal_L == marginal_L.max())
        last = int(best[items_L[best].argmin()])
        yield last


def empty(sessions: int, k: int) -> tuple[Float32Array, IntArray]:
    """Return the scores and items [S, k] of lists that have no items yet."""
    return np.full((sessions, k), -np.inf, np.float32), np.zeros((sessions, k), np.int64)
