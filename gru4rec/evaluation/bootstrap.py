"""How sure a mean over targets is: 95 % intervals, by drawing sessions again."""

from collections.abc import Sequence

import numpy as np

from gru4rec.arraytypes import Float64Array, IntArray

_GROUPS = 4096
_TOGETHER = 256
_BOUNDS = (2.5, 97.5)


class Resamples:
    """Sessions of a log drawn again with replacement, the same ones for every recommender.

    Targets of a session hang together, so sessions are drawn, not targets. Of more than 4,096
    sessions, groups of as many sessions each are drawn: the interval is the same, the work bounded.
    """

    # G groups of sessions, R draws, M targets
    def __init__(self, num_sessions: int, *, draws: int = 1000, seed: int = 0) -> None:
        self._groups = max(1, min(num_sessions, _GROUPS))
        random = np.random.default_rng(seed)
        drawn = random.multinomial(self._groups, np.full(self._groups, 1 / self._groups), draws)
        self._times_RG = drawn.astype(np.float64)

    def grouped(self, sessions: IntArray, values: Float64Array | None = None) -> Float64Array:
        """The sum of values [M], or of ones, over the sessions [M] of each group [G]."""
        return np.bincount(sessions % self._groups, values, self._groups).astype(np.float64)

    def means(self, sums: Sequence[Float64Array], counts: Sequence[Float64Array]) -> Float64Array:
        """The mean in each draw of values, given as grouped sums [n × G] and grouped ones; nan
        where a draw has none [n, R]."""
        found = np.empty((len(sums), len(self._times_RG)))
        for start in range(0, len(sums), _TOGETHER):
            some = slice(start, start + _TOGETHER)
            totals = self._times_RG @ np.stack(sums[some], axis=1)
            numbers = self._times_RG @ np.stack(counts[some], axis=1)
            with np.errstate(invalid="ignore"):
                found[some] = (totals / numbers).T
        return found


def interval(means: Float64Array) -> tuple[float, float]:
    """Bounds of the middle 95 % of the draws, those without a value left out."""
    known = means[~np.isnan(means)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, _BOUNDS)
    return float(low), float(high)
