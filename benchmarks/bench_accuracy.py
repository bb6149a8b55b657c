"""Accuracy on the real logs: `auto` settings or a preset's, the test part measured once.

    python benchmarks/bench_accuracy.py --seeds 3
    python benchmarks/bench_accuracy.py yoochoose_100k --preset rsc15

Prints a Markdown table: Recall@20 / MRR@20 of GRU4Rec (mean and spread over the seeds) and of the
baselines.
"""

import argparse

import torch
from logs import LOGS
from machine import description

import gru4rec as g4r
from gru4rec.baselines import BASELINES
from gru4rec.presets import PRESETS, preset


def figures(name: str, recommender: g4r.Recommender, test: object) -> tuple[float, float]:
    """(Recall@20, MRR@20)."""
    table = g4r.evaluate({name: recommender}, test, ks=[20])
    return tuple(table.filter(metric=metric)["value"].item() for metric in ("recall", "mrr"))


def main() -> None:
    """Train and measure on each log, and print the table row by row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("logs", nargs="*", default=list(LOGS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--preset", choices=PRESETS)
    options = parser.parse_args()
    base = g4r.Config() if options.preset is None else preset(options.preset)
    print(f"{description()}, {options.preset or 'auto'}")
    print(f"| log | {' | '.join(BASELINES)} | GRU4Rec | spread | seconds | clicks/s |")
    print("|---|" + "---|" * (len(BASELINES) + 4), flush=True)
    for name in options.logs:
        log = LOGS[name]
        train = g4r.read_clicks(log.path, where=log.train_where).collect()
        test = g4r.read_clicks(log.path, where=log.test_where).collect()
        cells = []
        for baseline, make in BASELINES.items():
            recall, mrr = figures(baseline, make().fit(train), test)
            cells.append(f"{recall:.3f} / {mrr:.3f}")
        runs, seconds, speeds = [], [], []
        for seed in range(options.seeds):
            recommender = g4r.GRU4Rec(base.replace({"seed": seed})).fit(train)
            runs.append(figures("gru4rec", recommender, test))
            seconds.append(recommender.meta["seconds"])
            speeds += [row["clicks_per_second"] for row in recommender.meta["history"]]
        found = torch.tensor(runs)
        recall, mrr = found.mean(0).tolist()
        spread = (found.amax(0) - found.amin(0)).tolist()
        cells += [
            f"{recall:.4f} / {mrr:.4f}",
            f"{spread[0]:.4f} / {spread[1]:.4f}",
            f"{sum(seconds) / len(seconds):.0f}",
            f"{sum(speeds) / len(speeds):,.0f}",
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
