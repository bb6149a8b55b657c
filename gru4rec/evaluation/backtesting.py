"""Say what freshness is worth: ways to keep a model, measured step by step through a log."""

import copy
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.config import Config
from gru4rec.errors import ConfigError, DataError, choose
from gru4rec.evaluation.comparison import evaluate
from gru4rec.evaluation.steps import Step, steps_of
from gru4rec.recommenders import BASELINES, GRU4Rec, Recommender, make_baseline

logger = logging.getLogger(__name__)

WAYS = {
    "stale": "trained at the first step, and left as it is",
    "update": "trained at the first step, and updated at each other one",
    "full": "trained anew at each step",
}
"""The ways to keep a GRU4Rec."""

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
    without a target is left out, and logged; a way that knows none of a step's targets has no row
    there, so that its mean is one over other steps. `on_step` is told what comes next.

    Columns: way, step, start, metric (recall, mrr, and recall_all, mrr_all with targets on unknown
    items as misses), k, value, low, high, num_targets, share_unknown (of the targets), seconds (of
    fitting, 0 for one that was left as it is). Raise ConfigError for an unknown way or baseline,
    DataError as `steps_of` and `GRU4Rec.fit` do.
    """
    names = [*ways, *baselines]
    for way in ways:
        choose("way", way, WAYS)
    for name in baselines:
        choose("baseline", name, BASELINES)
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"give ways or baselines, each once, got {names}", mend_with=["ways"])
    inputs = () if config is None else config.encoder.inputs
    log = read_clicks(clicks, also=inputs).collect()
    keeper = _Keeper(config or Config(), device)
    measured = False
    for step in steps_of(log, train=train, every=every, test=test or every):
        rows = []
        for name in names:
            on_step(step, name)
            recommender, seconds = keeper.at(step, name)
            if (figures := _figures(recommender, step, ks)) is not None:
                rows.append(figures.with_columns(way=pl.lit(name), seconds=pl.lit(seconds)))
        if rows:
            measured = True
            yield pl.concat(rows).select(
                "way", "step", "start", "metric", "k", "value", "low", "high", "num_targets",
                "share_unknown", "seconds",
            )  # fmt: skip
        else:
            logger.warning(
                "step %d, %s: no target to measure on, left out", step.number, step.start
            )
    if not measured:
        raise DataError("no step has a target to measure on; check train, every and test")


class _Keeper:
    """Has for each way the recommender as it is at a step."""

    def __init__(self, config: Config, device: str) -> None:
        self._config, self._device = config, device
        self._first: GRU4Rec | None = None
        self._first_seconds = 0.0
        self._updated: Recommender | None = None

    def at(self, step: Step, name: str) -> tuple[Recommender, float]:
        """Return the recommender of a way, and the seconds that it learned at this step."""
        began = time.perf_counter()
        if name in BASELINES:
            recommender: Recommender = make_baseline(name).fit(step.known)
        elif self._first is None or (name == "full" and step.number > 1):
            recommender = self._fitted(step)
        elif name == "update" and step.number > 1:
            recommender = self._updated or copy.deepcopy(self._first)
            self._updated = recommender.update(step.new)
        else:  # all ways begin with the same one
            return self._first, self._first_seconds if step.number == 1 else 0.0
        return recommender, time.perf_counter() - began

    def _fitted(self, step: Step) -> GRU4Rec:
        began = time.perf_counter()
        recommender = GRU4Rec(self._config, device=self._device).fit(step.known, updatable=True)
        if self._first is None:
            self._first, self._first_seconds = recommender, time.perf_counter() - began
        return recommender


def _figures(recommender: Recommender, step: Step, ks: Sequence[int]) -> pl.DataFrame | None:
    """Return the figures of a recommender at a step; None where there is no target."""
    try:
        table = evaluate({"this": recommender}, step.test, ks=ks, metrics=_METRICS)
    except DataError as error:
        logger.info("step %d: %s", step.number, error)
        return None
    targets = dict(table.group_by("metric").agg(pl.col("num_targets").max()).iter_rows())
    unknown = 1 - targets["recall"] / targets["recall_all"]
    start: datetime = step.start
    added: dict[str, Any] = {"step": step.number, "share_unknown": unknown}
    return table.with_columns(start=pl.lit(start), **{n: pl.lit(v) for n, v in added.items()})
