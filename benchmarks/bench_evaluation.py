"""Speed of evaluation: targets ranked per second, beside the matrix products that GRU4Rec needs.

    python benchmarks/bench_evaluation.py yoochoose1_64 --checkpoint model/ --threads 2

Without a checkpoint GRU4Rec is trained for one epoch: speed does not depend on what it learned.
Prints a Markdown table: seconds of one evaluation of the test part (Recall@20 and MRR@20, no
intervals) and targets per second, for GRU4Rec and every baseline.
"""

import argparse
import time

import torch
from logs import LOGS
from machine import description

import gru4rec as g4r
from gru4rec.recommenders.baselines import BASELINES


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
    rows = max(1, (1 << 22) // len(recommender.catalog))
    queries = torch.randn(rows, items.shape[0])
    out = torch.empty(rows, items.shape[1])
    whole = seconds(lambda: [torch.mm(queries, items, out=out) for _ in range(20)], 3) / 20
    return whole * targets / rows


def main() -> None:
    """Print the table of a log."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("log", nargs="?", choices=LOGS, default="yoochoose1_64")
    parser.add_argument("--checkpoint", help="a GRU4Rec trained on the log")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    source = LOGS[options.log]
    train = g4r.read_clicks(source.path, where=source.train_where).collect()
    test = g4r.read_clicks(source.path, where=source.test_where).collect()
    if options.checkpoint:
        trained = g4r.load(options.checkpoint)
    else:
        trained = g4r.GRU4Rec(g4r.Config().replace({"training.epochs": 1})).fit(train)
    print(f"{options.log}, {options.threads} threads, {description()}")
    print("| recommender | seconds | targets/s |\n|---|---:|---:|", flush=True)
    recommenders = {"gru4rec": trained} | {
        name: make().fit(train) for name, make in BASELINES.items()
    }
    for name, recommender in recommenders.items():
        targets = len(recommender.reader.arrays(test.lazy()).prefixes())

        def work(name: str = name, recommender: g4r.Recommender = recommender) -> None:
            g4r.evaluate({name: recommender}, test, ks=[20], intervals=False)

        took = seconds(work, options.repeats)
        print(f"| {name} | {took:.2f} | {targets / took:,.0f} |", flush=True)
    took = products(trained, targets)
    print(f"| products of vectors and items alone | {took:.2f} | {targets / took:,.0f} |")


if __name__ == "__main__":
    main()
