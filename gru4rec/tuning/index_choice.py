"""Choose an index by measurement: overlap with the exact answer, latency, throughput, size."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isqrt
from typing import Any

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.clicks import ClickSource
from gru4rec.errors import ConfigError, DataError
from gru4rec.recommenders import Indexed
from gru4rec.serving import ItemIndex
from gru4rec.sessions import SessionArrays

logger = logging.getLogger(__name__)

_SESSIONS, _TIMED, _K = 1000, 300, 20
_LONGEST_WALK = 5


def ivf(num_items: int, storage: str) -> str:
    """An IVF index: 4 √N lists, but 39 items or more in each, as FAISS's training asks."""
    return f"IVF{max(1, min(4 * isqrt(num_items), num_items // 39))},{storage}"


KINDS: Mapping[str, Callable[[int], str]] = {
    "flat": lambda num_items: "Flat",
    "hnsw": lambda num_items: "HNSW32",
    "ivf": lambda num_items: ivf(num_items, "Flat"),
    "ivf-sq8": lambda num_items: ivf(num_items, "SQ8"),
}
"""FAISS factory strings by kind, given the number of items."""


def choose_index(
    recommender: Indexed,
    clicks: ClickSource | None = None,
    *,
    kinds: Sequence[str] = (),
    min_overlap: float = 0.99,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> pl.DataFrame:
    """Measure indexes of a recommender's items and give it the one that answers soonest.

    Only those count whose best 20 share `min_overlap` with the exact best 20 on average. `kinds`
    are of `KINDS` or FAISS factory strings; all of `KINDS` if none are given. Asked are the vectors
    of sessions of `clicks` or, without, of walks along the recommender's own recommendations.
    `on_progress` is told how many indexes are measured, and how many there are.

    Return a row per index: kind, factory, effort, overlap, p50_ms, p99_ms (of one query),
    queries_per_second (of a batch), bytes_per_item, build_seconds, chosen. The row of the one taken
    is in `meta` too. Raise ConfigError for a kind that FAISS does not know, DataError if none
    reaches the overlap: the old index stays.
    """
    if not 0 < min_overlap <= 1:
        raise ConfigError(f"the overlap to reach must be above 0 and at most 1, got {min_overlap}")
    vectors = recommender.item_vectors()
    queries = _session_queries(recommender, clicks)
    exact = ItemIndex.build(vectors).search(queries, _K)[1]
    rows: list[dict[str, Any]] = []
    best, chosen = None, -1
    for kind in kinds or KINDS:
        index, row = _measure(kind, vectors, queries, exact, min_overlap)
        sooner = best is None or row["p50_ms"] < rows[chosen]["p50_ms"]
        if row["overlap"] >= min_overlap and sooner:
            best, chosen = index, len(rows)
        rows.append(row)
        logger.info("%s: overlap %.4f, %.2f ms a query", kind, row["overlap"], row["p50_ms"])
        on_progress(len(rows), len(kinds or KINDS))
    if best is None:
        overlaps = ", ".join(f"{row['kind']} {row['overlap']:.3f}" for row in rows)
        raise DataError(
            f"no index shares {min_overlap:g} of the exact answers ({overlaps}); ask for less with "
            "min_overlap, or for kind flat",
            mend_with=["min_overlap", "kind"],
        )
    recommender.index = best.with_vectors(recommender.kept_vectors())
    table = [{**row, "chosen": number == chosen} for number, row in enumerate(rows)]
    recommender.meta = replace(recommender.meta, index=table[chosen])
    return pl.DataFrame(table)


def _measure(
    kind: str, vectors: Float32Array, queries: Float32Array, exact: IntArray, min_overlap: float
) -> tuple[ItemIndex, dict[str, Any]]:
    """Build an index of a kind, at the least effort that finds enough, and measure it."""
    factory = KINDS[kind](len(vectors)) if kind in KINDS else kind
    began = time.perf_counter()
    index = ItemIndex.build(vectors, factory)
    build_seconds = time.perf_counter() - began
    effort, overlap = _least_effort(index, queries, exact, min_overlap)
    p50, p99 = np.percentile(_latencies(index, queries), (50, 99))
    began = time.perf_counter()
    index.search(queries, _K)
    batch_seconds = time.perf_counter() - began
    return index, {
        "kind": kind,
        "factory": factory,
        "effort": effort,
        "overlap": overlap,
        "p50_ms": 1e3 * p50,
        "p99_ms": 1e3 * p99,
        "queries_per_second": len(queries) / batch_seconds,
        "bytes_per_item": index.num_bytes / len(vectors),
        "build_seconds": build_seconds,
    }


def _least_effort(
    index: ItemIndex, queries: Float32Array, exact: IntArray, min_overlap: float
) -> tuple[int, float]:
    """Find about the least effort that reaches the overlap, or the most there is.

    Return it and its overlap.
    """

    def overlap_of(effort: int) -> float:
        index.set_effort(effort)
        items = index.search(queries, _K)[1]
        shared = [len(np.intersect1d(*pair)) for pair in zip(items, exact, strict=True)]
        return sum(shared) / exact.size

    effort = 1
    while (overlap := overlap_of(effort)) < min_overlap and effort < index.most_effort:
        effort = min(2 * effort, index.most_effort)
    step = effort // 4  # between the last two powers of two, to an eighth of the way
    while step >= max(1, effort // 16):
        less = overlap_of(effort - step)
        if less >= min_overlap:
            effort, overlap = effort - step, less
        step //= 2
    index.set_effort(effort)
    return effort, overlap


def _latencies(index: ItemIndex, queries: Float32Array) -> list[float]:
    """Time single queries, in seconds."""
    took = []
    for query in queries[:_TIMED]:
        began = time.perf_counter()
        index.search(query[None], _K)
        took.append(time.perf_counter() - began)
    return took


def _session_queries(recommender: Indexed, clicks: ClickSource | None) -> Float32Array:
    """Return the queries [Q, D] of at most 1,000 sessions."""
    if clicks is None:
        sessions = _walks(recommender)
    else:
        sessions = recommender.reader.prefixes(clicks)
        sessions = sessions.every(max(1, len(sessions) // _SESSIONS))
    last = sessions.offsets[1:][sessions.lengths > 0] - 1
    if not len(last):
        raise DataError("no session has a click on an item of the catalog to measure an index with")
    asked = recommender.queries(sessions, last[:_SESSIONS])
    return np.concatenate([queries.cpu().numpy() for _, queries in asked])


def _walks(recommender: Indexed) -> SessionArrays:
    """Make sessions of one to five clicks that follow the model's own recommendations.

    They begin with an item as often as it is clicked, and go on with one of the 20 best.
    """
    random = np.random.default_rng(0)
    support = recommender.catalog.support
    walks = random.choice(len(support), (_SESSIONS, 1), p=support / support.sum())
    for _ in range(_LONGEST_WALK - 1):
        sessions = _sessions(walks, recommender)
        last = sessions.offsets[1:] - 1
        chosen = np.empty(len(walks), dtype=np.int64)
        for rows, _, items in recommender.top(sessions, last, min(_K, len(support))):
            picks = random.integers(items.shape[1], size=len(items))
            chosen[rows] = items[np.arange(len(items)), picks]
        walks = np.column_stack((walks, chosen))
    return _sessions(walks, recommender, random.integers(1, _LONGEST_WALK + 1, len(walks)))


def _sessions(
    walks: IntArray, recommender: Indexed, lengths: IntArray | None = None
) -> SessionArrays:
    """Return the first clicks of walks [S, L] as sessions."""
    counts = np.full(len(walks), walks.shape[1]) if lengths is None else lengths
    items = walks[np.arange(walks.shape[1]) < counts[:, None]]
    sides = np.zeros((len(items), len(recommender.side_inputs)), dtype=np.uint16)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    return SessionArrays(pl.Series(range(len(walks))), items, offsets, sides)
