"""Other runtimes: one click, and one click with its best 20, in onnxruntime beside ours.

    python benchmarks/bench_export.py model/ --items 10000 --items 50000

Prints a Markdown table for the checkpoint with catalogs of these sizes (made larger where it must
be, see `extended.py`): sizes of files, and p50 / p99 of single calls on one thread, one after the
other, in µs. Sessions are random walks of 10 clicks. `ours` is what a live session takes for a
click, and for a click and its answer through the flat index; the graph of a whole session reads its
ten clicks anew.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from extended import extended
from machine import description

import gru4rec as g4r
from gru4rec.exporting.agreement import initial_states, runner
from gru4rec.exporting.onnx_graphs import Exported

_K, _LENGTH, _CALLS = 20, 10, 3000


def percentiles(call: Callable[[int], object]) -> str:
    """p50 / p99 of calls by their number, in µs."""
    took = []
    for number in range(_CALLS):
        began = time.perf_counter()
        call(number)
        took.append(time.perf_counter() - began)
    return " / ".join(
        f"{part * 1e6:,.0f}" for part in np.percentile(took[_CALLS // 10 :], (50, 99))
    )


def measured(recommender: g4r.GRU4Rec) -> list[tuple[str, str]]:
    """The rows of the table of one catalog."""
    exported, size = Exported.of(recommender), len(recommender.catalog)
    items = np.random.default_rng(0).integers(size, size=_CALLS + _LENGTH)
    ids = recommender.catalog.item_ids.gather(items).to_list()
    session = recommender.start_session()

    def click(number: int) -> None:
        nonlocal session
        if number % _LENGTH == 0:
            session = recommender.start_session()
        session.click(ids[number])

    def answered(number: int) -> None:
        click(number)
        session.recommend(_K)

    rows = [("ours, a click", percentiles(click)), ("ours, its 20 best", percentiles(answered))]
    with tempfile.TemporaryDirectory() as folder:
        step, top = Path(folder) / "step.onnx", Path(folder) / "top.onnx"
        step.write_bytes(exported.one_step())
        top.write_bytes(exported.top_k(_K))
        run, states = runner(step), initial_states(exported, 1)

        def click_there(number: int) -> None:
            nonlocal states
            if number % _LENGTH == 0:
                states = initial_states(exported, 1)
            *after, _ = run({"item": items[number : number + 1], **states})
            states = {part.name: value for part, value in zip(exported.state, after, strict=True)}

        rows.append(("onnxruntime, a click", percentiles(click_there)))
        whole = runner(top)
        rows.append(
            (
                f"onnxruntime, {_LENGTH} clicks and the 20 best",
                percentiles(
                    lambda number: whole({"items": items[None, number : number + _LENGTH]})
                ),
            )
        )
        for name, file in (("step", step), ("top 20", top)):
            rows.append((f"MiB, {name}", f"{file.stat().st_size / 2**20:.1f}"))
    return rows


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--items", type=int, action="append", required=True)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    recommender = g4r.load(asked.checkpoint, device="cpu")
    tables = [dict(measured(extended(recommender, size))) for size in asked.items]
    print(description())
    print(f"| | {' | '.join(f'{size:,} items' for size in asked.items)} |")
    print(f"|---|{'---:|' * len(tables)}")
    for name in tables[0]:
        print(f"| {name} | {' | '.join(table[name] for table in tables)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
