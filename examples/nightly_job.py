"""Every night: prepare, train, evaluate, and swap the checkpoint if the new one is no worse.

    python examples/nightly_job.py clicks.parquet models [settings.toml]

`models/live` is the checkpoint that serves. The new one takes its place unless its Recall@20 on the
last day is lower beyond the 95 % interval. The swap is a rename: whoever loads the folder sees the
old one or the new one, never a mix.
"""

import sys
from pathlib import Path

import polars as pl

import gru4rec as g4r

CANDIDATE = (pl.col("recommender") == "candidate") & (pl.col("metric") == "recall_all")
RULES = {"rules.min_item_clicks": 5, "rules.min_session_clicks": 2}


def is_worse(candidate: g4r.Recommender, live: g4r.Recommender, test: Path) -> bool:
    """Whether the candidate recommends worse than what serves, by more than chance."""
    # The two may know different items: recall_all counts clicks on unknown ones as misses.
    recommenders = {"live": live, "candidate": candidate}
    table = g4r.evaluate(recommenders, test, ks=(20,), metrics=("recall",), against="live")
    print(table)
    row = table.row(by_predicate=CANDIDATE, named=True)
    return bool(row["difference_high"] < 0)


def main(log: str, models: str, settings: str | None = None) -> None:
    live = Path(models) / "live"
    sessions = Path(models) / "sessions"
    g4r.prepare(log, sessions, g4r.Recipe().replace(RULES), force=True)

    config = g4r.Config.from_toml(settings) if settings else None
    candidate = g4r.GRU4Rec(config).fit(
        sessions / "train.parquet", valid=sessions / "valid.parquet"
    )
    if live.exists() and is_worse(candidate, g4r.load(live), sessions / "test.parquet"):
        print("kept the old checkpoint: the new one is worse")
        return
    candidate.save(live, force=True)
    print(f"{live} is new")


if __name__ == "__main__":
    main(*sys.argv[1:])
