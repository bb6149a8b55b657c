"""Say what freshness is worth: ways to keep a model, measured step by step through a log."""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl

from gru4rec.clicks import ClickSource, at_least_one, read_clicks
from gru4rec.config import Config
from gru4rec.errors import ConfigError, DataError, choose
from gru4rec.evaluation.kept_steps import KeptSteps, fingerprint_of_log
from gru4rec.evaluation.step_figures import FIGURES, figures_at
from gru4rec.evaluation.steps import Step, steps_of
from gru4rec.evaluation.upkeep import WAYS, Upkeep
from gru4rec.recommenders import BASELINES

logger = logging.getLogger(__name__)


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
    keep: str | Path | None = None,
    resume: bool = False,
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

    With `keep`, a folder, what is done is kept there after each step. With `resume` the steps that
    are done are read from it, if there are any, and it goes on behind them to the same figures: to
    the bit on a CPU with as many threads; seconds are those that were spent. It stays there until
    `forget_steps`, so that a table that was not written yet can be had again.

    Raise ConfigError for an unknown way or baseline, DataError as `steps_of` and `GRU4Rec.fit` do,
    and for a recommender that has learned from what it is to be measured on. Raise CheckpointError
    if steps cannot be kept, or are of another log or other settings.
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
    if resume and keep is None:
        raise ConfigError(
            "there is nothing to go on from: resume needs the folder of keep", mend_with=["keep"]
        )
    config = config if config is not None else Config()
    log = read_clicks(clicks, also=config.columns).collect()
    times = {"train": train, "every": every, "test": test or every}
    kept, done = None, None
    if keep is not None:
        lists = {"ways": [*ways], "baselines": [*baselines], "ks": cut_offs}
        kept = KeptSteps(keep, {"log": fingerprint_of_log(log), **times, **lists, **config.flat()})
        done = kept.begin(resume=resume, device=device)
    rows, upkeep = pl.DataFrame(schema=FIGURES), Upkeep(config, device)
    if done is not None:
        rows, upkeep = done.rows, Upkeep(config, device, first=done.first, updated=done.updated)
        yield from rows.partition_by("step", maintain_order=True)
    for step in steps_of(log, **times):
        if done is not None and step.number <= done.step:
            continue
        tables = []
        for name in names:
            on_step(step, name)
            recommender, seconds = upkeep.at(step, name)
            tables.append(figures_at(step, name, recommender, seconds, cut_offs, config))
        table = pl.concat(tables)
        has_targets = bool(table["num_targets"].sum())
        if has_targets:
            rows = pl.concat([rows, table])
        else:
            logger.warning("step %d, %s: no target, left out", step.number, step.start)
        if kept is not None:
            kept.save(step.number, rows, upkeep)
        if has_targets:
            yield table
    if rows.is_empty():
        raise DataError("no step has a target to measure on; check train, every and test")
