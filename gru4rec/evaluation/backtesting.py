"""Say what freshness is worth: ways to keep a model, measured step by step through a log."""

import logging
from collections.abc import Callable, Iterator, Sequence

import polars as pl

from gru4rec.clicks import ClickSource, at_least_one, read_clicks
from gru4rec.config import Config
from gru4rec.errors import ConfigError, DataError, choose
from gru4rec.evaluation.comparison import evaluate
from gru4rec.evaluation.steps import Step, steps_of
from gru4rec.evaluation.upkeep import WAYS, Upkeep
from gru4rec.recommenders import BASELINES, Recommender

logger = logging.getLogger(__name__)

COLUMNS = (
    "way", "step", "start", "metric", "k", "value", "low", "high", "num_targets", "share_unknown",
    "seconds",
)  # fmt: skip
_METRICS = ("recall", "mrr")


def backtest(
    clicks: ClickSource,
    *,
    train: str,
    every: str,
    test: str | None = None,
    ways: Sequence[str] = tuple(WAYS),
    baselines: Sequence[str] = (),
    ks: Sequence[int] = (20,),
    config: Config | None = None,
    device: str = "auto",
    on_step: Callable[[Step, str], None] = lambda step, way: None,
) -> Iterator[pl.DataFrame]:
    """Yield the figures of one step after the other; see `steps_of` for what a step is.

    At each the ways of `WAYS` and the baselines, which are fitted anew, have learned from what was
    known by then: the sessions of the `train` before, of an update those since the step before.
    They are measured on the sessions of the `test` after, as long as `every` unless said. A step
    without a target is left out, and logged. `on_step` is told what comes next.

    Columns: way, step, start, metric (recall, mrr, and recall_all, mrr_all with targets on unknown
    items as misses), k, value, low, high, num_targets, share_unknown (of the targets), seconds (of
    fitting, 0 for one that was left as it is). Without targets a value is null: recall and mrr of a
    way that knows none of a step's items, whose recall_all and mrr_all are 0.

    Raise ConfigError for an unknown way or baseline, DataError as `steps_of` and `GRU4Rec.fit` do,
    and for a recommender that has learned from what it is to be measured on.
    """
    names = [*ways, *baselines]
    for way in ways:
        choose("way", way, WAYS)
    for name in baselines:
        choose("baseline", name, BASELINES)
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"give ways or baselines, each once, got {names}", mend_with=["ways"])
    cut_offs = sorted({at_least_one(k, "k") for k in ks})
    if not cut_offs:
        raise DataError("nothing to measure: give a k of at least 1")
    inputs = () if config is None else config.encoder.inputs
    log = read_clicks(clicks, also=inputs).collect()
    upkeep = Upkeep(config or Config(), device)
    measured = False
    for step in steps_of(log, train=train, every=every, test=test or every):
        rows = []
        for name in names:
            on_step(step, name)
            recommender, seconds = upkeep.at(step, name)
            figures = _figures(recommender, step, cut_offs)
            added = figures.with_columns(way=pl.lit(name), seconds=pl.lit(seconds))
            rows.append(added.select(COLUMNS))
        table = pl.concat(rows)
        if table["num_targets"].sum():
            measured = True
            yield table
        else:
            logger.warning(
                "step %d, %s: no target to measure on, left out", step.number, step.start
            )
    if not measured:
        raise DataError("no step has a target to measure on; check train, every and test")


def _figures(recommender: Recommender, step: Step, ks: Sequence[int]) -> pl.DataFrame:
    """Return the figures of a recommender at a step. Raise DataError for one that knows them."""
    clicks = step.test.lazy()
    sessions = recommender.reader.arrays(clicks)
    leaks = recommender.meta.seen.leaks(clicks, sessions) if recommender.meta.seen else []
    if leaks:
        raise DataError(
            f"{recommender.name} has learned what step {step.number} measures, so its figures are "
            f"no forecast: {leaks[0]}"
        )
    if len(sessions.prefixes()):
        table = evaluate({"": recommender}, step.test, ks=ks, metrics=_METRICS)
    else:
        table = _misses(int(sessions.unknown_targets.sum()), ks)
    targets = dict(table.group_by("metric").agg(pl.col("num_targets").max()).iter_rows())
    every = targets["recall_all"]
    unknown = 1 - targets["recall"] / every if every else None
    return table.with_columns(
        step=pl.lit(step.number),
        start=pl.lit(step.start),
        share_unknown=pl.lit(unknown, dtype=pl.Float64),
    )


def _misses(num_targets: int, ks: Sequence[int]) -> pl.DataFrame:
    """Return the figures of a recommender that knows none of so many targets.

    Of all it finds none, for certain; of the known ones, which are none, nothing can be said.
    """
    of_all = 0.0 if num_targets else None
    measured: list[tuple[str, float | None, int]] = [(metric, None, 0) for metric in _METRICS]
    measured += [(f"{metric}_all", of_all, num_targets) for metric in _METRICS]
    return pl.DataFrame(
        [(metric, k, value, value, value, count) for metric, value, count in measured for k in ks],
        schema={
            "metric": pl.String, "k": pl.Int64, "value": pl.Float64, "low": pl.Float64,
            "high": pl.Float64, "num_targets": pl.Int64,
        },
        orient="row",
    )  # fmt: skip
