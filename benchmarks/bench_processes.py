"""Sessions a second of `recommend` by one process and by several, each a command of its own.

    python benchmarks/bench_processes.py diginetica --sessions 60000

Beside the time on the clock stands that of the processors: where other work goes on beside, the
first tells little.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
from logs import LOGS
from machine import description

import gru4rec as g4r

KINDS = {
    "gru4rec": lambda: g4r.GRU4Rec(
        g4r.Config.from_dict({"encoder": {"repeats": False}, "training": {"epochs": 0.2}})
    ),
    "item_knn": g4r.ItemKNN,
    "sknn": g4r.SKNN,
    "vstan": g4r.VSTAN,
}


def timed(command: list[str], threads: int | None) -> tuple[float, float]:
    """Seconds on the clock and of processors that a command takes, the best of the clock."""
    environment = dict(os.environ)
    if threads is not None:
        environment |= {"OMP_NUM_THREADS": str(threads), "POLARS_MAX_THREADS": str(threads)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began, busy


def main() -> None:
    """Train, answer in each way, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", choices=LOGS)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--sessions", type=int, default=60_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    log = LOGS[options.log]
    train = g4r.read_clicks(log.path, where=log.train_where).collect()
    newest = train["session_id"].unique(maintain_order=True).tail(options.sessions)
    ways = {
        "1 process": (1, None),
        "1 process, 1 thread": (1, 1),
        f"{options.processes} processes": (options.processes, None),
    }
    print(description())
    print("| recommender | way | sessions/s | seconds | of processors |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, "asked.parquet")
        train.filter(pl.col("session_id").is_in(newest.implode())).write_parquet(asked)
        for kind in options.kinds.split(","):
            checkpoint = Path(folder, kind)
            KINDS[kind]().fit(train).save(checkpoint)
            found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for _ in range(options.repeats):  # one way after the other, so that each meets the same
                for way, (processes, threads) in ways.items():
                    command = [
                        sys.executable, "-m", "gru4rec", "recommend", checkpoint, asked,
                        "-o", Path(folder, "out.parquet"), "--format", "parquet",
                        "--device", "cpu", "--processes", processes,
                    ]  # fmt: skip
                    found[way].append(timed([str(part) for part in command], threads))
            for way, times in found.items():
                seconds, busy = min(times)
                pace = len(newest) / seconds
                print(f"| {kind} | {way} | {pace:,.0f} | {seconds:.1f} | {busy:.1f} |", flush=True)


if __name__ == "__main__":
    main()
