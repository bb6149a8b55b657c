"""Candidates of a window: its targets and sampled negatives, and how likely each was."""

from dataclasses import dataclass

import numpy as np

from gru4rec.arraytypes import BoolArray, Float64Array, IntArray
from gru4rec.sessions import ORDINARY_CLICKS, PackedLayout, SessionBatch

NOTHING: IntArray = np.empty((0, 0), dtype=np.int64)


@dataclass(frozen=True)
class Candidates:
    """The items that one window scores."""

    # C candidates, M clicks: each has one target
    items: IntArray
    """Item indexes, rising, each once [C]."""
    targets: IntArray
    """Column of each click's target [M]."""
    log_expected: Float64Array
    """What the logQ correction subtracts from each column [C]: `logq` times the log of the
    probability that others than a click's own session made it a candidate, or what stands for
    that."""
    masked: IntArray
    """Flat places row·C + column where a click must not see a candidate as its negative."""
    named: IntArray
    """Columns of what teachers name [M, T]; T is 0 without them."""


class CandidateSampler:
    """Draws negatives ∝ support^alpha and joins them with a window's targets.

    The probability that item j is in the set thanks to others than a click's own session is π_j = 1
    − (1−p_j)^M (1−q_j)^n. Here p is the distribution of targets, q ∝ support^alpha, n the number of
    draws, and M that of the targets of the other sessions: on average over the window's sessions.

    The other targets of a click's own session are in the set with certainty. As negatives they
    would teach that a session's items do not belong together. So they are masked for its clicks,
    unless another session or a draw brought them too. Stretches of 256 clicks of an endless session
    are as sessions of their own here: else a window that it fills would have no negatives of the
    window, and would mask nearly every score. A catalog no larger than `whole_below` is a candidate
    as a whole: nothing is drawn, corrected or masked. Items without support are no negatives.

    With `by_support` the correction is that of the GRU4Rec authors' code. That subtracts logq ·
    log(support) from each target's column and logq · alpha · log(support) from each drawn one, and
    leaves copies of an item side by side. Here the copies, m as targets and c drawn, are one column
    with the weight of all: −log(m support^−logq + c support^(−logq·alpha)) is subtracted. What
    softmax and gradient make of that is the same.
    """

    def __init__(
        self,
        support: IntArray,
        target_counts: IntArray,
        *,
        alpha: float,
        draws: int,
        whole_below: int,
        logq: float = 1.0,
        by_support: bool = False,
    ) -> None:
        # That nobody clicked an item that was added since says nothing against it.
        weights = np.where(support > 0, support.astype(np.float64) ** alpha, 0.0)
        self.draws = draws
        self.whole = len(support) <= whole_below
        self.clicked = np.flatnonzero(support)
        self.cumulative = np.cumsum(weights)  # float64: a float32 sum cannot reach rare items
        self.log_unsampled = _log_complement(weights / self.cumulative[-1])
        self.log_untargeted = _log_complement(target_counts / max(1, target_counts.sum()))
        self.log_support = np.log(np.maximum(support, 1)) if by_support else None
        self.alpha, self.logq = alpha, logq
        self._drawn = np.zeros(len(support), dtype=bool)  # scratch: all False between calls

    def draw(self, random: np.random.Generator) -> IntArray:
        """Draw item indexes with replacement ∝ support^alpha, rising [draws]."""
        # In rising order neighbouring searches meet the same memory: several times faster.
        points = np.sort(random.random(self.draws)) * self.cumulative[-1]
        drawn = np.searchsorted(self.cumulative, points, side="right")
        return np.asarray(np.minimum(drawn, len(self.cumulative) - 1))

    def candidates(
        self,
        targets: IntArray,
        batch: SessionBatch,
        random: np.random.Generator,
        *,
        named: IntArray = NOTHING,
    ) -> Candidates:
        """Return the candidates of a window whose clicks have the given target items [M].

        What teachers `named` [M, T] is among them, as if it had been drawn.
        """
        if self.whole:
            catalog, nowhere = self.clicked, np.empty(0, dtype=np.int64)
            if len(catalog) < len(self.cumulative):
                targets, named = (np.searchsorted(catalog, items) for items in (targets, named))
            return Candidates(catalog, targets, np.zeros(len(catalog)), nowhere, named)
        draws = self.draw(random)
        if named.size:
            draws = np.sort(np.concatenate((draws, named.ravel())))
        items = _distinct(np.concatenate((targets, draws)))
        self._drawn[draws] = True
        drawn = self._drawn[items]
        self._drawn[draws] = False
        columns = np.searchsorted(items, targets)
        return Candidates(
            items,
            columns,
            self._log_expected(items, columns, draws, batch.layout, named.size),
            _own_session_only(columns, drawn, batch.layout),
            np.searchsorted(items, named),
        )

    def _log_expected(
        self, items: IntArray, columns: IntArray, draws: IntArray, layout: PackedLayout, named: int
    ) -> Float64Array:
        """Return what the correction subtracts from each column [C]; see `Candidates`.

        What teachers named counts as so many targets more: on average it is distributed as they.
        """
        if self.log_support is None:
            others = (len(columns) + named) * (1 - 1 / _num_stretches(layout))
            return self.logq * self.log_inclusion(items, others)
        as_target = np.bincount(columns, minlength=len(items))
        drawn = np.searchsorted(draws, items, "right") - np.searchsorted(draws, items)
        scaled = -self.logq * self.log_support[items]
        return np.asarray(-np.log(as_target * np.exp(scaled) + drawn * np.exp(self.alpha * scaled)))

    def log_inclusion(self, items: IntArray, other_targets: float) -> Float64Array:
        """Return log π_j of each item [C], given the number of targets of other sessions."""
        if other_targets == 0 and self.draws == 0:
            return np.zeros(len(items))  # a click that has no negatives has nothing to correct
        log_absent = (
            other_targets * self.log_untargeted[items] + self.draws * self.log_unsampled[items]
        )
        return np.asarray(np.log(-np.expm1(np.minimum(log_absent, -1e-12))))


