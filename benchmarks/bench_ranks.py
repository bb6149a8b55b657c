"""What a second process brings: clicks/s, bytes an update, waiting, and what that says of more.

    python benchmarks/bench_ranks.py
    python benchmarks/bench_ranks.py --log yoochoose1_64 --rounds 10

Each rank runs on a core of its own, with one thread, over gloo. Shared machines disturb each other,
so beside the median window there is the fastest tenth, which comes near an idle machine. The model
of the scaling adds what is measured apart: the processor's time of a window for one rank of n that
talks to nobody, and the fast all-reduces of as many bytes, and of a window's items, with nothing
else to do. It is held against the processor's time of two ranks, which other work disturbs little,
then applied to machines that are not here, and idle: that part is prediction.
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from machine import description
from speed import decided, read_log
from torch import Tensor

from gru4rec.arraytypes import IntArray
from gru4rec.config import Config
from gru4rec.model import Model
from gru4rec.sessions import WindowPart
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.clock import Clock
from gru4rec.training.dealt_log import DealtLog
from gru4rec.training.joining import join_ranks
from gru4rec.training.rank_batches import RankBatches
from gru4rec.training.rank_engine import RankEngine
from gru4rec.training.rank_learner import RankLearner
from gru4rec.training.ranks import Ranks
from gru4rec.training.trainer import Trainer
from gru4rec.training.training_log import TrainingLog

_WARM_UP = 20  # windows
_ITEMS = 8192  # bytes of a window's targets and inputs, about
_CPU = torch.device("cpu")


@dataclass
class Times:
    """Of single windows, in milliseconds."""

    windows: list[float] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)
    """Of those, in all-reduces: the others are waited for there."""
    bytes: list[int] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Of the processor, for all threads of the process: what an idle core would take."""

    def __add__(self, more: "Times") -> "Times":
        return Times(
            *(before + after for before, after in zip(self.parts, more.parts, strict=True))
        )

    @property
    def parts(self) -> tuple[list[float], list[float], list[int], list[float]]:
        """All of them."""
        return self.windows, self.sums, self.bytes, self.cpu

    def line(self, name: str, clicks: float) -> str:
        """A row of the table."""
        median, fast = (np.quantile(self.windows, share) for share in (0.5, 0.1))
        sums = np.sum(self.sums) / np.sum(self.windows)
        mib = np.mean(self.bytes or [0]) / 2**20
        return (
            f"| {name} | {clicks / median * 1e3:,.0f} | {clicks / fast * 1e3:,.0f} | {median:.1f} "
            f"| {fast:.1f} | {np.median(self.cpu):.1f} | {mib:.2f} | {sums:.0%} |"
        )


class MuteRanks(Ranks):
    """A rank of so many that hears nothing of the others."""

    def all_sum_(self, tensor: Tensor) -> Tensor:
        """Leave it as it is."""
        return tensor


class MuteBatches(RankBatches):
    """Batches of a rank that reads the items of the others itself."""

    items_of_all: IntArray

    def _exchanged(
        self, part: WindowPart, said: IntArray, *_: IntArray
    ) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        whole, items = part.whole, self.items_of_all
        read = np.concatenate((whole.clicks, whole.earlier.ravel()))
        named = np.empty((len(whole.clicks), 0), dtype=np.int64)
        notes = np.stack([said] * self.ranks.size)
        return notes, items[whole.clicks + 1], items[read], named


def times_of(log: TrainingLog, config: Config, ranks: Ranks, windows: int) -> Times:
    """Learn from so many windows as a rank does, or as the only process."""
    model = Model(config, len(log.catalog))
    model.initialize(torch.Generator().manual_seed(config.seed))
    times, in_sum = Times(), [0.0]

    def timed(tensor: Tensor) -> Tensor:
        began = time.perf_counter()
        summed = type(ranks).all_sum_(ranks, tensor)
        in_sum[0] += 1e3 * (time.perf_counter() - began)
        times.bytes.append(tensor.numel() * tensor.element_size())
        return summed

    ranks.all_sum_ = timed  # type: ignore[method-assign]
    learned: Iterator[object]
    if ranks.size == 1:
        whole = TrainingBatches(log.sessions, log.catalog.support, config)
        engine = Trainer(model, whole, config, _CPU).engine
        learned = engine.learn(0, range(windows), lambda window: 1.0, Clock())
    else:
        kind = MuteBatches if isinstance(ranks, MuteRanks) else RankBatches
        batches = kind(DealtLog.of(log, config, ranks), config)
        if isinstance(batches, MuteBatches):
            batches.items_of_all = log.sessions.items
        together = RankEngine(RankLearner(model, config.training, _CPU, ranks), batches)
        learned = together.learn(0, range(windows), lambda window: 1.0, Clock())
    before, cpu = time.perf_counter(), time.process_time()
    for _ in learned:
        now, cpu_now = time.perf_counter(), time.process_time()
        times.cpu.append(1e3 * (cpu_now - cpu))
        times.windows.append(1e3 * (now - before))
        times.sums.append(in_sum[0])
        before, cpu, in_sum[0] = now, cpu_now, 0.0
    return Times(*(part[_WARM_UP:] for part in times.parts))


