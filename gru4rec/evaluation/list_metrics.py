"""What lists are besides accurate: how novel, varied, popular, surprising and calibrated."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from gru4rec.arraytypes import Float32Array, Float64Array, IntArray
from gru4rec.evaluation.outcomes import Outcomes
from gru4rec.evaluation.slices import clicks_before
from gru4rec.sessions import offsets_of, ranges

# M targets, k places of a list, N items, D components. An item of −1 is an empty place: a list is
# measured by the items that it has, and an empty one adds 0.

_HEAD = 0.8  # of the clicks: the rest is the tail
_OWN = 0.01  # of the session's own distribution in that of its list, so that no share is 0
_ROWS = 2048


@dataclass(frozen=True)
class ItemFacts:
    """What metrics know of the items of a recommender."""

    support: IntArray
    """Clicks on each item in training [N]."""
    vectors_of: Callable[[IntArray], Float32Array] | None = None
    """Gives the vectors of some items [n, D], where it has some."""
    kinds: IntArray | None = None
    """The category of each item [N]; −1 of one that has none."""


OfTargets: TypeAlias = Callable[[Outcomes, ItemFacts, int], Float64Array]
"""What each target adds to a metric at k [M]; the metric is the mean."""


def popularity(outcomes: Outcomes, facts: ItemFacts, k: int) -> Float64Array:
    """Return the mean share of the training clicks that the k items have [M]."""
    return _mean_of(facts.support / facts.support.sum(), outcomes.lists(k))


def novelty(outcomes: Outcomes, facts: ItemFacts, k: int) -> Float64Array:
    """Return the mean of −log₂ of the k items' share of the training clicks, in bits [M].

    It is the self-information of Zhou et al., PNAS 2010, of clicks instead of users. An item that
    nobody clicked counts as one with one click.
    """
    shares = np.maximum(facts.support, 1) / facts.support.sum()
    return _mean_of(-np.log2(shares), outcomes.lists(k))


def tail_share(outcomes: Outcomes, facts: ItemFacts, k: int) -> Float64Array:
    """Return the share of the k items that are in the long tail [M].

    The head are the most clicked items that make up 80 % of the training clicks, with the one that
    reaches 80 %; the tail are all others. See APLT of Abdollahpouri et al., FLAIRS 2019.
    """
    is_tail = clicks_before(facts.support) >= _HEAD * facts.support.sum()
    return _mean_of(is_tail.astype(np.float64), outcomes.lists(k))


def serendipity(outcomes: Outcomes, facts: ItemFacts, k: int) -> Float64Array:
    """Return 1 for a target that ranks k or better and is none of the k most popular items [M].

    That is relevant, and unexpected as what a primitive recommender would not show (Ge et al.,
    RecSys 2010).
    """
    is_expected = np.zeros(len(facts.support), dtype=bool)
    is_expected[np.argsort(-facts.support, kind="stable")[:k]] = True
    return ((outcomes.ranks.numpy() <= k) & ~is_expected[outcomes.item]).astype(np.float64)


def intra_list_diversity(outcomes: Outcomes, facts: ItemFacts, k: int) -> Float64Array:
    """Return the mean of 1 − cosine over all pairs of the k items, by their vectors [M].

    See Ziegler et al., WWW 2005, whose intra-list similarity is the sum. It is 0 for fewer than two
    items; a vector of length 0 is at right angles to all.
    """
    assert facts.vectors_of is not None
    lists = outcomes.lists(k)
    diversity = np.zeros(len(lists))
    for start in range(0, len(lists), _ROWS):
        part = lists[start : start + _ROWS]
        # The squared length of a sum of unit vectors is the sum of the cosines of all ordered
        # pairs, those of an item with itself among them.
        total, own = np.zeros(1), np.zeros(len(part))
        for items in part.T:
            vectors = facts.vectors_of(np.maximum(items, 0)) * (items >= 0)[:, None]
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            total = total + vectors / np.maximum(lengths, 1e-12)
            own += lengths[:, 0] > 0
        cosines = (total.astype(np.float64) ** 2).sum(axis=-1) - own
        diversity[start : start + _ROWS] = _share_of_pairs(cosines, part)
    return diversity


def category_diversity(outcomes: Outcomes, facts: ItemFacts, k: int) -> Float64Array:
    """Return the share of the pairs of the k items that are of different categories [M].

    An item without a category is unlike all others. It is 0 for fewer than two items.
    """
    lists = outcomes.lists(k)
    kinds = _kinds(facts, lists)
    alike = np.zeros(len(lists))
    for place in range(kinds.shape[1]):
        alike += ((kinds == kinds[:, place, None]) & (kinds >= 0)).sum(axis=1) - (
            kinds[:, place] >= 0
        )
    return _share_of_pairs(alike, lists)


def calibration(outcomes: Outcomes, facts: ItemFacts, k: int) -> Float64Array:
    """Return how far the categories of the k items are from those of the session so far [M].

    It is the Kullback-Leibler divergence Σ p log(p / q̃) in nats of Steck, RecSys 2018, with every
    click of the same weight: p are the shares of the categories among the clicks before the target,
    q among the list, q̃ = .99 q + .01 p. 0 is best, log 100 the most. Items without a category are
    left out; a session that has clicked no other adds 0.
    """
    lists = outcomes.lists(k)
    divergence = np.zeros(len(lists))
    starts = offsets_of(outcomes.lengths)[outcomes.session]
    for start in range(0, len(lists), _ROWS):
        part = slice(start, start + _ROWS)
        clicks, rows = ranges(starts[part], outcomes.position[part])
        clicked, listed = _kinds(facts, outcomes.clicked[clicks]), _kinds(facts, lists[part])
        rows, clicked = rows[clicked >= 0], clicked[clicked >= 0]
        pairs, counts = np.unique(np.stack((rows, clicked)), axis=1, return_counts=True)
        rows, kinds = pairs
        p = counts / np.bincount(rows, counts, len(listed))[rows]
        shown = (listed >= 0).sum(axis=1)[rows]
        q = (listed[rows] == kinds[:, None]).sum(axis=1) / np.maximum(shown, 1)
        gains = p * np.log(p / ((1 - _OWN) * q + _OWN * p))
        divergence[part] = np.bincount(rows, gains, len(listed))
    return divergence


def coverage(lists: IntArray, size: int) -> float:
    """Return the share of a catalog of `size` items that is in some of the lists [M, k]."""
    return np.count_nonzero(_times(lists, size)) / size


def gini(lists: IntArray, size: int) -> float:
    """Return the Gini index of how often each item of a catalog is in the lists [M, k].

    Σ (2i − N − 1) cᵢ / (N Σ cᵢ) over the counts cᵢ in rising order: 0 if all N items are shown as
    often, (N − 1) / N if one alone is. Shani and Gunawardana, Recommender Systems Handbook 2011,
    divide by N − 1 instead. Not a number where nothing is shown.
    """
    counts = np.sort(_times(lists, size))
    total = counts.sum()
    if not total:
        return float("nan")
    return float(((2 * np.arange(1, size + 1) - size - 1) * counts).sum() / (size * total))


def _times(lists: IntArray, size: int) -> IntArray:
    """Return how often each item is in the lists [N]."""
    return np.bincount(lists[lists >= 0], minlength=size)


def _mean_of(values_N: Float64Array, lists: IntArray) -> Float64Array:
    """Return the mean of the values of the items of each list [M]."""
    is_item = lists >= 0
    sums = np.where(is_item, values_N[lists], 0.0).sum(axis=1)
    return np.asarray(sums / np.maximum(is_item.sum(axis=1), 1))


def _share_of_pairs(alike: Float64Array, lists: IntArray) -> Float64Array:
    """Return 1 − the mean of what ordered pairs of each list sum to; 0 if there are no pairs."""
    count = (lists >= 0).sum(axis=1)
    pairs = count * (count - 1)
    return np.where(pairs > 0, 1 - alike / np.maximum(pairs, 1), 0.0)


def _kinds(facts: ItemFacts, items: IntArray) -> IntArray:
    """Return the category of items; −1 where there is none, as in an empty place."""
    assert facts.kinds is not None
    return np.where(items >= 0, facts.kinds[items], -1)
