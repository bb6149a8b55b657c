"""How good probabilities of classes are: AUC, log loss and calibration error, of arrays alone."""

from dataclasses import dataclass

import numpy as np

from gru4rec.arraytypes import BoolArray, Float64Array, IntArray

BINS = 15
"""Of equal width, into which probabilities are put; Guo et al. 2017 have as many."""

_SMALLEST = 1e-15  # probability that log loss takes, so that one miss is not infinite


# M targets, K classes, B bins
@dataclass(frozen=True)
class Reliability:
    """What was foretold beside what came, bin by bin; bins without a target are left out [B]."""

    foretold: Float64Array
    """The mean probability."""
    came: Float64Array
    """The share of targets for which it came true."""
    counts: IntArray


def auc(shares_MK: Float64Array, outcomes_M: IntArray) -> float:
    """Return the area under the ROC curve: how likely a positive target is ahead of a negative one.

    (Σ ranks of positives − P · (P + 1) / 2) / (P · N), ranks from 1 by rising probability, ties at
    their mean: equal ones count half (Mann & Whitney 1947). Of more than two classes the mean over
    classes, each against the rest, of those that some targets have and others not. Not a number
    where there is none.
    """
    count = shares_MK.shape[1]
    classes = [1] if count == 2 else range(count)
    areas = [_area(shares_MK[:, place], outcomes_M == place) for place in classes]
    known = [area for area in areas if not np.isnan(area)]
    return float(np.mean(known)) if known else float("nan")


def _area(shares_M: Float64Array, is_positive_M: BoolArray) -> float:
    positives = int(is_positive_M.sum())
    pairs = positives * (len(is_positive_M) - positives)
    if not pairs:
        return float("nan")
    _, place_M, counts = np.unique(shares_M, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    ranks = mean_ranks[place_M][is_positive_M].sum()
    return float((ranks - positives * (positives + 1) / 2) / pairs)


def surprises(shares_MK: Float64Array, outcomes_M: IntArray) -> Float64Array:
    """Return −ln of the probability of what came [M]; log loss is their mean."""
    came_M = shares_MK[np.arange(len(outcomes_M)), outcomes_M]
    surprise: Float64Array = -np.log(np.maximum(came_M, _SMALLEST))
    return surprise


def reliability(shares_MK: Float64Array, outcomes_M: IntArray) -> Reliability:
    """Return how often what was foretold came, by `BINS` bins of equal width.

    Of two classes the probability is that of the positive one. Of more it is that of the likeliest
    class, and it comes true if that was right (confidence, Guo et al. 2017).
    """
    if shares_MK.shape[1] == 2:
        foretold_M, came_M = shares_MK[:, 1], outcomes_M == 1
    else:
        foretold_M, came_M = shares_MK.max(axis=1), shares_MK.argmax(axis=1) == outcomes_M
    bins_M = np.minimum((foretold_M * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins_M, minlength=BINS)
    some = counts > 0
    sums = (np.bincount(bins_M, part, BINS)[some] for part in (foretold_M, came_M))
    foretold, came = (of_bins / counts[some] for of_bins in sums)
    return Reliability(foretold, came, counts[some])


def calibration_error(shares_MK: Float64Array, outcomes_M: IntArray) -> float:
    """Return the expected calibration error: Σ over bins of |foretold − came| · share of targets.

    Naeini et al. 2015; see `reliability`.
    """
    if not len(outcomes_M):
        return float("nan")
    bins = reliability(shares_MK, outcomes_M)
    return float((np.abs(bins.foretold - bins.came) * bins.counts).sum() / len(outcomes_M))
