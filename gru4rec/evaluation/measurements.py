"""Turn what became of the targets into values of metrics, for all targets and for slices."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from gru4rec.arraytypes import BoolArray, Float64Array, IntArray
from gru4rec.evaluation import list_metrics
from gru4rec.evaluation.bootstrap import Resamples
from gru4rec.evaluation.list_metrics import ItemFacts, OfTargets
from gru4rec.evaluation.off_policy import Importance
from gru4rec.evaluation.outcomes import Outcomes
from gru4rec.evaluation.slices import SLICES
from gru4rec.metrics import GAINS

TIE_RATE = "tie_rate"
REWARD = "reward"


def _gain(metric: str) -> OfTargets:
    return lambda outcomes, facts, k: GAINS[metric](k, outcomes.ranks).numpy()


def _is_tied(outcomes: Outcomes, facts: ItemFacts, k: int) -> Float64Array:
    if outcomes.tied is None:
        raise ValueError("these outcomes were made without ties")
    return (outcomes.tied > 0).astype(np.float64)


_OF_RANKS: Mapping[str, OfTargets] = {
    **{metric: _gain(metric) for metric in GAINS},
    TIE_RATE: _is_tied,
    "serendipity": list_metrics.serendipity,
}
_OF_VECTORS: Mapping[str, OfTargets] = {"intra_list_diversity": list_metrics.intra_list_diversity}
_OF_CATEGORIES: Mapping[str, OfTargets] = {
    "category_diversity": list_metrics.category_diversity,
    "calibration": list_metrics.calibration,
}
_OF_ITEMS: Mapping[str, OfTargets] = {
    "popularity": list_metrics.popularity,
    "novelty": list_metrics.novelty,
    "tail_share": list_metrics.tail_share,
    **_OF_VECTORS,
    **_OF_CATEGORIES,
}
_OF_SETS: Mapping[str, Callable[[IntArray, int], float]] = {
    "coverage": list_metrics.coverage,
    "gini": list_metrics.gini,
}
_OF_TARGETS = {**_OF_RANKS, **_OF_ITEMS}
METRICS: Sequence[str] = (*_OF_TARGETS, REWARD, *_OF_SETS)
"""What can be measured; the formulas, and where they are from, are in `list_metrics`.

`recall`, `mrr`, `ndcg`: see `metrics.GAINS`. `tie_rate`: share of targets that score as another
item does. `serendipity`: recall of targets that are none of the k most popular items.

Means over the lists of k recommended items: `popularity`, their mean share of the training clicks;
`novelty`, the mean of −log₂ of these shares; `tail_share`, the share of them that are not among the
most clicked, which make up 80 % of the clicks; `intra_list_diversity`, the mean of 1 − cosine over
their pairs, by item vectors; `category_diversity`, the share of pairs of different categories;
`calibration`, how far their categories are from those that the session has clicked.

Of all lists together, so without intervals: `coverage`, the share of the catalog that is in some;
`gini`, how unequally the items of the catalog are shown, from 0 for equally.

`reward`: what a click on the best k is worth, by the type of the event, estimated from the log
(`off_policy.Importance`). Beside it stand `reward_ess`, the effective number of targets that say
so, and `reward_clipped`, the share of them whose weight is clipped."""

OF_LISTS = {*_OF_ITEMS, *_OF_SETS}
"""Those that need the recommended items, not ranks alone."""
OF_VECTORS, OF_CATEGORIES = set(_OF_VECTORS), set(_OF_CATEGORIES)
"""Those that need vectors of items, and categories of them."""


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


class Part:
    """Some of the targets, under a name."""

    def __init__(self, name: str, sessions: IntArray, resamples: Resamples | None) -> None:
        """Take the numbers of the sessions of the targets [M]."""
        self.name, self._sessions, self._resamples = name, sessions, resamples
        self._counts = resamples.grouped(sessions) if resamples else None

    def mean(self, metric: str, k: int | None, gains: Float64Array) -> Measurement:
        """Return a metric as the mean of what each target adds to it [M]."""
        value = float(gains.mean()) if len(gains) else float("nan")
        sums = self._resamples.grouped(self._sessions, gains) if self._resamples else None
        return Measurement(self.name, metric, k, value, len(gains), sums, self._counts)

    def weighted_mean(
        self, metric: str, k: int, gains: Float64Array, weights: Float64Array
    ) -> Measurement:
        """Return a metric as the mean over targets of which each counts its weight [M]."""
        total = float(weights.sum())
        value = float((gains * weights).sum()) / total if total else float("nan")
        sums, counts = None, None
        if self._resamples:
            sums = self._resamples.grouped(self._sessions, gains * weights)
            counts = self._resamples.grouped(self._sessions, weights)
        return Measurement(self.name, metric, k, value, len(gains), sums, counts)


def measurements(
    outcomes: Outcomes,
    facts: ItemFacts,
    resamples: Resamples | None,
    *,
    ks: Sequence[int],
    metrics: Sequence[str],
    by: Sequence[str],
) -> Iterator[Measurement]:
    """Yield each metric at each k: of all known targets, with the unknown ones, slice by slice.

    With `resamples` means can be drawn again. If targets weigh differently by their type, weighted
    means of `metrics.GAINS` stand beside the plain ones.
    """
    weights = outcomes.weights

    @cache  # every slice asks
    def gains(metric: str, k: int) -> Float64Array:
        return _OF_TARGETS[metric](outcomes, facts, k)

    @cache
    def importance(k: int) -> Importance:
        return Importance.of(outcomes, facts, k)

    def of_slice(name: str, mask: BoolArray) -> Iterator[Measurement]:
        part = Part(name, outcomes.session[mask], resamples)
        for metric in metrics:
            if metric == TIE_RATE:  # it is the same at every k
                yield part.mean(metric, None, gains(metric, 0)[mask])
                continue
            for k in ks:
                if metric == REWARD:
                    counts = importance(k)
                    yield part.weighted_mean(
                        metric, k, outcomes.rewards[mask], counts.weights[mask]
                    )
                    for name_of, value in (
                        ("reward_ess", counts.effective_size(mask)),
                        ("reward_clipped", counts.share_clipped(mask)),
                    ):
                        yield Measurement(name, name_of, k, value, int(mask.sum()))
                elif metric in _OF_SETS:
                    value = _OF_SETS[metric](outcomes.lists(k)[mask], len(facts.support))
                    yield Measurement(name, metric, k, value, int(mask.sum()))
                else:
                    yield part.mean(metric, k, gains(metric, k)[mask])
        if weights is None:
            return
        for metric in filter(GAINS.__contains__, metrics):
            for k in ks:
                gain = gains(metric, k)[mask]
                yield part.weighted_mean(f"weighted_{metric}", k, gain, weights[mask])

    yield from of_slice("all", np.ones(len(outcomes.ranks), dtype=bool))
    unknown = np.repeat(np.arange(len(outcomes.lengths)), outcomes.unknown_targets)
    both = Part("all", np.concatenate((outcomes.session, unknown)), resamples)
    for metric in filter(GAINS.__contains__, metrics):
        for k in ks:
            known = gains(metric, k)
            yield both.mean(f"{metric}_all", k, np.concatenate((known, np.zeros(len(unknown)))))
    for name in by:
        for part, mask in SLICES[name](outcomes, facts.support).items():
            yield from of_slice(f"{name} {part}", mask)
