"""Serving: one click and the next items, many sessions at once, the pipe.

    python benchmarks/bench_serving.py model/ diginetica --items 50000 --items 1000000

Prints a Markdown table for each size of the catalog (made larger where it must be, see
`extended.py`), through the flat index, which is exact, and through the one that `gru4rec index`
takes of IVF and IVF-SQ8 at overlap .99. Sessions are those of the log's test part. Latencies are of
single calls, one after the other: p50 / p90 / p99. The lines in µs say where the time of a click
and its answer goes, less what reads the one and makes a table of the other.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import torch
from extended import extended
from logs import LOGS
from machine import description

import gru4rec as g4r
from gru4rec.serving.best_items import best_of_running
from gru4rec.serving.index import ItemIndex
from gru4rec.sessions import Click, RunningSession, take_in
from gru4rec.tuning.index_choice import choose_index

_K, _CLICKS, _LINES, _TOGETHER, _BATCH = 20, 3000, 3000, 1000, 20_000


def percentiles(seconds: Sequence[float]) -> str:
    """p50 / p90 / p99 in milliseconds."""
    return " / ".join(
        f"{each:.2f}" for each in np.percentile(np.array(seconds) * 1e3, (50, 90, 99))
    )


def in_microseconds(seconds: Sequence[float]) -> str:
    """p50 / p90 / p99 in microseconds."""
    return " / ".join(
        f"{each:.0f}" for each in np.percentile(np.array(seconds) * 1e6, (50, 90, 99))
    )


def timed(work: Callable[[], object]) -> float:
    """Seconds of a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def live(recommender: g4r.Recommender, sessions: list[list[object]]) -> Iterator[tuple[str, str]]:
    """One visitor after the other, click by click, each click answered."""
    clicks, answers = [], []
    for items in sessions:
        session = recommender.start_session()
        for item in items:
            clicks.append(timed(lambda session=session, item=item: session.click(item)))
            answers.append(timed(lambda session=session: session.recommend(_K)))
        if len(clicks) > _CLICKS:
            break
    both = np.add(clicks, answers)
    yield "click, ms", percentiles(clicks)
    yield "click + top 20, ms", percentiles(both)
    long = recommender.start_session()
    late = [timed(lambda: long.click(sessions[0][0])) for _ in range(1000)]
    yield "click 900 to 1,000 of one session, ms", percentiles(late[900:])


