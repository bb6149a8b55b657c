"""Try settings on validation data: a grid of settings × logs, never looking at a test part.

    python benchmarks/sweep.py diginetica --set training.scale=12,16,20 --set training.epochs=3

The validation part is the last tenth of the training sessions. Prints a line per run and epoch.
"""

import argparse
import itertools
import json
import sys
import time

import torch
from logs import LOGS

import gru4rec as g4r


def parse_setting(text: str) -> tuple[str, list[object]]:
    """("training.scale", [12, 16]) from "training.scale=12,16"; values are JSON, or else text."""
    key, _, values = text.partition("=")
    return key, [_value(value) for value in values.split(",")]


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def main() -> None:
    """Fit every combination and print its validation metrics, epoch by epoch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("logs", nargs="+", choices=LOGS)
    parser.add_argument("--set", action="append", default=[], type=parse_setting, dest="grid")
    parser.add_argument("--valid", default="10%", help="the part held out of the training part")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keys = [key for key, _ in options.grid]
    for name in options.logs:
        log = LOGS[name]
        train, valid = g4r.split_last(
            g4r.read_clicks(log.path, where=log.train_where), options.valid
        )
        train, valid = train.collect(), valid.collect()
        for values in itertools.product(*(values for _, values in options.grid)):
            for seed in range(options.seeds):
                settings = dict(zip(keys, values, strict=True))
                config = g4r.Config().replace({"training.patience": 100, "seed": seed, **settings})
                started = time.perf_counter()
                history = g4r.GRU4Rec(config).fit(train, valid=valid).meta.history
                epochs = "  ".join(f"{row['recall@20']:.4f}/{row['mrr@20']:.4f}" for row in history)
                speed = history[-1]["clicks_per_second"]
                sys.stdout.write(
                    f"{name} {json.dumps(settings)} seed {seed}: {epochs}  "
                    f"({time.perf_counter() - started:.0f} s, {speed:,.0f} clicks/s)\n"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
