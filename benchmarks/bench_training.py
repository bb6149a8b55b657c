"""Training speed: clicks/s beside the speed of a matrix product, their ratio, and peak memory.

    python benchmarks/bench_training.py
    python benchmarks/bench_training.py --hidden-size 480 --lanes 48 --threads 1
    python benchmarks/bench_training.py --grid
    python benchmarks/bench_training.py --device cuda --grid

Learns from a generated log of the size of yoochoose1_64, or with --log from that log. The matrix
product is timed before and after, since shared machines drift. The limit is what the matrix
products of scores and GRU, forward and backward, would take at that speed in float32; bf16 scores
may pass it. The grid runs each size in a process of its own, for its peak memory.

On a GPU the table has, for a window, the time it takes, the kernels it starts and how long the
device is busy with them (by torch's profiler); the memory is the device's.
"""

import argparse
import itertools
import subprocess
import sys
from contextlib import suppress

import torch
from logs import LOGS
from machine import description, matmul_gflops, peak_memory_mib
from speed import decided, measure, read_log, trainer_of

import gru4rec as g4r
from gru4rec.training.trainer import Hooks, Trainer

_GRID = ((100, 224, 480), (32, 128, 512), (1, 4, 16, 32))
_GPU_GRID = (  # units, lanes, steps, negatives
    (100, 32, 16, 2048),
    (128, 32, 16, 4352),
    (128, 128, 16, 4352),
    (128, 128, 4, 4352),
    (128, 256, 4, 4352),
    (480, 48, 16, 2048),
    (512, 240, 16, 2048),
    (100, 512, 16, 2048),
    (100, 32, 1, 2048),
    (224, 80, 1, 2048),
    (128, 32, 16, 20_000),  # the whole catalog
    (128, 128, 4, 20_000),
)
_GPU_COLUMNS = (
    "units", "lanes", "steps", "negatives", "precision", "clicks/s", "updates/s", "µs/window",
    "kernels/window", "busy µs/window", "peak MiB",
)  # fmt: skip
_COLUMNS = (
    "units", "lanes", "steps", "precision", "clicks/s", "updates/s", "matmul GFLOP/s",
    "of the limit", "clicks/s at 280", "peak MiB",
)  # fmt: skip


def flops_per_click(hidden: int, candidates: float) -> float:
    """Operations of one click's matrix products; backward takes twice as many as forward."""
    scores = 2 * candidates * hidden
    gru = 2 * 2 * hidden * 3 * hidden
    return 3 * (scores + gru)


def kernels_of(trainer: Trainer, windows: int = 50) -> tuple[float, float]:
    """Kernels that a window starts, and microseconds that the device is busy with them."""
    from torch.profiler import ProfilerActivity, profile

    asked = itertools.count(1)
    with profile(activities=[ProfilerActivity.CUDA]) as profiled, suppress(g4r.StoppedError):
        trainer.run(Hooks(stopping=lambda: next(asked) >= windows))
    events = [
        event
        for event in profiled.key_averages()
        if event.device_type == torch.autograd.DeviceType.CUDA
    ]
    return (
        sum(event.count for event in events) / windows,
        sum(event.self_device_time_total for event in events) / windows,
    )


def row(options: argparse.Namespace) -> str:
    """One line of the table."""
    torch.set_num_threads(options.threads)
    log = read_log(options.log)
    settings = {
        "encoder.hidden_size": options.hidden_size,
        "training.lanes": options.lanes,
        "training.steps": options.steps,
        "training.negatives": options.negatives,
        "training.scoring": options.scoring,
    }
    if options.precision:
        settings["training.precision"] = options.precision
    config = decided(log, settings, options.device)
    trainer = trainer_of(log, config, options.device)
    if options.device == "cuda":
        speed = measure(trainer, seconds=options.seconds)
        kernels, busy = kernels_of(trainer)
        peak = torch.cuda.max_memory_allocated() / 2**20
        cells = (
            options.hidden_size, options.lanes, options.steps, options.negatives,
            config.training.precision, f"{speed.clicks:,.0f}", f"{speed.updates:,.0f}",
            f"{1e6 / speed.updates:.0f}", f"{kernels:.0f}", f"{busy:.0f}", f"{peak:.0f}",
        )  # fmt: skip
        return f"| {' | '.join(map(str, cells))} |"
    before = matmul_gflops(options.device)
    speed = measure(trainer, seconds=options.seconds)
    matmul = (before + matmul_gflops(options.device)) / 2
    limit = matmul * 1e9 / flops_per_click(options.hidden_size, speed.candidates)
    cells = (
        options.hidden_size, options.lanes, options.steps, config.training.precision,
        f"{speed.clicks:,.0f}", f"{speed.updates:.0f}", f"{matmul:.0f}",
        f"{speed.clicks / limit:.0%}", f"{speed.clicks * 280 / matmul:,.0f}",
        f"{peak_memory_mib():.0f}",
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def grid(arguments: list[str], device: str) -> None:
    """Every size, each in a process of its own."""
    sizes = _GPU_GRID if device == "cuda" else itertools.product(*_GRID)
    for hidden, lanes, steps, *negatives in sizes:
        size = ["--hidden-size", str(hidden), "--lanes", str(lanes), "--steps", str(steps)]
        size += ["--negatives", str(negatives[0])] if negatives else []
        command = [sys.executable, __file__, *arguments, *size, "--runs", "1", "--bare"]
        subprocess.run(command, check=True)


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", choices=LOGS)
    parser.add_argument("--hidden-size", type=int, default=100)
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--negatives", type=int, default=2048)
    parser.add_argument("--scoring", default="cosine")
    parser.add_argument("--precision", choices=("float32", "bf16"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--grid", action="store_true", help="all sizes")
    parser.add_argument("--bare", action="store_true", help="no header")
    options = parser.parse_args()
    if not options.bare:
        print(f"{description(options.device)}; {options.log or 'generated log'}")
        columns = _GPU_COLUMNS if options.device == "cuda" else _COLUMNS
        print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    if options.grid:
        grid([argument for argument in sys.argv[1:] if argument != "--grid"], options.device)
        return
    for _ in range(options.runs):
        print(row(options), flush=True)


if __name__ == "__main__":
    main()
