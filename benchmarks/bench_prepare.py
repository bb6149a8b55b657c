"""Preparation: clicks/s and peak memory as a log grows, and the same steps in pandas.

    python benchmarks/bench_prepare.py --clicks 1e7 1e8 --folder /tmp
    python benchmarks/bench_prepare.py --pandas

The first makes logs of so many clicks (Parquet, rows in no order, text session ids, a side column),
prepares each in a process of its own, reads its training arrays in another, and prints a table of
growth. The second needs pandas, pyarrow and the real logs: it reads Globo's 3.0 million clicks from
Parquet to training arrays, in turns, and checks that both make the same arrays.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from logs import DATA
from machine import description

from gru4rec.clicks.reading import read_clicks
from gru4rec.sessions import SessionArrays, to_arrays
from gru4rec.sessions.catalog import Catalog

_CHUNK = 5_000_000
_ITEMS = 200_000
_START, _DAYS, _VISIT = 1_600_000_000_000, 30 * 86_400_000, 1_800_000  # ms
_RULES = ["--drop-repeats", "--min-item-clicks", "5", "--min-session-clicks", "2"]
_ARRAYS = """
import sys
from gru4rec.sessions import to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.clicks.reading import read_clicks
clicks = read_clicks(sys.argv[1])
to_arrays(clicks, Catalog.of(clicks)).with_targets()
"""


def generate(clicks: int, folder: Path) -> None:
    """A log of five clicks a session on average, any row in any file; items by a skewed draw."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    starts = random.integers(0, _DAYS, clicks // 5)
    for number, done in enumerate(range(0, clicks, _CHUNK)):
        size = min(_CHUNK, clicks - done)
        session = random.integers(0, len(starts), size)
        time_ms = _START + starts[session] + random.integers(0, _VISIT, size)
        item = (_ITEMS * random.random(size) ** 3).astype(np.int64)
        rows = pl.DataFrame({"session": session, "item_id": item, "timestamp": time_ms})
        name = pl.format("s{}", pl.col("session").hash(7)).alias("session_id")
        price = pl.Series("price", random.random(size, dtype=np.float32))
        rows.select(name, "item_id", "timestamp", price).write_parquet(
            folder / f"part{number:03d}.parquet"
        )


def measured(command: list[str]) -> tuple[float, float]:
    """(seconds, peak resident GiB) of a process."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 2**20


def growth(sizes: list[int], folder: Path) -> None:
    """Print a line for each size of log."""
    print("| clicks | on disk | prepare | clicks/s | peak memory | arrays | peak memory |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    program = str(Path(sys.executable).with_name("gru4rec"))
    for clicks in sizes:
        raw, out = folder / f"raw{clicks}", folder / f"out{clicks}"
        generate(clicks, raw)
        disk = sum(file.stat().st_size for file in raw.iterdir()) / 2**30
        seconds, peak = measured([program, "prepare", str(raw), "-o", str(out), *_RULES])
        train = str(out / "train.parquet")
        read_seconds, read_peak = measured([sys.executable, "-c", _ARRAYS, train])
        print(
            f"| {clicks:,} | {disk:.2f} GiB | {seconds:.0f} s | {clicks / seconds:,.0f} "
            f"| {peak:.2f} GiB | {read_seconds:.1f} s | {read_peak:.2f} GiB |",
            flush=True,
        )
        shutil.rmtree(raw)
        shutil.rmtree(out)


def with_polars(path: Path) -> SessionArrays:
    """From the file to training arrays, checks of every row included."""
    clicks = read_clicks(path).collect().lazy()
    return to_arrays(clicks, Catalog.of(clicks)).with_targets()


def with_pandas(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same steps, as someone at home in pandas would write them."""
    import pandas as pd

    clicks = pd.read_parquet(path, columns=["session_id", "item_id", "timestamp"])
    if clicks.isna().any().any():
        raise ValueError("null values")
    clicks["timestamp"] = pd.to_datetime(clicks["timestamp"], unit="ms")
    support = clicks.groupby("item_id").size().reset_index(name="support")
    support = support.sort_values(["support", "item_id"], ascending=[False, True])
    index = pd.Series(np.arange(len(support)), index=support["item_id"])
    clicks["item"] = clicks["item_id"].map(index)
    clicks["start"] = clicks.groupby("session_id")["timestamp"].transform("min")
    clicks["length"] = clicks.groupby("session_id")["item"].transform("size")
    clicks = clicks[clicks["length"] >= 2]
    first = clicks.groupby("session_id", sort=False).ngroup()
    clicks = clicks.assign(first=first).sort_values(["start", "first", "timestamp"], kind="stable")
    lengths = clicks.groupby("first", sort=False).size().to_numpy()
    return clicks["item"].to_numpy(), np.concatenate(([0], np.cumsum(lengths)))


def best(work: Callable[[Path], object], path: Path) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work(path)
    return time.perf_counter() - started


def against_pandas(runs: int) -> None:
    """Print the seconds of both, in turns, and check that their arrays are equal."""
    path = DATA / "globo.parquet"
    if not path.exists():
        sys.exit(f"{path} is not here: this benchmark needs the real logs")
    ours, theirs = with_polars(path), with_pandas(path)
    same = np.array_equal(ours.items, theirs[0]) and np.array_equal(ours.offsets, theirs[1])
    print(f"{len(ours.items):,} clicks in {len(ours):,} sessions; equal arrays: {same}")
    for _ in range(runs):
        mine, other = best(with_polars, path), best(with_pandas, path)
        print(f"gru4rec {mine:.2f} s   pandas {other:.2f} s   ratio {other / mine:.1f}")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clicks", nargs="+", type=float, default=[1e6, 1e7])
    parser.add_argument("--folder", type=Path, default=Path("/tmp"))
    parser.add_argument("--pandas", action="store_true", help="compare with pandas instead")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    print(f"{description()}, polars {pl.__version__}")
    if options.pandas:
        against_pandas(options.runs)
    else:
        growth([int(clicks) for clicks in options.clicks], options.folder)


if __name__ == "__main__":
    main()