def parts(recommender: g4r.GRU4Rec, sessions: list[list[object]]) -> Iterator[tuple[str, str]]:
    """Where the time of a click and its answer goes, one visitor after the other."""
    took: dict[str, list[float]] = {"step": [], "query": [], "index": [], "answer": []}

    def clocked(name: str, work: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            began = time.perf_counter()
            result = work(*arguments)
            took[name].append(time.perf_counter() - began)
            return result

        return call

    step, answer = clocked("step", take_in), clocked("answer", best_of_running)
    recommender.running_queries = clocked("query", recommender.running_queries)
    recommender.index._find = clocked("index", recommender.index._find)
    for items in sessions:
        session = RunningSession()
        for item in items:
            if recommender.catalog.find(item) is not None:
                step(recommender, [Click.read(recommender, session, item, {}, None)])
                answer(recommender, [session], _K, None)
        if len(took["step"]) > _CLICKS:
            break
    del recommender.running_queries, recommender.index._find
    step_s, query_s, index_s, answer_s = (np.array(seconds) for seconds in took.values())
    yield "a click's step, µs", in_microseconds(step_s)
    yield "its query, µs", in_microseconds(query_s)
    yield "what the index takes, µs", in_microseconds(index_s)
    yield "scoring, joining, ordering, µs", in_microseconds(answer_s - query_s - index_s)
    yield "all of it, µs", in_microseconds(step_s + answer_s)


def many(recommender: g4r.Recommender, sessions: list[list[object]]) -> Iterator[tuple[str, str]]:
    """A thousand visitors at a time."""
    store = g4r.SessionStore(recommender)
    ids = list(range(_TOGETHER))
    items = [items[0] for items in (sessions * _TOGETHER)[:_TOGETHER]]
    click = min(timed(lambda: store.click_many(ids, items)) for _ in range(3))
    answer = min(timed(lambda: store.recommend_many(ids, _K)) for _ in range(3))
    yield "click_many, 1,000 at once: clicks/s", f"{_TOGETHER / click:,.0f}"
    yield "recommend_many, 1,000 at once: sessions/s", f"{_TOGETHER / answer:,.0f}"


def batch(recommender: g4r.Recommender, clicks: pl.DataFrame) -> Iterator[tuple[str, str]]:
    """A log of sessions: encoder, search and table, reading left out."""
    count = clicks["session_id"].n_unique()
    took = min(timed(lambda: recommender.recommend(clicks, _K)) for _ in range(3))
    yield f"recommend, a log of {count:,} sessions: sessions/s", f"{count / took:,.0f}"


def pipe(recommender: g4r.Recommender, sessions: list[list[object]]) -> Iterator[tuple[str, str]]:
    """`gru4rec recommend DIR -` in another process, a line and its answer at a time."""
    command = [sys.executable, "-c", "from gru4rec.cli import main; main()", "recommend"]
    with tempfile.TemporaryDirectory() as folder:
        recommender.save(Path(folder) / "model")
        with subprocess.Popen(
            [*command, str(Path(folder) / "model"), "-", "-k", str(_K)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            took = []
            for number in range(_LINES + 10):
                line = json.dumps({"session_id": number, "items": sessions[number % len(sessions)]})
                began = time.perf_counter()
                process.stdin.write(line.encode() + b"\n")
                process.stdin.flush()
                answer = process.stdout.readline()
                took.append(time.perf_counter() - began)
                assert len(json.loads(answer)["items"]) == _K
            process.stdin.close()
    took = took[10:]
    yield "pipe: lines/s", f"{len(took) / sum(took):,.0f}"
    yield "pipe, a line and its answer, ms", percentiles(took)


def main() -> None:
    """Print a table for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="a GRU4Rec with cosine scores")
    parser.add_argument("log", choices=LOGS, help="the log it was trained on")
    parser.add_argument("--items", type=int, action="append", help="sizes; else as trained")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    trained = g4r.load(options.checkpoint, device="cpu")
    assert isinstance(trained, g4r.GRU4Rec)
    source = LOGS[options.log]
    log = g4r.read_clicks(source.path, where=source.test_where).collect()
    sessions = log.group_by("session_id", maintain_order=True).agg("item_id")
    lists = sessions["item_id"].to_list()
    some = log.filter(pl.col("session_id").is_in(sessions["session_id"].head(_BATCH).implode()))
    for size in options.items or [len(trained.catalog)]:
        recommender = extended(trained, size)
        columns = {}
        for kind in ("flat", "ivf, ivf-sq8"):
            if kind == "flat":
                recommender.index = ItemIndex.build(recommender.item_vectors())
            else:
                table = choose_index(recommender, log, kinds=kind.split(", "))
                kind = "{kind}, overlap {overlap:.3f}".format(**recommender.meta.index)
                assert table.height == 2
            columns[kind] = {
                **dict(live(recommender, lists)),
                **dict(parts(recommender, lists)),
                **dict(many(recommender, lists)),
                **dict(batch(recommender, some if size < 200_000 else some.head(4000))),
                **dict(pipe(recommender, lists)),
            }
        print(
            f"\n{size:,} items, {trained.config.encoder.hidden_size} units; {description()}\n\n"
            f"| | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}"
        )
        for name in dict.fromkeys(name for column in columns.values() for name in column):
            print(f"| {name} | {' | '.join(each.get(name, '') for each in columns.values())} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
