"""Measure recommenders on held-out sessions by the protocol of the field."""

from collections.abc import Mapping, Sequence

import polars as pl
import torch

from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.errors import DataError, choose
from gru4rec.metrics import METRICS, TIES
from gru4rec.recommender import Recommender


def evaluate(
    recommenders: Mapping[str, Recommender],
    sessions: ClickSource,
    *,
    ks: Sequence[int] = (5, 10, 20),
    ties: str = "conservative",
) -> pl.DataFrame:
    """Recall@k and MRR@k of next-click prediction: a row per recommender, metric and k.

    Every click of a session but the first is a target, predicted from all clicks before it. The
    whole catalog is ranked, nothing seen is left out, averages are over targets. Clicks on items
    outside a recommender's catalog are dropped first (`num_unknown` counts them), then sessions of
    one click. `recall` and `mrr` are over the targets that remain; `recall_all` and `mrr_all` also
    count as misses the dropped clicks that were not the first of their session. `ties` says how
    many equally scored items stand before the target (`metrics.TIES`).

    Columns: recommender, metric, k, value, num_targets, num_unknown.
    Raises ConfigError for an unknown `ties`, DataError if a k is below 1 or if no target is left
    for a recommender.
    """
    if not ks or min(ks) < 1:
        raise DataError(f"every k must be at least 1, got {list(ks)}")
    choose("tie rule", ties, TIES)
    also = [name for each in recommenders.values() for name in each.side_inputs.values]
    clicks = read_clicks(sessions, also=also).collect().lazy()
    rows = []
    for name, recommender in recommenders.items():
        arrays = recommender.arrays(clicks)
        found = recommender.target_ranks(arrays, ties=ties)
        if not len(found):
            raise DataError(
                f"nothing to evaluate {name} on: no session has two clicks on known items "
                f"({arrays.num_unknown} clicks are on unknown ones); check the log and its columns"
            )
        missed = torch.full((arrays.num_unknown_targets,), torch.inf, dtype=found.dtype)
        for suffix, counted in (("", found), ("_all", torch.cat((found, missed)))):
            for metric, measure in METRICS.items():
                for k in sorted(set(ks)):
                    row = (
                        name,
                        metric + suffix,
                        k,
                        measure(k, counted),
                        len(counted),
                        arrays.num_unknown,
                    )
                    rows.append(row)
    columns = ["recommender", "metric", "k", "value", "num_targets", "num_unknown"]
    return pl.DataFrame(rows, schema=columns, orient="row")
