"""The cost of an update as the catalog grows, at the same number of candidates.

    python benchmarks/bench_catalog.py --items 10000 1000000

Sessions of random items; negatives are set so that windows have as many candidates in each
catalog. Each catalog has a process of its own, for its peak memory; they take turns.
"""

import argparse
import subprocess
import sys

import numpy as np
import polars as pl
import torch
from machine import description, peak_memory_mib
from speed import decided, measure, trainer_of

from gru4rec.training.batch import TrainingBatches
from gru4rec.training.training_log import TrainingLog

_SESSIONS, _LENGTH = 100_000, 6


def log_of(items: int) -> TrainingLog:
    """Sessions of random items, after a session of one click for every item of the catalog."""
    random = np.random.default_rng(1)
    clicked = random.integers(0, items, _SESSIONS * _LENGTH)
    session = np.repeat(np.arange(_SESSIONS), _LENGTH)
    once = np.arange(items)
    return TrainingLog.read(
        pl.DataFrame(
            {
                "session_id": np.concatenate((_SESSIONS + once, session)),
                "item_id": np.concatenate((once, clicked)),
            }
        ),
        None,
    )


def row(items: int, candidates: int, seconds: float, precision: str) -> str:
    """One line of the table."""
    log = log_of(items)
    sizes = {"encoder.hidden_size": 100, "training.lanes": 32, "training.steps": 16}
    negatives = candidates
    for _ in range(5):
        settings = {**sizes, "training.negatives": negatives, "training.epochs": 20}
        settings["training.precision"] = precision
        config = decided(log, settings)
        batches = TrainingBatches(log.sessions, log.catalog.support, config)
        found = np.mean([len(batches.make(0, window).candidates) for window in range(100, 120)])
        negatives = round(negatives * candidates / found)
    speed = measure(trainer_of(log, config), seconds=seconds)
    return (
        f"| {items:,} | {speed.candidates:.0f} | {1000 / speed.updates:.2f} | {speed.clicks:,.0f} "
        f"| {peak_memory_mib():.0f} |"
    )


def main() -> None:
    """Print a line for each run of each catalog."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--candidates", type=int, default=2400)
    parser.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--bare", action="store_true", help="one catalog, no header")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.bare:
        print(
            row(options.items[0], options.candidates, options.seconds, options.precision),
            flush=True,
        )
        return
    print(f"{description()}; 100 units, 32 lanes × 16 steps, {options.precision}")
    print("| items | candidates | ms an update | clicks/s | peak MiB |\n|---:|---:|---:|---:|---:|")
    for _ in range(options.runs):
        for items in options.items:
            own = ["--items", str(items), "--threads", str(options.threads), "--bare"]
            sizes = ["--candidates", str(options.candidates), "--seconds", str(options.seconds)]
            sizes += ["--precision", options.precision]
            sys.stdout.flush()
            subprocess.run([sys.executable, __file__, *own, *sizes], check=True)


if __name__ == "__main__":
    main()
