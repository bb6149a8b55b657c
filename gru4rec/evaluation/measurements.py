"""Turn what became of the targets into values of metrics, for all targets and for slices."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gru4rec.arraytypes import BoolArray, Float64Array, Int32Array, IntArray
from gru4rec.evaluation.bootstrap import Resamples
from gru4rec.evaluation.outcomes import Outcomes
from gru4rec.evaluation.slices import SLICES
from gru4rec.metrics import GAINS

COVERAGE, TIE_RATE = "coverage", "tie_rate"


def _gain(metric: str) -> Callable[[Outcomes, IntArray, int], Float64Array]:
    return lambda outcomes, support, k: GAINS[metric](k, outcomes.ranks).numpy()


def _popularity(outcomes: Outcomes, support: IntArray, k: int) -> Float64Array:
    shares: Float64Array = (support / support.sum())[_asked(outcomes.best)[:, :k]].mean(axis=1)
    return shares


def _is_tied(outcomes: Outcomes, support: IntArray, k: int) -> Float64Array:
    return (_asked(outcomes.tied) > 0).astype(np.float64)


_OF_TARGETS: Mapping[str, Callable[[Outcomes, IntArray, int], Float64Array]] = {
    **{metric: _gain(metric) for metric in GAINS},
    "popularity": _popularity,
    TIE_RATE: _is_tied,
}
METRICS: Sequence[str] = (*_OF_TARGETS, COVERAGE)
"""What can be measured.

`recall`, `mrr`, `ndcg`: see `metrics.GAINS`. `popularity`: mean share of the training clicks that
the k recommended items have. `tie_rate`: share of targets that score as another item does.
`coverage`: share of the catalog that is among the k of some target."""

OF_LISTS = {"popularity", COVERAGE}
"""Those that need the recommended items, not ranks alone."""


@dataclass(frozen=True)
class Measurement:
    """One metric of one recommender on some of the targets."""

    slice: str
    metric: str
    k: int | None
    value: float
    """Not a number where there are no targets."""
    num_targets: int
    sums: Float64Array | None = None
    """What the targets of each group of sessions add to it [G].

    None if it is no mean over targets, or no intervals were asked for.
    """
    counts: Float64Array | None = None
    """Targets of each group [G]."""


def drawn(rows: Sequence[Measurement], resamples: Resamples) -> Float64Array:
    """Return the value of each row in every draw of sessions [rows, R].

    It is not a number for a row that is no mean.
    """
    nothing = resamples.grouped(np.empty(0, dtype=np.int64))
    sums = [nothing if row.sums is None else row.sums for row in rows]
    counts = [nothing if row.counts is None else row.counts for row in rows]
    return resamples.means(sums, counts)


class _Part:
    """Some of the targets, under a name."""

    def __init__(self, name: str, sessions: IntArray, resamples: Resamples | None) -> None:
        """Take the sessions of the targets [M]."""
        self.name, self._sessions, self._resamples = name, sessions, resamples
        self._counts = resamples.grouped(sessions) if resamples else None

    def mean(self, metric: str, k: int | None, gains: Float64Array) -> Measurement:
        """Return a metric as the mean of what each target adds to it [M]."""
        value = float(gains.mean()) if len(gains) else float("nan")
        sums = self._resamples.grouped(self._sessions, gains) if self._resamples else None
        return Measurement(self.name, metric, k, value, len(gains), sums, self._counts)


def measurements(
    outcomes: Outcomes,
    support: IntArray,
    resamples: Resamples | None,
    *,
    ks: Sequence[int],
    metrics: Sequence[str],
    by: Sequence[str],
) -> Iterator[Measurement]:
    """Yield each metric at each k: of all known targets, with the unknown ones, slice by slice.

    `support` are the clicks on each item in training [N]. With `resamples` means can be drawn
    again.
    """
    every = np.ones(len(outcomes.ranks), dtype=bool)
    yield from _of_slice("all", every, outcomes, support, resamples, ks, metrics)
    unknown = np.repeat(np.arange(len(outcomes.lengths)), outcomes.unknown_targets)
    both = _Part("all", np.concatenate((outcomes.session, unknown)), resamples)
    for metric in filter(GAINS.__contains__, metrics):
        for k in ks:
            known = _OF_TARGETS[metric](outcomes, support, k)
            yield both.mean(f"{metric}_all", k, np.concatenate((known, np.zeros(len(unknown)))))
    for name in by:
        for part, mask in SLICES[name](outcomes, support).items():
            yield from _of_slice(f"{name} {part}", mask, outcomes, support, resamples, ks, metrics)


def _of_slice(
    name: str,
    mask: BoolArray,
    outcomes: Outcomes,
    support: IntArray,
    resamples: Resamples | None,
    ks: Sequence[int],
    metrics: Sequence[str],
) -> Iterator[Measurement]:
    part = _Part(name, outcomes.session[mask], resamples)
    for metric in metrics:
        if metric == TIE_RATE:  # it is the same at every k
            yield part.mean(metric, None, _is_tied(outcomes, support, 0)[mask])
            continue
        for k in ks:
            if metric == COVERAGE:
                covered = len(np.unique(_asked(outcomes.best)[mask, :k])) / len(support)
                yield Measurement(name, metric, k, covered, int(mask.sum()))
            else:
                yield part.mean(metric, k, _OF_TARGETS[metric](outcomes, support, k)[mask])


def _asked(array: Int32Array | None) -> Int32Array:
    if array is None:
        raise ValueError("these outcomes were made without what the metric needs")
    return array
