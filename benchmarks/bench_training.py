"""Training speed: clicks/s beside the speed of a matrix product, their ratio, and peak memory.

    python benchmarks/bench_training.py
    python benchmarks/bench_training.py --hidden-size 480 --lanes 48 --threads 1
    python benchmarks/bench_training.py --device cuda

Learns from a generated log of the size of yoochoose1_64, or with --log from that log. The matrix
product is timed before and after, since shared machines drift. The limit is what the matrix
products of scores and GRU, forward and backward, would take at that speed.
"""

import argparse

import torch
from logs import LOGS
from machine import description, matmul_gflops, peak_memory_mib

import gru4rec as g4r


def flops_per_click(hidden: int, candidates: float) -> float:
    """Operations of one click's matrix products; backward takes twice as many as forward."""
    scores = 2 * candidates * hidden
    gru = 2 * 2 * hidden * 3 * hidden
    return 3 * (scores + gru)


def main() -> None:
    """Train one epoch per run and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", choices=LOGS)
    parser.add_argument("--hidden-size", type=int, default=100)
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--negatives", type=int, default=2048)
    parser.add_argument("--scoring", default="cosine")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.log:
        log = LOGS[options.log]
        clicks = g4r.read_clicks(log.path, where=log.train_where).collect()
    else:
        clicks = g4r.generate_clicks(sessions=90_000, items=17_000, categories=300)
    config = g4r.Config().replace(
        {
            "encoder.hidden_size": options.hidden_size,
            "training.lanes": options.lanes,
            "training.steps": options.steps,
            "training.negatives": options.negatives,
            "training.scoring": options.scoring,
            "training.epochs": 1,
        }
    )
    print(
        f"{description(options.device)}; {options.hidden_size} units, {options.lanes} lanes × "
        f"{options.steps} steps, {options.negatives} negatives, {options.scoring}"
    )
    for _ in range(options.runs):
        before = matmul_gflops(options.device)
        recommender = g4r.GRU4Rec(config, device=options.device).fit(clicks)
        speed = recommender.meta["history"][0]["clicks_per_second"]
        matmul = (before + matmul_gflops(options.device)) / 2
        candidates = options.negatives + options.lanes * options.steps
        limit = matmul * 1e9 / flops_per_click(options.hidden_size, candidates)
        print(
            f"{speed:,.0f} clicks/s  matmul {matmul:.0f} GFLOP/s  {speed / matmul:.0f} per GFLOP  "
            f"{speed / limit:.0%} of the limit  {speed * 280 / matmul:,.0f} at 280 GFLOP/s  "
            f"peak {peak_memory_mib():.0f} MiB"
        )


if __name__ == "__main__":
    main()
