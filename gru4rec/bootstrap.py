"""How sure a mean over targets is: 95 % intervals, by drawing sessions again."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gru4rec.arrays import IntArray

Floats = npt.NDArray[np.float64]

_GROUPS = 4096
_TOGETHER = 256
_BOUNDS = (2.5, 97.5)


class Resamples:
    """Sessions of a log drawn again with replacement, the same ones for every recommender.

    Targets of a session hang together, so sessions are drawn, not targets. Of more than 4,096
    sessions, groups of as many sessions each are drawn: the interval is the same, the work bounded.
    """

    # S sessions, G groups, R draws, M targets
    def __init__(self, num_sessions: int, *, draws: int = 1000, seed: int = 0) -> None:
        self._groups = max(1, min(num_sessions, _GROUPS))
        random = np.random.default_rng(seed)
        drawn = random.multinomial(self._groups, np.full(self._groups, 1 / self._groups), draws)
        self._times_RG = drawn.astype(np.float64)

    def means(self, each: Sequence[tuple[Floats, IntArray]]) -> Floats:
        """Of each pair (values [M], the sessions that they belong to [M]) the mean of every draw;
        nan where a draw has no value [pairs, R]."""
        found = np.empty((len(each), len(self._times_RG)))
        for start in range(0, len(each), _TOGETHER):
            some = each[start : start + _TOGETHER]
            sums = [np.bincount(s % self._groups, v, self._groups) for v, s in some]
            counts = [np.bincount(s % self._groups, minlength=self._groups) for _, s in some]
            totals = self._times_RG @ np.stack(sums, axis=1)
            numbers = self._times_RG @ np.stack(counts, axis=1).astype(np.float64)
            with np.errstate(invalid="ignore"):
                found[start : start + _TOGETHER] = (totals / numbers).T
        return found


def interval(means: Floats) -> tuple[float, float]:
    """Bounds of the middle 95 % of the draws, those without a value left out."""
    known = means[~np.isnan(means)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, _BOUNDS)
    return float(low), float(high)
