"""The service: latency against load, click and top 20 in one request, over loopback.

    python benchmarks/bench_service.py model/ diginetica --items 50000 --items 1000000

Prints a Markdown table for each size of the catalog (made larger where it must be, see
`extended.py`) through the index that `gru4rec index` takes of IVF and IVF-SQ8 at overlap .99. The
client is `http_load.py`, on the same cores as the service; visitors are sessions of the log's test
part, 200 at a time. The last line of the limit is Starlette on uvicorn with a constant answer.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import torch
import uvloop
from extended import extended
from http_load import Load, load, request
from logs import LOGS
from machine import description

import gru4rec as g4r
from gru4rec.tuning.index_choice import choose_index

_VISITORS, _K = 200, 20
_RESIDENT = r"VmRSS:\s+(\d+)"
_CONSTANT = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
async def answer(request):
    await request.body()
    return Response(BODY, media_type="application/json")
app = Starlette(routes=[Route("/sessions/{session_id}/clicks", answer, methods=["POST"])])
print("http://127.0.0.1:PORT", file=sys.stderr, flush=True)
uvicorn.run(app, port=PORT, access_log=False, log_level="error", ws="none")
"""


def clicks(sessions: Sequence[Sequence[object]], *, begin: int) -> Iterator[bytes]:
    """Requests of visitors in turn; one who has clicked all of a session becomes another."""
    number, visitors = begin, []
    while True:
        while len(visitors) < _VISITORS:
            items = sessions[number % len(sessions)]
            visitors.append((f"/sessions/v{number}/clicks?k={_K}", iter(items)))
            number += 1
        for place, (path, items) in reversed([*enumerate(visitors)]):
            item = next(items, None)
            if item is None:
                del visitors[place]
            else:
                yield request("POST", path, json.dumps({"item_id": item}).encode())


@contextmanager
def running(command: Sequence[str]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server from when it listens, and its port."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if found := re.search(rb"http://127.0.0.1:(\d+)", line):
                    time.sleep(1)
                    yield process, int(found[1])
                    break
        finally:
            process.terminate()


def memory(process: subprocess.Popen[bytes]) -> str:
    """Resident memory of a process."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return f"{int(re.search(_RESIDENT, status)[1]) / 1024:,.0f} MiB"


def batch_size(port: int) -> str:
    """Requests that were answered together, on average."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    total, count = (
        float(re.search(rf"^gru4rec_batch_size_{name} (\S+)", text, re.MULTILINE)[1])
        for name in ("sum", "count")
    )
    return f"{total / count:.2f}"


def row(name: str, result: Load, process: subprocess.Popen[bytes]) -> str:
    """A row of the table."""
    p50, p90, p99, longest = result.percentiles(50, 90, 99, 100)
    return (
        f"| {name} | {result.rate:,.0f} | {p50:.2f} / {p90:.2f} / {p99:.2f} / {longest:.1f} | "
        f"{result.failures} | {memory(process)} |"
    )


def rows(
    command: Sequence[str], sessions: Sequence[Sequence[object]], rates: Sequence[str], name: str
) -> Iterator[str]:
    """The rows of a server; a rate is `PER SECOND:SECONDS`."""
    with running(command) as (process, port):
        for number, asked in enumerate(["200:5", *rates]):
            rate, seconds = map(float, asked.split(":"))
            requests = clicks(sessions, begin=number * 1_000_000)
            work = load("127.0.0.1", port, requests, rate=rate, seconds=seconds)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                result = runner.run(work)
            if number:  # the first one warms up
                yield row(f"{name}, {rate:,.0f}/s for {seconds:g} s", result, process)
        if name == "gru4rec serve":
            yield f"| requests answered together, on average | {batch_size(port)} | | | |"


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="a GRU4Rec with cosine scores")
    parser.add_argument("log", choices=LOGS, help="the log it was trained on")
    parser.add_argument("--items", type=int, action="append", help="sizes; else as trained")
    parser.add_argument(
        "--rates", nargs="+", metavar="RATE:SECONDS",
        default=["100:10", "500:10", "1000:10", "1500:60", "2000:10", "3000:10"],
    )  # fmt: skip
    options = parser.parse_args()
    torch.set_num_threads(1)
    trained = g4r.load(options.checkpoint, device="cpu")
    assert isinstance(trained, g4r.GRU4Rec)
    source = LOGS[options.log]
    log = g4r.read_clicks(source.path, where=source.test_where).collect()
    lists = log.group_by("session_id", maintain_order=True).agg("item_id")["item_id"].to_list()
    gru4rec = [sys.executable, "-m", "gru4rec", "serve"]
    for size in options.items or [len(trained.catalog)]:
        recommender = extended(trained, size)
        choose_index(recommender, log, kinds=["ivf", "ivf-sq8"])
        index = "{kind}, overlap {overlap:.3f}".format(**recommender.meta.index)
        print(
            f"\n{size:,} items, {trained.config.encoder.hidden_size} units, {index}; "
            f"{os.cpu_count()} cores, {description()}\n\n"
            "| | requests/s | p50 / p90 / p99 / longest, ms | failures | memory |\n"
            "|---|---:|---:|---:|---:|"
        )
        items = trained.catalog.ids_of(range(_K))
        body = json.dumps({"session_id": "v1", "items": items, "scores": [0.123456789] * _K})
        constant = _CONSTANT.replace("BODY", repr(body)).replace("PORT", "8799")
        with tempfile.TemporaryDirectory() as folder:
            recommender.save(Path(folder) / "model")
            command = [*gru4rec, f"{folder}/model", "--port", "0", "--no-access-log"]
            for line in rows(command, lists, options.rates, "gru4rec serve"):
                print(line, flush=True)
        command = [sys.executable, "-c", constant]
        for line in rows(command, lists, options.rates[-2:], "Starlette, a constant"):
            print(line, flush=True)


if __name__ == "__main__":
    main()
