"""A robot in a log: what its one session of thousands of clicks costs in training, and in accuracy.

    python benchmarks/endless_session.py --robot 4000
    python benchmarks/endless_session.py --robot 4000 --encoder narm
    python benchmarks/endless_session.py yoochoose1_64 --robot 40000 --epochs 6 --most 200

Without a real log's name the log is a generated one of 50,000 clicks. The robot clicks at random
among the items, a quarter through the log. One row of a Markdown table: updates and seconds of an
epoch, peak memory, and Recall@20 / MRR@20 on all of the last tenth of the sessions, known targets.
"""

import argparse

import numpy as np
import polars as pl
import torch
from logs import LOGS
from machine import description, peak_memory_mib

import gru4rec as g4r
from gru4rec.training.learner import Learner


def log_of(name: str | None) -> pl.DataFrame:
    """The clicks of people, session after session, without their times."""
    if name is None:
        log = g4r.generate_clicks(sessions=12_000, items=2000, seed=3).head(50_000)
    else:
        log = g4r.read_clicks(LOGS[name].path, where=LOGS[name].train_where).collect()
    return log.select("session_id", "item_id")


def with_robot(log: pl.DataFrame, clicks: int) -> pl.DataFrame:
    """The log with a session of so many clicks a quarter through it."""
    items, random = log["item_id"].unique().sort(), np.random.default_rng(0)
    robot = {
        "session_id": log["session_id"].max() + 1,
        "item_id": items.gather(random.integers(0, len(items), clicks)),
    }
    before, after = log.head(len(log) // 4), log.slice(len(log) // 4)
    return pl.concat([before, pl.DataFrame(robot).cast(log.schema), after])


class CountedUpdates:
    """Counts the updates of a training."""

    def __init__(self) -> None:
        self.count, step = 0, Learner.step

        def counted(learner: Learner, *arguments: object, **named: object) -> object:
            self.count += 1
            return step(learner, *arguments, **named)

        Learner.step = counted


def main() -> None:
    """Print what was measured on, and one row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("log", nargs="?", choices=LOGS)
    parser.add_argument("--robot", type=int, default=0, metavar="CLICKS")
    parser.add_argument("--encoder", default="gru")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--most", type=int, help="Clicks of a session that are learned from.")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    log = with_robot(log_of(options.log), options.robot)
    limit = {} if options.most is None else {"max_session_clicks": options.most}
    settings = {
        "encoder.name": options.encoder,
        "training.epochs": options.epochs,
        "seed": options.seed,
    }
    updates = CountedUpdates()
    recommender = g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu")
    train, valid = g4r.split_last(g4r.read_clicks(log, **limit), "10%")
    recommender.fit(train)
    table = g4r.evaluate({"gru4rec": recommender}, valid, ks=[20])
    pairs, history = recommender.meta.counts["pairs"], recommender.meta.history
    cells = (
        options.log or "generated",
        options.encoder,
        f"{options.robot:,}",
        str(options.most or ""),
        f"{updates.count / len(history):,.0f}",
        f"{np.mean([pairs / epoch['clicks_per_second'] for epoch in history]):.1f}",
        f"{peak_memory_mib():,.0f}",
        " / ".join(f"{table.filter(metric=name)['value'][0]:.4f}" for name in ("recall", "mrr")),
    )
    print(description())
    print("| log | encoder | robot | most | updates | s | MiB | Recall@20 / MRR@20 |")
    print("|---|---|---:|---:|---:|---:|---:|---|")
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