def _log_complement(probabilities: Float64Array) -> Float64Array:
    """Return log(1 − p), finite also for p = 1."""
    return np.asarray(np.log1p(-np.minimum(probabilities, 1 - 1e-12)))


def _distinct(values: IntArray) -> IntArray:
    """Return the values, rising, each once; faster than np.unique on a few thousand."""
    values = np.sort(values)
    return values[np.concatenate(([True], values[1:] != values[:-1]))]


def _num_stretches(layout: PackedLayout) -> int:
    """Return the number of segments, those of endless sessions counted in stretches."""
    return int((-(-layout.lengths // ORDINARY_CLICKS)).sum())


def _own_session_only(columns: IntArray, drawn: BoolArray, layout: PackedLayout) -> IntArray:
    """Return places row·C + column of other targets that only the row's own stretch brought.

    `columns` are those of the targets [M]; `drawn` says which candidates were drawn [C].
    """
    num_segments, num_candidates = len(layout.lengths), len(drawn)
    # Each (column, stretch of a segment) once: a stretch that brought a candidate as a target.
    # Stretch s·S + i is the s-th of segment i.
    num_stretches = num_segments * -(-int(layout.lengths[0]) // ORDINARY_CLICKS)
    stretches = layout.positions // ORDINARY_CLICKS * num_segments + layout.segments
    pairs = _distinct(columns * num_stretches + stretches)
    column, stretch = pairs // num_stretches, pairs % num_stretches
    first, segment = stretch // num_segments * ORDINARY_CLICKS, stretch % num_segments
    counts = np.minimum(layout.lengths[segment] - first, ORDINARY_CLICKS)
    alone = (np.bincount(column, minlength=num_candidates) == 1) & ~drawn
    kept = alone[column] & (counts > 1)
    column, segment, first, counts = column[kept], segment[kept], first[kept], counts[kept]
    # Of each such pair, all rows of the stretch but those that have the candidate as their target.
    position = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
    rows = layout.block_starts[position] + np.repeat(segment, counts)
    column = np.repeat(column, counts)
    other = columns[rows] != column
    return np.asarray(rows[other] * num_candidates + column[other])
