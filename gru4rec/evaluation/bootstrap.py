"""How sure a mean over targets is: 95 % intervals, by drawing sessions again."""

from collections.abc import Sequence

import numpy as np

from gru4rec.arraytypes import Float64Array, IntArray

_GROUPS = 4096
_TOGETHER = 256
_BOUNDS = (2.5, 97.5)


class Resamples:
    """Sessions of a log, drawn again with replacement: the same ones for every recommender.

    The targets of a session hang together, so sessions are drawn, not targets. More than 4,096
    sessions are put into 4,096 groups of as many sessions each, and groups are drawn: the interval
    is the same, the work bounded.
    """

    # G groups of sessions, R draws, M targets
    def __init__(self, num_sessions: int, *, draws: int = 1000, seed: int = 0) -> None:
        self._groups = max(1, min(num_sessions, _GROUPS))
        random = np.random.default_rng(seed)
        drawn = random.multinomial(self._groups, np.full(self._groups, 1 / self._groups), draws)
        self._times_RG = drawn.astype(np.float64)

    def grouped(self, sessions: IntArray, values: Float64Array | None = None) -> Float64Array:
        """Return the sum of values [M], or of ones, over the sessions [M] of each group [G]."""
        return np.bincount(sessions % self._groups, values, self._groups).astype(np.float64)

    def means(self, sums: Sequence[Float64Array], counts: Sequence[Float64Array]) -> Float64Array:
        """Return the mean of values in each draw [n, R]; nan where a draw has none.

        The values are given as grouped sums and grouped ones, both [n × G].
        """
        means = np.empty((len(sums), len(self._times_RG)))
        for start in range(0, len(sums), _TOGETHER):
            rows = slice(start, start + _TOGETHER)
            totals = self._times_RG @ np.stack(sums[rows], axis=1)
            numbers = self._times_RG @ np.stack(counts[rows], axis=1)
            with np.errstate(invalid="ignore"):
                means[rows] = (totals / numbers).T
        return means


def interval(means: Float64Array) -> tuple[float, float]:
    """Return the bounds of the middle 95 % of the draws; those without a value are left out."""
    known = means[~np.isnan(means)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, _BOUNDS)
    return float(low), float(high)
