"""What it brings to begin a session where the earlier ones of its user ended.

    python benchmarks/bench_users.py [--log jdata_demo|globo] [--part valid|test] [--seeds 2]

Recall@20 and MRR@20 on the newest tenth of the training sessions of jdata_demo, or on its test
part; or on an hour of globo after a day: with and without users, with and without the repeat head;
and the seconds of a training. The sessions that are learned are the history of those that are
measured.
"""

import logging

import click
import numpy as np
import polars as pl
from logs import LOGS
from machine import description

import gru4rec as g4r

_USER, _HOUR = "user_id", 3_600_000
_EVENING = 1_506_974_400_000  # 2017-10-02 20:00, in ms


def parts_of(name: str, part: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what is learned and what is measured on."""
    if name == "globo":
        began = pl.col("session_start")
        day = f"session_start >= {_EVENING - 24 * _HOUR} AND session_start < {_EVENING + _HOUR}"
        read = g4r.read_clicks(LOGS[name].path, also=[_USER, "session_start"], where=day)
        log = read.collect()
        return log.filter(began < _EVENING), log.filter(began >= _EVENING)
    log = g4r.read_clicks(LOGS[name].path, also=[_USER, "split"]).collect()
    if part == "test":
        return log.filter(split="train"), log.filter(split="test")
    log = log.filter(split="train")
    start = pl.col("timestamp").min().over("session_id")
    newest = start.rank("dense") > 0.9 * start.n_unique()
    return log.filter(~newest), log.filter(newest)


@click.command()
@click.option("--log", "name", type=click.Choice(["jdata_demo", "globo"]), default="jdata_demo")
@click.option("--part", type=click.Choice(["valid", "test"]), default="valid")
@click.option("--seeds", default=2, show_default=True)
def main(name: str, part: str, seeds: int) -> None:
    """Print a row for each way."""
    logging.disable(logging.WARNING)
    click.echo(description())
    train, held_out = parts_of(name, part)
    known = held_out["session_id"].n_unique(), train.select(_USER).unique()
    behind = held_out.join(known[1], on=_USER, how="semi")["session_id"].n_unique()
    click.echo(f"{behind} of {known[0]} sessions are of users that were there before")
    for repeats in (False, True):
        for column in ("", _USER):
            found = []
            for seed in range(seeds):
                asked = {"seed": seed, "encoder.user_column": column, "encoder.repeats": repeats}
                asked |= {} if repeats else {"training.neighbours": 0}
                fitted = g4r.GRU4Rec(g4r.Config().replace(asked), device="cpu").fit(train)
                table = g4r.evaluate(
                    {"m": fitted}, held_out, ks=[20], history=train, intervals=False
                )
                figures = dict(table.select("metric", "value").iter_rows())
                found.append((figures["recall"], figures["mrr"], fitted.meta.seconds or 0.0))
            recall, mrr, seconds = np.mean(found, axis=0)
            name_of = f"{'repeats' if repeats else 'no repeats'}, {'users' if column else 'alone'}"
            click.echo(f"{name_of:20} {recall:.4f} {mrr:.4f} {seconds:5.0f} s")


if __name__ == "__main__":
    main()
