"""How well the outcome of a session is foretold after every click, beside counts of its items.

    python benchmarks/bench_outcome.py generated [--seeds 1] [--sessions 20000]
    python benchmarks/bench_outcome.py jdata [--seeds 2]

`generated`: whether a session ends well depends on the order of its clicks alone, and how likely it
is after each click is known (`ordered_outcomes.py`): no model does better than that.

`jdata`: did the session order? Of jdata_demo, by the clicks before the first order only; a session
that begins with an order is left out. Needs the real logs.

Logistic regression on counts is that of scikit-learn (`count_baseline.py`).
"""

import logging
from collections.abc import Mapping
from typing import Any

import click
import numpy as np
import polars as pl
from count_baseline import Counts
from logs import LOGS
from machine import description
from ordered_outcomes import ordered_log

import gru4rec as g4r
from gru4rec.evaluation.outcome_metrics import auc, calibration_error, surprises

_ORDER = 2  # the event type of an order


def row(name: str, shares: np.ndarray, came: np.ndarray, seconds: str = "") -> None:
    """Print the figures of probabilities [M, 2]."""
    click.echo(
        f"{name:44s} AUC {auc(shares, came):.4f}  log loss {surprises(shares, came).mean():.4f}  "
        f"calibration error {calibration_error(shares, came):.4f}  {seconds}"
    )


def ours(train: pl.DataFrame, test: pl.DataFrame, settings: Mapping[str, Any], seeds: int) -> None:
    """Print the figures of GRU4Rec by each seed."""
    for seed in range(seeds):
        asked = {"training.outcome": "bought", **settings, "seed": seed}
        recommender = g4r.GRU4Rec(g4r.Config().replace(asked), device="cpu").fit(train)
        table = g4r.evaluate({"m": recommender}, test, ks=[20], outcome=True, intervals=False)
        figures = dict(table.select("metric", "value").iter_rows())
        said = ", ".join(f"{name.split('.')[1]} {value}" for name, value in settings.items())
        click.echo(
            f"{f'gru4rec, seed {seed}' + (said and f', {said}'):44s} AUC {figures['auc']:.4f}  "
            f"log loss {figures['log_loss']:.4f}  calibration error "
            f"{figures['calibration_error']:.4f}  Recall@20 {figures['recall']:.4f}  "
            f"{recommender.meta.seconds:.0f} s"
        )


def by_counts(train: pl.DataFrame, test: pl.DataFrame) -> None:
    """Print the figures of the baseline."""
    came = test["bought"].to_numpy().astype(np.int64)
    row("counts", Counts().fit(train, "bought").shares(test), came)
    share = train.group_by("session_id").agg(pl.col("bought").first())["bought"].mean()
    row("the share of the training log", np.tile([1 - share, share], (len(came), 1)), came)


@click.group()
def main() -> None:
    """Measure on one of two logs."""
    logging.disable(logging.WARNING)
    click.echo(description())


@main.command()
@click.option("--seeds", default=1, show_default=True)
@click.option("--sessions", default=20_000, show_default=True)
def generated(seeds: int, sessions: int) -> None:
    """Measure on sessions whose outcome depends on order."""
    train, test = ordered_log(sessions, seed=1), ordered_log(5000, seed=2)
    known = test["known"].to_numpy()
    row(
        "best possible", np.stack((1 - known, known), axis=1), test["bought"].to_numpy().astype(int)
    )
    by_counts(train, test)
    test = test.with_columns(pl.col("session_id") + sessions)
    for weight in (0.3, 0.5, 0.2, 1.0):
        ours(train, test, {"training.outcome_weight": weight}, seeds)


@main.command()
@click.option("--seeds", default=2, show_default=True)
def jdata(seeds: int) -> None:
    """Measure on jdata_demo."""
    is_order = pl.col("event_type") == _ORDER
    clicks = (
        pl.read_parquet(LOGS["jdata_demo"].path)
        .sort("session_id", "timestamp", maintain_order=True)
        .with_columns(bought=is_order.any().over("session_id"))
        .filter(is_order.cum_sum().over("session_id") == 0)
    )
    start = pl.col("timestamp").min().over("session_id")
    clicks = clicks.sort(start, "session_id", maintain_order=True)
    train, test = (clicks.filter(pl.col("split") == part) for part in ("train", "test"))
    for name, part in (("train", train), ("test", test)):
        ends = part.group_by("session_id").agg(pl.col("bought").first())["bought"]
        click.echo(
            f"{name}: {len(ends):,} sessions, {ends.mean():.3f} order; {part.height:,} clicks"
        )
    by_counts(train, test)
    for weight in (0.3, 0.5, 0.2):
        for inputs in ([], ["event_type", "gap"]):
            settings = {"training.outcome_weight": weight}
            ours(train, test, settings | ({"encoder.inputs": inputs} if inputs else {}), seeds)


if __name__ == "__main__":
    main()
