"""What weights of events and rewards that follow items (Q) bring.

    python benchmarks/bench_rewards.py decisions [--seeds 3]
    python benchmarks/bench_rewards.py orders [--part valid|test] [--seeds 3]

`decisions`: a Markov decision process whose best policy is known. From a start most sessions go on
to what leads nowhere, a few to what is bought later. What a recommender shows first is what is
done next; the mean reward of many walks stands beside that of the best policy and of chance.

`orders`: jdata_demo, orders among clicks. Recall@20 and MRR@20 of all targets, of orders and of
views, and the reward of the best 20 estimated off policy, as means over seeds; on the newest tenth
of the training sessions, or on the test part.
"""

import logging

import click
import numpy as np
import polars as pl
from logs import LOGS
from machine import description

import gru4rec as g4r

_ORDERS = {"training.event_column": "event_type"}
_REWARDS = {**_ORDERS, "training.neighbours": 0, "training.rewards": {"1": 0.2, "2": 1.0}}
_TEN = {**_REWARDS, "training.rewards": {"1": 2.0, "2": 10.0}}

WAYS = {
    "plain": {"training.neighbours": 0},
    "orders weigh 10": {
        **_ORDERS, "training.neighbours": 0, "training.event_weights": {"2": 10.0},
    },
    "orders weigh 30": {
        **_ORDERS, "training.neighbours": 0, "training.event_weights": {"2": 30.0},
    },
    "Q": _REWARDS,
    "Q, advantages": {**_REWARDS, "training.q_advantage": True},
    "Q in scores": {**_REWARDS, "training.q_scores": True},
    "Q in scores, rewards × 10": {**_TEN, "training.q_scores": True},
}  # fmt: skip

_SESSIONS = 20_000


class Decisions:
    """Where a click leads, and what it is worth: six shelves, on each a way on that pays later."""

    SHELVES = 6

    def start(self, shelf: int) -> str:
        """The item that a walk begins with."""
        return f"start{shelf}"

    def logged(self, sessions: int, seed: int) -> pl.DataFrame:
        """Sessions of people, of whom seven in ten look at what leads nowhere."""
        random = np.random.default_rng(seed)
        rows = []
        for session in range(sessions):
            shelf = int(random.integers(self.SHELVES))
            ways = ["look", "idle"] if random.random() < 0.7 else ["fit", "buy"]
            items = [self.start(shelf), *(f"{way}{shelf}" for way in ways)]
            rows += [(session, item) for item in items]
        log = pl.DataFrame(rows, schema=["session_id", "item_id"], orient="row")
        kind = pl.when(pl.col("item_id").str.starts_with("buy")).then(pl.lit("buy"))
        return log.with_columns(type=kind.otherwise(pl.lit("view")))

    def reward(self, recommender: g4r.GRU4Rec) -> float:
        """The mean reward of walks whose every click is the best item that is a way on."""
        total = 0
        for shelf in range(self.SHELVES):
            ways = {"start": ["look", "fit"], "look": ["idle"], "fit": ["buy"]}
            session, here = recommender.start_session(), "start"
            session.click(self.start(shelf))
            while here in ways:
                allowed = {f"{way}{shelf}": way for way in ways[here]}
                best = session.recommend(len(recommender.catalog))["item_id"]
                item = next(item for item in best if item in allowed)
                here = allowed[item]
                total += here == "buy"
                session.click(item)
        return total / self.SHELVES


@click.group()
def main() -> None:
    """Measure what events are worth."""
    logging.disable(logging.WARNING)
    click.echo(description())


@main.command()
@click.option("--seeds", default=3, show_default=True)
def decisions(seeds: int) -> None:
    """Print the mean reward of a walk; the best policy has 1, one by chance .5, people .3."""
    process = Decisions()
    settings = {"training.event_column": "type", "training.rewards": {"buy": 4.0}}
    small = {"training.neighbours": 0, "encoder.repeats": False, "training.epochs": 10}
    ways = {
        "cross-entropy": {},
        "buys weigh 10": {
            "training.event_column": "type", "training.event_weights": {"buy": 10.0},
        },
        "Q, advantages": {**settings, "training.q_advantage": True},
        "Q in scores": {**settings, "training.q_scores": True},
    }  # fmt: skip
    for name, asked in ways.items():
        found = []
        for seed in range(seeds):
            config = g4r.Config().replace({**small, **asked, "seed": seed})
            log = process.logged(_SESSIONS, seed)
            found.append(process.reward(g4r.GRU4Rec(config, device="cpu").fit(log)))
        click.echo(f"{name:16} {np.mean(found):.2f}  {[round(one, 2) for one in found]}")


@main.command()
@click.option("--part", type=click.Choice(["valid", "test"]), default="valid", show_default=True)
@click.option("--seeds", default=3, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(list(WAYS)), help="Ways to measure.")
def orders(part: str, seeds: int, only: tuple[str, ...]) -> None:
    """Print a row for each way."""
    log = LOGS["jdata_demo"]
    read = g4r.read_clicks(log.path, also=["event_type", "split"]).collect()
    train = read.filter(split="train")
    start = pl.col("timestamp").min().over("session_id")
    newest = start.rank("dense") > 0.9 * start.n_unique()
    held_out = read.filter(split="test") if part == "test" else train.filter(newest)
    train = train if part == "test" else train.filter(~newest)
    for name in only or WAYS:
        rows = []
        for seed in range(seeds):
            config = g4r.Config().replace({**WAYS[name], "seed": seed})
            fitted = g4r.GRU4Rec(config, device="cpu").fit(train)
            table = g4r.evaluate(
                {"m": fitted}, held_out, ks=[20], by=["event"], metrics=["recall", "mrr", "reward"],
                event_column="event_type", rewards={"1": 0.2, "2": 1.0}, intervals=False,
            )  # fmt: skip
            wanted = pl.col("slice").is_in(["all", "event 1", "event 2"])
            wanted &= ~pl.col("metric").str.ends_with("_all")
            figures = table.filter(wanted).select("slice", "metric", "value").iter_rows()
            rows.append({f"{cut} {metric}": value for cut, metric, value in figures})
        means = pl.DataFrame(rows).mean().row(0, named=True)
        asked = [
            means[f"{cut} {metric}"]
            for cut in ("all", "event 2", "event 1")
            for metric in ("recall", "mrr")
        ]
        rest = f"reward {means['all reward']:.3f} of {means['all reward_ess']:.0f} targets"
        click.echo(f"{name:26} {'  '.join(f'{one:.3f}' for one in asked)}  {rest}")


if __name__ == "__main__":
    main()
