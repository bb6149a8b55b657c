"""Speed of evaluation: targets ranked per second, beside the matrix products that GRU4Rec needs.

    python benchmarks/bench_evaluation.py yoochoose1_64 --checkpoint model/ --threads 2
    python benchmarks/bench_evaluation.py --device cuda

Without a log it is a generated one of the size of yoochoose1_64. Without a checkpoint GRU4Rec is
trained for one epoch: speed does not depend on what it learned. Prints a Markdown table: seconds of
one evaluation of the test part (Recall@20 and MRR@20, no intervals) and targets per second, for
GRU4Rec with its repeat head and without, and on a CPU for every baseline.
"""

import argparse
import time
from copy import copy

import polars as pl
import torch
from logs import LOGS
from machine import description

import gru4rec as g4r
from gru4rec.recommenders.baselines import BASELINES
from gru4rec.serving.chunks import rows_at_once


def seconds(work: object, repeats: int) -> float:
    """The least time that a call took."""
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def products(recommender: g4r.GRU4Rec, targets: int) -> float:
    """Seconds of the products of as many session vectors with all items."""
    items = recommender.model.item_vectors().detach().t()
    rows = rows_at_once(len(recommender.catalog), items.device)
    queries = torch.randn(rows, items.shape[0], device=items.device)
    out = torch.empty(rows, items.shape[1], device=items.device)

    def work() -> None:
        for _ in range(20):
            torch.mm(queries, items, out=out)
        out[0, 0].item()  # a GPU is waited for

    return seconds(work, 3) / 20 * targets / rows


def parts(name: str | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Training and test part of a log, or of a generated one."""
    if name is None:
        log = g4r.generate_clicks(sessions=95_000, items=17_000, categories=300)
        train, test = g4r.split_last(log, "2d")
        return train.collect(), test.collect()
    log = LOGS[name]
    train, test = (
        g4r.read_clicks(log.path, where=where) for where in (log.train_where, log.test_where)
    )
    return train.collect(), test.collect()


def main() -> None:
    """Print the table of a log."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("log", nargs="?", choices=LOGS)
    parser.add_argument("--checkpoint", help="a GRU4Rec trained on the log")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train, test = parts(options.log)
    if options.checkpoint:
        trained = g4r.load(options.checkpoint, device=options.device)
    else:
        config = g4r.Config().replace({"training.epochs": 1})
        trained = g4r.GRU4Rec(config, device=options.device).fit(train)
    print(f"{options.log or 'generated log'}, {description(options.device)}")
    print("| recommender | seconds | targets/s |\n|---|---:|---:|", flush=True)
    recommenders = {"gru4rec": trained}
    if trained.repeats is not None:
        recommenders["gru4rec without its repeat head"] = bare = copy(trained)
        bare.repeats = None
    if options.device == "cpu":
        recommenders |= {name: make().fit(train) for name, make in BASELINES.items()}
    for name, recommender in recommenders.items():
        targets = len(recommender.reader.arrays(test.lazy()).prefixes())

        def work(name: str = name, recommender: g4r.Recommender = recommender) -> None:
            g4r.evaluate({name: recommender}, test, ks=[20], intervals=False)

        took = seconds(work, options.repeats)
        print(f"| {name} | {took:.3f} | {targets / took:,.0f} |", flush=True)
    took = products(trained, targets)
    print(f"| products of vectors and items alone | {took:.3f} | {targets / took:,.0f} |")


if __name__ == "__main__":
    main()
