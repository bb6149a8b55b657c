"""Measure a way to keep a model at one step of a backtest."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from gru4rec.config import Config
from gru4rec.errors import DataError
from gru4rec.evaluation.comparison import evaluate
from gru4rec.evaluation.reading import reader_of
from gru4rec.evaluation.steps import Step
from gru4rec.recommenders import Recommender
from gru4rec.sessions import EventTypes, event_types_of

_TEXT, _COUNT, _NUMBER = pl.String(), pl.Int64(), pl.Float64()

FIGURES = pl.Schema(
    {
        "way": _TEXT, "step": _COUNT, "start": pl.Datetime("us"), "metric": _TEXT, "k": _COUNT,
        "value": _NUMBER, "low": _NUMBER, "high": _NUMBER, "num_targets": _COUNT,
        "share_unknown": _NUMBER, "seconds": _NUMBER,
    }
)  # fmt: skip
"""The columns of the figures; see `backtest`."""

_METRICS = ("recall", "mrr")
_MEASURED = ("metric", "k", "value", "low", "high", "num_targets")


def figures_at(
    step: Step,
    way: str,
    recommender: Recommender,
    seconds: float,
    ks: Sequence[int],
    config: Config,
) -> pl.DataFrame:
    """Return the figures of a way at a step: a row of `FIGURES` for each metric and k.

    What the config says of types of events holds for every way.

    Raise DataError if the recommender has learned from what is measured.
    """
    clicks = step.test.lazy()
    events = event_types_of(clicks, config.training, strict=False)
    sessions = reader_of(recommender, events).arrays(clicks)
    leaks = recommender.meta.seen.leaks(clicks, sessions) if recommender.meta.seen else []
    if leaks:
        raise DataError(
            f"{way} has learned what step {step.number} measures, so its figures are "
            f"no forecast: {leaks[0]}"
        )
    if len(sessions.prefixes()):
        asked = _events_of(step.test, config)
        table = evaluate(
            {"": recommender}, step.test, ks=ks, metrics=_METRICS, history=step.known, **asked
        )
        table = table.filter(~pl.col("metric").str.starts_with("weighted_"))
    else:
        table = _misses(int(sessions.unknown_targets.sum()), ks)
    targets = dict(table.group_by("metric").agg(pl.col("num_targets").max()).iter_rows())
    every = targets["recall_all"]
    unknown = 1 - targets["recall"] / every if every else None
    added = {
        "way": way, "step": step.number, "start": step.start, "share_unknown": unknown,
        "seconds": seconds,
    }  # fmt: skip
    columns = [pl.lit(value, dtype=FIGURES[name]).alias(name) for name, value in added.items()]
    return table.with_columns(columns).select(FIGURES.names())


def _events_of(test: pl.DataFrame, config: Config) -> dict[str, Any]:
    """Return what the config says of the types of events that there are, for `evaluate`."""
    column, asked = config.training.event_column, config.training
    if not column:
        return {"event_column": ""}
    there = EventTypes.of(test.lazy(), column, {}, ()).types
    return {
        "event_column": column,
        "event_weights": {name: x for name, x in asked.event_weights.items() if name in there},
        "target_events": [name for name in asked.target_events if name in there],
    }


def _misses(num_targets: int, ks: Sequence[int]) -> pl.DataFrame:
    """Return the figures of a recommender that knows none of so many targets.

    Of all it finds none, for certain; of the known ones, which are none, nothing can be said.
    """
    of_all = 0.0 if num_targets else None
    measured: list[tuple[str, float | None, int]] = [(metric, None, 0) for metric in _METRICS]
    measured += [(f"{metric}_all", of_all, num_targets) for metric in _METRICS]
    return pl.DataFrame(
        [(metric, k, value, value, value, count) for metric, value, count in measured for k in ks],
        schema={name: FIGURES[name] for name in _MEASURED},
        orient="row",
    )
