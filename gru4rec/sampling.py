"""Candidates of a window: its targets and sampled negatives, and how likely each was."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gru4rec.arrays import IntArray
from gru4rec.batching import SessionBatch

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """The items that one window scores."""

    # C candidates, M targets
    items: IntArray
    """Item indexes, rising, each once [C]."""
    targets: IntArray
    """Column of each click's target [M]."""
    log_expected: FloatArray
    """What the logQ correction subtracts, for `logq` = 1 [C]: the log of the probability that
    others than a click's own session made it a candidate, or what stands for it."""
    masked: IntArray
    """Places row·C + column where a click must not see a candidate as its negative."""


class CandidateSampler:
    """Draws negatives ∝ support^alpha and joins them with a window's targets.

    The probability that item j is in the set thanks to others than a click's own session is π_j = 1
    − (1−p_j)^M (1−q_j)^n, with p the distribution of targets, q ∝ support^alpha, n draws and M the
    targets of the other sessions, for which the mean over the window's sessions stands.

    The other targets of a click's own session are in the set with certainty. As negatives they
    would teach that a session's items do not belong together, so they are masked for its clicks,
    unless another session or a draw brought them too. A catalog no larger than `whole_below` is a
    candidate as a whole: nothing is drawn, corrected or masked.

    With `by_support` log(support) of the targets and alpha · log(support) of the other candidates
    stand for log π, unnormalised, as in the GRU4Rec authors' code.
    """

    def __init__(
        self,
        support: IntArray,
        target_counts: IntArray,
        *,
        alpha: float,
        draws: int,
        whole_below: int,
        by_support: bool = False,
    ) -> None:
        weights = support.astype(np.float64) ** alpha
        self.draws = draws
        self._whole = len(support) <= whole_below
        self._cumulative = np.cumsum(weights)  # float64: a float32 sum cannot reach rare items
        self._log_unsampled = _log_complement(weights / self._cumulative[-1])
        self._log_untargeted = _log_complement(target_counts / max(1, target_counts.sum()))
        self._log_support = np.log(np.maximum(support, 1)) if by_support else None
        self._alpha = alpha
        self._drawn = np.zeros(len(support), dtype=bool)  # scratch: all False between calls

    def draw(self, random: np.random.Generator) -> IntArray:
        """Item indexes drawn with replacement ∝ support^alpha, rising [draws]."""
        # In rising order neighbouring searches meet the same memory: several times faster.
        points = np.sort(random.random(self.draws)) * self._cumulative[-1]
        drawn = np.searchsorted(self._cumulative, points, side="right")
        return np.asarray(np.minimum(drawn, len(self._cumulative) - 1))

    def candidates(
        self, targets: IntArray, batch: SessionBatch, random: np.random.Generator
    ) -> Candidates:
        """The candidates of a window whose clicks have the given target items [M]."""
        if self._whole:
            every = np.arange(len(self._cumulative))
            return Candidates(every, targets, np.zeros(len(every)), np.empty(0, dtype=np.int64))
        draws = self.draw(random)
        items = _distinct(np.concatenate((targets, draws)))
        self._drawn[draws] = True
        drawn = self._drawn[items]
        self._drawn[draws] = False
        columns = np.searchsorted(items, targets)
        return Candidates(
            items,
            columns,
            self._log_expected(items, columns, len(targets) * (1 - 1 / len(batch.lengths))),
            _own_session_only(columns, drawn, batch),
        )

    def _log_expected(self, items: IntArray, columns: IntArray, other_targets: float) -> FloatArray:
        if self._log_support is None:
            return self.log_inclusion(items, other_targets)
        power = np.full(len(items), self._alpha)
        power[columns] = 1.0
        return np.asarray(power * self._log_support[items])

    def log_inclusion(self, items: IntArray, other_targets: float) -> FloatArray:
        """log π_j of each item, given the number of targets of other sessions [C]."""
        if other_targets == 0 and self.draws == 0:
            return np.zeros(len(items))  # a click that has no negatives has nothing to correct
        log_absent = (
            other_targets * self._log_untargeted[items] + self.draws * self._log_unsampled[items]
        )
        return np.asarray(np.log(-np.expm1(np.minimum(log_absent, -1e-12))))


def _log_complement(probabilities: FloatArray) -> FloatArray:
    """log(1 − p), finite also for p = 1."""
    return np.asarray(np.log1p(-np.minimum(probabilities, 1 - 1e-12)))


def _distinct(values: IntArray) -> IntArray:
    """The values, rising, each once; faster than np.unique on a few thousand."""
    values = np.sort(values)
    return values[np.concatenate(([True], values[1:] != values[:-1]))]


def _own_session_only(
    columns: IntArray, drawn: npt.NDArray[np.bool_], batch: SessionBatch
) -> IntArray:
    """Places row·C + column of other targets that only the row's own session brought."""
    num_segments, num_candidates = len(batch.lengths), len(drawn)
    pairs = _distinct(columns * num_segments + batch.segments)
    column, segment = pairs // num_segments, pairs % num_segments
    alone = (np.bincount(column, minlength=num_candidates) == 1) & ~drawn
    keep = alone[column] & (batch.lengths[segment] > 1)
    column, segment = column[keep], segment[keep]
    repeats = batch.lengths[segment]
    position = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    rows = batch.block_starts[position] + np.repeat(segment, repeats)
    column = np.repeat(column, repeats)
    other = columns[rows] != column
    return np.asarray(rows[other] * num_candidates + column[other])
