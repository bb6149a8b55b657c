"""Turn what became of the targets into values of metrics, for all targets and for slices."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gru4rec.arrays import IntArray
from gru4rec.bootstrap import Floats, Resamples
from gru4rec.metrics import GAINS
from gru4rec.outcomes import ItemArray, Outcomes
from gru4rec.slices import SLICES, Mask

COVERAGE, TIE_RATE = "coverage", "tie_rate"


def _gain(metric: str) -> Callable[[Outcomes, IntArray, int], Floats]:
    return lambda outcomes, support, k: GAINS[metric](k, outcomes.ranks).numpy()


def _popularity(outcomes: Outcomes, support: IntArray, k: int) -> Floats:
    found: Floats = (support / support.sum())[_asked(outcomes.best)[:, :k]].mean(axis=1)
    return found


def _is_tied(outcomes: Outcomes, support: IntArray, k: int) -> Floats:
    return (_asked(outcomes.tied) > 0).astype(np.float64)


_OF_TARGETS: Mapping[str, Callable[[Outcomes, IntArray, int], Floats]] = {
    **{metric: _gain(metric) for metric in GAINS},
    "popularity": _popularity,
    TIE_RATE: _is_tied,
}
METRICS: Sequence[str] = (*_OF_TARGETS, COVERAGE)
"""`recall`, `mrr`, `ndcg`: see `metrics.GAINS`. `popularity`: mean share of the training clicks of
the k recommended items. `tie_rate`: share of targets that score as another item does. `coverage`:
share of the catalog that is among the k of some target."""

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
    each: Floats | None
    """What each target adds to it [M]; None if it is no mean over targets."""
    sessions: IntArray
    """The session of each of these targets [M]."""


def drawn(rows: Sequence[Measurement], resamples: Resamples) -> Floats:
    """The value of each in every draw of sessions; not a number where it is no mean [rows, R]."""
    nothing = np.empty(0), np.empty(0, dtype=np.int64)
    means = [nothing if row.each is None else (row.each, row.sessions) for row in rows]
    return resamples.means(means)


def measurements(
    outcomes: Outcomes,
    support: IntArray,
    *,
    ks: Sequence[int],
    metrics: Sequence[str],
    by: Sequence[str],
) -> Iterator[Measurement]:
    """Each metric at each k: of all known targets, with the unknown ones, then slice by slice.

    `support`: clicks on each item in training [N].
    """
    yield from _of_slice("all", np.ones(len(outcomes.ranks), dtype=bool), outcomes, support,
                         ks, metrics)  # fmt: skip
    unknown = np.repeat(np.arange(len(outcomes.lengths)), outcomes.unknown_targets)
    sessions = np.concatenate((outcomes.session, unknown))
    for metric in filter(GAINS.__contains__, metrics):
        for k in ks:
            known = _OF_TARGETS[metric](outcomes, support, k)
            each = np.concatenate((known, np.zeros(len(unknown))))
            yield _mean("all", f"{metric}_all", k, each, sessions)
    for name in by:
        for part, mask in SLICES[name](outcomes, support).items():
            yield from _of_slice(f"{name} {part}", mask, outcomes, support, ks, metrics)


def _of_slice(
    part: str,
    mask: Mask,
    outcomes: Outcomes,
    support: IntArray,
    ks: Sequence[int],
    metrics: Sequence[str],
) -> Iterator[Measurement]:
    sessions = outcomes.session[mask]
    for metric in metrics:
        for k in ks:
            if metric == COVERAGE:
                covered = len(np.unique(_asked(outcomes.best)[mask, :k])) / len(support)
                yield Measurement(part, metric, k, covered, None, sessions)
            elif metric == TIE_RATE:
                if k == ks[0]:  # it is the same at every k
                    each = _is_tied(outcomes, support, k)[mask]
                    yield _mean(part, metric, None, each, sessions)
            else:
                yield _mean(
                    part, metric, k, _OF_TARGETS[metric](outcomes, support, k)[mask], sessions
                )


def _mean(part: str, metric: str, k: int | None, each: Floats, sessions: IntArray) -> Measurement:
    value = float(each.mean()) if len(each) else float("nan")
    return Measurement(part, metric, k, value, each, sessions)


def _asked(array: ItemArray | None) -> ItemArray:
    if array is None:
        raise ValueError("these outcomes were made without what the metric needs")
    return array