def all_reduces(ranks: Ranks, size: int, count: int = 100) -> list[float]:
    """Milliseconds of all-reduces of so many bytes, with nothing else to do."""
    tensor, taken = torch.zeros(size // 4), []
    for _ in range(count):
        ranks.all_sum_(torch.zeros(()))  # all begin together
        began = time.perf_counter()
        ranks.all_sum_(tensor)
        taken.append(1e3 * (time.perf_counter() - began))
    return taken


def network(size: float, ranks: int, *, gigabytes: float, hop: float) -> float:
    """Milliseconds of a ring's all-reduce: each link at so many GB/s, and a hop's microseconds."""
    return 2 * (ranks - 1) * (size / ranks / gigabytes / 1e6 + hop / 1e3)


def report(options: argparse.Namespace, ranks: Ranks) -> None:
    """Measure, as one of two ranks, and let the first print."""
    torch.set_num_threads(1)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[ranks.rank % len(cores)]})
    log = read_log(options.log)
    asked: dict[str, object] = {"encoder.repeats": False, "training.neighbours": 0}
    if options.lanes is not None:
        asked["training.lanes"] = options.lanes
    config = decided(log, asked)
    clicks = config.training.lanes * config.training.steps
    one, two, size = Times(), Times(), 0
    alone, exchange = {n: Times() for n in (2, 4, 8)}, {}
    for _ in range(options.rounds):  # in turn, since the machine is now more, now less busy
        two += times_of(log, config, ranks, options.windows)
        size = size or int(np.mean(two.bytes))
        for n in (_ITEMS, size // 4, size):
            exchange[n] = exchange.get(n, []) + all_reduces(ranks, n)
        for n in alone:  # on both cores, as ranks compute: one disturbs the other
            alone[n] += times_of(log, config, MuteRanks(ranks.rank, n), options.windows)
        if ranks.is_first:
            one += times_of(log, config, Ranks(), options.windows)
    if not ranks.is_first:
        return
    training, units = config.training, config.encoder.hidden_size
    windows = f"{training.lanes} × {training.steps}, {training.negatives:,} negatives"
    print(f"{description()}; {windows}, {units} units")
    print(
        "| | clicks/s, median window | fastest tenth | ms | ms, fastest | CPU ms | MiB | in sums |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    print(one.line("1 process", clicks))
    print(two.line("2 ranks", clicks))
    for n, times in alone.items():
        print(times.line(f"a rank of {n}, mute", clicks))
    print("all-reduce by 2, ms, median and fastest tenth:", {
        n: tuple(round(float(np.quantile(ms, q)), 2) for q in (0.5, 0.1))
        for n, ms in exchange.items()
    })  # fmt: skip
    talk = sum(float(np.quantile(exchange[n], 0.1)) for n in (size, _ITEMS))
    fact, guess = np.median(two.cpu), np.median(alone[2].cpu) + talk
    print(
        f"CPU of a rank of two: {fact:.1f} ms, by the model {guess:.1f} ({guess / fact - 1:+.0%})"
    )
    first, of_rank = np.median(one.cpu), {n: np.median(times.cpu) for n, times in alone.items()}
    gains = {
        n: first / (cpu + network(size, n, gigabytes=3.1, hop=50)) for n, cpu in of_rank.items()
    }
    print("prediction, idle hosts at 25 Gbit/s, a core each:", {
        n: f"{gain:.2f} ×" for n, gain in gains.items()
    })  # fmt: skip
    print("prediction, NVLink at 300 GB/s, the exchange alone, ms:", {
        n: round(network(size, n, gigabytes=300, hop=5), 3) for n in alone
    })  # fmt: skip


def main() -> None:
    """Start both ranks, or be one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", default=None)
    parser.add_argument("--lanes", type=int, default=None)
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if "RANK" in os.environ:
        with join_ranks() as ranks:
            report(options, ranks)
        return
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        port = str(any_socket.getsockname()[1])
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    ranks = [
        subprocess.Popen(
            [sys.executable, *sys.argv],
            env={**os.environ, **told, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    sys.exit(max(rank.wait() for rank in ranks))


if __name__ == "__main__":
    main()
