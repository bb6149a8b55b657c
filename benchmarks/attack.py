"""Attack the package from all sides, and count what was tried, what held and what failed.

    python benchmarks/attack.py                        # everything, at full size: half an hour
    python benchmarks/attack.py --only inputs --number 100

A trial returns "" if it held, else what it did. A small part of each side runs in the tests
(`tests/test_attack.py`).
"""

import argparse
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import attack_checkpoint
import attack_inputs
import attack_outputs
import attack_processes
import attack_service
from machine import description

Trials = Iterator[tuple[str, str, Callable[[], str | None]]]

SIDES: Mapping[str, tuple[Callable[[int], Trials], int]] = {
    "inputs": (lambda number: attack_inputs.trials(number=number), 3000),
    "checkpoint": (lambda number: attack_checkpoint.trials(changes=number), 6),
    "outputs": (lambda number: attack_outputs.trials(number=number), 30),
    "processes": (lambda number: attack_processes.trials(number=number), 16),
    "service": (lambda number: attack_service.trials(number=number), 10_000),
}
"""By name: the trials of a size, and the full size."""


def main() -> None:
    """Print a line for each kind of trial, and one for each that failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=SIDES, action="append", help="may be repeated")
    parser.add_argument("--number", type=int, help="size of each side, else full")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(description())
    tried, failed, seconds = Counter[str](), Counter[str](), Counter[str]()
    for side in options.only or SIDES:
        trials, full = SIDES[side]
        for kind, name, trial in trials(options.number or full):
            began, label = time.monotonic(), f"{side}: {kind}"
            fault = trial()
            seconds[label] += time.monotonic() - began
            tried[label] += 1
            if fault:
                failed[label] += 1
                print(f"FAILED {label}: {name}: {fault}", flush=True)
    for label, count in [*tried.items(), ("all", tried.total())]:
        bad = failed.total() if label == "all" else failed[label]
        spent = seconds.total() if label == "all" else seconds[label]
        print(f"{label}: tried {count}, held {count - bad}, failed {bad} ({spent:.0f} s)")


if __name__ == "__main__":
    main()
