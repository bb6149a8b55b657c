"""Every encoder on the real logs: accuracy on the test part, size, speed in training and serving.

    python benchmarks/bench_encoders.py yoochoose_100k --seeds 3
    python benchmarks/bench_encoders.py diginetica --encoders gru last_click --threads 1

All else by `auto`, which was fitted for the GRU. Prints a Markdown table: Recall@20 / MRR@20 (mean
and, for several seeds, largest less smallest), parameters beside the item tables, pairs of clicks
learned from per second, and microseconds that one click of a live session costs.
"""

import argparse
import time

import torch
from logs import LOGS
from machine import description

import gru4rec as g4r
from gru4rec.model import running_queries
from gru4rec.model.encoders import ENCODERS
from gru4rec.sessions.running_session import Click, RunningSession, take_in

_CLICKS = 400


def figures(recommender: g4r.GRU4Rec, test: object) -> tuple[float, float]:
    """(Recall@20, MRR@20)."""
    table = g4r.evaluate({"gru4rec": recommender}, test, ks=[20])
    return tuple(table.filter(metric=metric)["value"].item() for metric in ("recall", "mrr"))


def microseconds_per_click(recommender: g4r.GRU4Rec) -> float:
    """Median over sessions of ten clicks, to the session vector after each: encoders that do not
    stream make it when they are asked."""
    items = range(min(_CLICKS, len(recommender.catalog)))
    took = []
    for start in range(0, len(items), 10):
        session = RunningSession()
        for item in items[start : start + 10]:
            began = time.perf_counter()
            take_in(recommender, [Click(session, item, [], None)])
            running_queries(recommender.model, [session], recommender.side_inputs)
            took.append(time.perf_counter() - began)
    return 1e6 * sorted(took)[len(took) // 2]


def row(name: str, log: str, seeds: int) -> str:
    """One line of the table."""
    source = LOGS[log]
    train = g4r.read_clicks(source.path, where=source.train_where).collect()
    test = g4r.read_clicks(source.path, where=source.test_where).collect()
    found, speeds = [], []
    for seed in range(seeds):
        config = g4r.Config().replace({"encoder.name": name, "seed": seed})
        recommender = g4r.GRU4Rec(config).fit(train)
        found.append(figures(recommender, test))
        speeds += [epoch["clicks_per_second"] for epoch in recommender.meta.history]
    measured = torch.tensor(found)
    spread = (measured.amax(0) - measured.amin(0)).tolist()
    parameters = sum(weight.numel() for weight in recommender.model.encoder.parameters())
    cells = (
        name,
        " / ".join(f"{value:.4f}" for value in measured.mean(0).tolist()),
        " / ".join(f"{value:.4f}" for value in spread),
        f"{parameters:,}",
        f"{sum(speeds) / len(speeds):,.0f}",
        f"{microseconds_per_click(recommender):.0f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table of each log, row by row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("logs", nargs="*", default=["yoochoose_100k"])
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=list(ENCODERS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for log in options.logs:
        print(f"{log}, {options.seeds} seeds, {description()}")
        print("| encoder | Recall@20 / MRR@20 | spread | parameters | clicks/s | µs a click |")
        print("|---|---|---|---:|---:|---:|", flush=True)
        for name in options.encoders:
            print(row(name, log, options.seeds), flush=True)


if __name__ == "__main__":
    main()
