"""Preparation and answers on Spark, beside one machine: seconds and peak memory.

    python benchmarks/bench_spark.py --clicks 1e6 --sessions 1e5 --folder /tmp
    python benchmarks/bench_spark.py --globo

The first makes the log of `bench_prepare.py`, prepares it in a process of its own by Polars and by
Spark (local[2]), fits a small model, and answers so many sessions of it by both. The second does it
with Globo's clicks, one of the real logs. The memory of Spark is that of all its processes: the
driver, Java and the workers, sampled ten times a second. Needs the extra [spark] and Java.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
from bench_prepare import generate
from logs import DATA
from machine import description

_RULES = ["--drop-repeats", "--min-item-clicks", "5", "--min-session-clicks", "2"]
_SPARK = "--master local[2] --driver-memory 3g --conf spark.sql.shuffle.partitions=8"
_ANSWER = """
import sys
import gru4rec as g4r
model, log, out = sys.argv[1:]
for number, piece in enumerate(g4r.load(model).recommend_in_pieces(log)):
    piece.write_parquet(f"{out}-{number}.parquet")
"""
_ANSWER_ON_SPARK = """
import sys
from pyspark.sql import SparkSession
from gru4rec.spark import recommend
model, log, out = sys.argv[1:]
spark = SparkSession.builder.config("spark.log.level", "ERROR").getOrCreate()
recommend(spark.read.parquet(log), model).write.parquet(out)
spark.stop()
"""
_PAGE = os.sysconf("SC_PAGE_SIZE")


def measured(command: list[str], log: Path) -> str:
    """Seconds on the clock and of the processor, and peak resident memory, as cells of a table.

    They are those of a process and all that come of it.
    """
    environment = {**os.environ, "PYSPARK_SUBMIT_ARGS": f"{_SPARK} pyspark-shell"}
    started, peak, ticks = time.perf_counter(), 0, dict[int, int]()
    with log.open("w") as said:
        child = subprocess.Popen(
            command, env=environment, stdout=said, stderr=said, start_new_session=True
        )
        while child.poll() is None:
            family = family_of(child.pid)
            peak = max(peak, sum(size for size, _ in family.values()))
            ticks |= {pid: used for pid, (_, used) in family.items()}
            time.sleep(0.1)
    if child.returncode:
        sys.exit(f"{' '.join(command)} failed; see {log}")
    seconds = time.perf_counter() - started
    processor = sum(ticks.values()) / os.sysconf("SC_CLK_TCK")
    return f"{seconds:.1f} s | {processor:.1f} s | {peak / 2**30:.2f} GiB"


def family_of(root: int) -> dict[int, tuple[int, int]]:
    """(bytes in memory, ticks of the processor) of a process and its descendants."""
    parents, found = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            parents[int(folder.name)] = int(fields[1])
            used = int(fields[11]) + int(fields[12])
            found[int(folder.name)] = int(fields[21]) * _PAGE, used
    family = {root} & found.keys()
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return {pid: found[pid] for pid in family}


def prepare_both(raw: Path, folder: Path, options: list[str]) -> None:
    """Print a line for each engine, and check that their cards are equal."""
    program, cards = str(Path(sys.executable).with_name("gru4rec")), {}
    for engine in ("polars", "spark"):
        out = folder / engine
        command = [program, "prepare", str(raw), "-o", str(out), "--engine", engine, *options]
        took = measured(command, folder / f"{engine}.log")
        cards[engine] = json.loads((out / "card.json").read_text())
        read = cards[engine]["rows"]["read"]
        print(f"| prepare, {read:,} clicks | {engine} | {took} |", flush=True)
    print(f"equal cards: {cards['polars'] == cards['spark']}", flush=True)


def answer_both(train: Path, sessions: int, folder: Path) -> None:
    """Print a line for each way to answer sessions by a small model, and compare the answers."""
    import gru4rec as g4r

    clicks = pl.read_parquet(train)
    config = g4r.Config().replace(
        {
            "encoder.hidden_size": 64, "encoder.repeats": False, "training.epochs": 1,
            "training.negatives": 256, "training.neighbours": 0,
        }
    )  # fmt: skip
    g4r.GRU4Rec(config, device="cpu").fit(clicks.head(100_000)).save(folder / "model")
    number = pl.col("session_id").rle_id()
    asked, log = clicks.filter(number < sessions), folder / "asked.parquet"
    asked.write_parquet(log)
    count = asked.select(number.n_unique()).item()
    outs = {"one machine": folder / "one", "spark": folder / "many"}
    for way, code in (("one machine", _ANSWER), ("spark", _ANSWER_ON_SPARK)):
        command = [sys.executable, "-c", code, str(folder / "model"), str(log), str(outs[way])]
        took = measured(command, folder / "answers.log")
        print(f"| answer, {count:,} sessions | {way} | {took} |", flush=True)
    one, many = (
        pl.read_parquet(pattern).sort("session_id", "rank")["item_id"].to_list()
        for pattern in (f"{outs['one machine']}-*.parquet", f"{outs['spark']}/*.parquet")
    )
    alike = sum(a == b for a, b in zip(one, many, strict=True)) / len(one)
    print(f"equal answers: {alike:.6f}", flush=True)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clicks", type=float, default=1e7)
    parser.add_argument("--sessions", type=float, default=1.7e6, help="to answer")
    parser.add_argument("--folder", type=Path, default=Path("/tmp"))
    parser.add_argument("--globo", action="store_true", help="Globo's clicks instead")
    options = parser.parse_args()
    import pyspark

    print(f"{description()}, polars {pl.__version__}, pyspark {pyspark.__version__}, local[2]")
    print("| what | by | time | processor | peak memory |\n|---|---|---:|---:|---:|", flush=True)
    folder = options.folder / f"bench_spark.{os.getpid()}"
    folder.mkdir()
    try:
        if options.globo:
            prepare_both(DATA / "globo.parquet", folder, [])
        else:
            generate(int(options.clicks), folder / "raw")
            prepare_both(folder / "raw", folder, _RULES)
        answer_both(folder / "polars" / "train.parquet", int(options.sessions), folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
