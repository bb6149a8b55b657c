"""Measure recommenders on held-out sessions by the protocol of the field."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from gru4rec.arraytypes import Float64Array
from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.errors import ConfigError, DataError, choose
from gru4rec.evaluation.bootstrap import Resamples, interval
from gru4rec.evaluation.measurements import (
    METRICS,
    OF_LISTS,
    TIE_RATE,
    Measurement,
    drawn,
    measurements,
)
from gru4rec.evaluation.outcomes import outcomes_of
from gru4rec.evaluation.slices import SLICES
from gru4rec.metrics import TIES
from gru4rec.recommenders import Recommender
from gru4rec.sessions import warn_of_leaks


def evaluate(
    recommenders: Mapping[str, Recommender],
    sessions: ClickSource,
    *,
    ks: Sequence[int] = (5, 10, 20),
    ties: str = "conservative",
    metrics: Sequence[str] = ("recall", "mrr"),
    by: Sequence[str] = (),
    against: str | None = None,
    intervals: bool = True,
    through_index: bool = False,
) -> pl.DataFrame:
    """Recall@k and MRR@k of next-click prediction: a row per recommender, metric and k.

    Every click of a session but the first is a target, predicted from all clicks before it. The
    whole catalog is ranked, nothing seen is left out, averages are over targets. Clicks on items
    outside a recommender's catalog are dropped first (`num_unknown` counts them), then sessions of
    one click. `recall`, `mrr` and `ndcg` are over the targets that remain; `recall_all`, … also
    count as misses the dropped clicks that were not the first of their session. `ties` says how
    many equally scored items stand before the target (`metrics.TIES`). `metrics` are of
    `measurements.METRICS`.

    With `by`, names of `slices.SLICES`, rows for parts of the targets follow, and a column `slice`
    says which. `intervals` adds `low` and `high`, a 95 % interval by bootstrap over sessions.
    `against`, the name of a recommender, adds `difference` to it and, with `intervals`, its
    interval by the same draws. With `through_index` ranks are read from what each recommender's own
    retrieval returns instead: what its index loses shows in the difference, but for ties, of which
    the lower item index stands first there. Sessions that a recommender was trained on, or that
    begin before the end of its training log, are warned of.

    Columns: recommender, slice if `by`, metric, k (null for `tie_rate`), value, num_targets,
    num_unknown and those above. Raises ConfigError for an unknown name, DataError if there is no
    recommender or metric, if a k is below 1, or if no target is left for a recommender.
    """
    if not recommenders or not metrics:
        raise DataError("nothing to evaluate: give at least one recommender and one metric")
    if not ks or min(ks) < 1:
        raise DataError(f"every k must be at least 1, got {list(ks)}")
    choose("tie rule", ties, TIES)
    if through_index and (ties != "conservative" or TIE_RATE in metrics):
        raise ConfigError("through an index there are no ties: of equal scores one stands first")
    for metric in metrics:
        choose("metric", metric, dict.fromkeys(METRICS))
    for name in by:
        choose("slice", name, SLICES)
    if against is not None:
        choose("recommender to compare with", against, recommenders)
    also = [name for each in recommenders.values() for name in each.side_inputs.values]
    clicks = read_clicks(sessions, also=also).collect().lazy()
    read = {name: each.reader.arrays(clicks) for name, each in recommenders.items()}
    seen = {name: each.meta.seen for name, each in recommenders.items() if each.meta.seen}
    warn_of_leaks(seen, clicks, read)
    resamples = Resamples(max(map(len, read.values()))) if intervals else None
    measured: dict[str, list[Measurement]] = {}
    for name, recommender in recommenders.items():
        arrays = read[name]
        outcomes = outcomes_of(
            recommender,
            arrays,
            ties=ties,
            count_ties=TIE_RATE in metrics,
            depth=max(ks) if through_index or OF_LISTS & set(metrics) else 0,
            through_index=through_index,
        )
        if not len(outcomes.ranks):
            raise DataError(
                f"nothing to evaluate {name} on: no session has two clicks on known items "
                f"({arrays.num_unknown} clicks are on unknown ones); check the log and its columns"
            )
        support = recommender.catalog.support
        measured[name] = list(
            measurements(outcomes, support, resamples, ks=sorted(set(ks)), metrics=metrics, by=by)
        )
    drawn_of = {name: _drawn(mine, resamples) for name, mine in measured.items()}
    rows = []
    for name, mine in measured.items():
        for place, (row, draws) in enumerate(zip(mine, drawn_of[name], strict=True)):
            found: dict[str, Any] = {
                "recommender": name,
                "slice": row.slice,
                "metric": row.metric,
                "k": row.k,
                "value": row.value,
                "num_targets": row.num_targets,
                "num_unknown": read[name].num_unknown,
                **_bounds("", draws),
            }
            if against is not None:
                found["difference"] = row.value - measured[against][place].value
                theirs = drawn_of[against][place]
                paired = None if draws is None or theirs is None else draws - theirs
                found |= _bounds("difference_", paired)
            rows.append(found)
    table = pl.DataFrame(rows, infer_schema_length=None).fill_nan(None)
    return table if by else table.drop("slice")


def _drawn(rows: list[Measurement], resamples: Resamples | None) -> Sequence[Float64Array | None]:
    return [None] * len(rows) if resamples is None else list(drawn(rows, resamples))


def _bounds(prefix: str, draws: Float64Array | None) -> dict[str, float]:
    """Columns `low` and `high` of an interval, if there are draws to make it of."""
    if draws is None:
        return {}
    low, high = interval(draws)
    return {f"{prefix}low": low, f"{prefix}high": high}
