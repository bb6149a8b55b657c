"""Make a GRU4Rec smaller, and measure what that costs: size, latency, recall."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl

from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.errors import DataError
from gru4rec.evaluation import evaluate, extra_columns
from gru4rec.model import AS_TRAINED, check_sparsity, packed
from gru4rec.recommenders import GRU4Rec
from gru4rec.schema import ITEM_ID, SESSION_ID
from gru4rec.training import Progress
from gru4rec.tuning.index_choice import choose_index, ivf
from gru4rec.tuning.retraining import retrained

logger = logging.getLogger(__name__)

_STORAGE = {"float16": "SQfp16", "sq8": "SQ8"}
_COMPONENTS = (4, 5, 3, 6, 2)  # in a byte of pq; ten find less than 99 % (LOG, 2026-11-28)

VARIANTS = (
    ("bf16", "float32"), ("int8", "float32"), ("float32", "float16"), ("float32", "sq8"),
    ("int8", "sq8"),
)  # fmt: skip
"""Worth a look: (encoder, items) of `shrink`."""

_K, _CLICKS = 20, 1000
_METRICS = ("recall", "mrr")


def shrink(
    recommender: GRU4Rec,
    *,
    encoder: str | None = None,
    items: str | None = None,
    sparsity: float | None = None,
    train: ClickSource | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> GRU4Rec:
    """Return a copy with weights in fewer bits, or fewer weights; what is left out stays as it is.

    `encoder` is float32, bf16 or int8, `items` float32, float16, sq8 or pq. Of each matrix of the
    encoder the share `sparsity` becomes 0, the entries of least magnitude: at once or, with a log
    to `train` on, little by little, and what is left learns three times through the log in between.
    Measure on another one. `on_progress` is told how far that is.

    With fewer bits for items it has another index, which is not exact: over vectors of those, of
    the structure as before or, if that was flat, of IVF, found 99 % of the exact best 20 by the
    walks of `choose_index`. Raise ConfigError for unknown names and what is no share, DataError if
    it cannot find them, if vectors have no parts for `pq` or the log nothing to learn,
    CheckpointError for one to train on that was shrunk, and DivergenceError.
    """
    kept = kept_in(recommender)
    asked = {"encoder": encoder or kept["encoder"], "items": items or kept["items"]}
    if sparsity is not None:
        check_sparsity(sparsity)
    share = max(sparsity or 0.0, float(kept["sparsity"]))  # what is 0 stays so
    if share:
        asked["sparsity"] = str(share)
    small = recommender.with_weights_as(asked)  # which refuses what is unknown
    storage = _storage(items, small.item_vectors().shape[1])
    if train is not None:
        small = retrained(recommender, train, share, on_progress).with_weights_as(asked)
    if storage is not None:
        structure = recommender.index.structure
        if structure.startswith("HNSW") and items == "pq":  # it would lack tables to add items by
            structure = ""
        kind = f"{structure}{storage}" if structure else ivf(len(small.catalog), storage)
        choose_index(small, kinds=[kind])
    return small


def _storage(items: str | None, width: int) -> str | None:
    """Return how FAISS is told to keep vectors of a width; None to leave the index as it is."""
    if items != "pq":
        return _STORAGE.get(items or "")
    for components in _COMPONENTS:
        if width % components == 0:
            return f"PQ{width // components}np"  # no polysemous codes: a second for each part
    raise DataError(
        f"vectors of {width} components have no equal parts of 2 to 6 for pq; keep items as sq8",
        mend_with=["items"],
    )


def compare(recommenders: Iterable[GRU4Rec], clicks: ClickSource) -> pl.DataFrame:
    """Set recommenders beside the first of them, by what sessions get through their indexes.

    Return a row for each: encoder, items, sparsity; mib of weights and index; p50_ms and p99_ms of
    a click with its best 20, one after the other; recall@20 and mrr@20, and their changes. Raise
    DataError if there is nothing to measure on.
    """
    log: pl.DataFrame | None = None
    rows: list[dict[str, Any]] = []
    for recommender in recommenders:
        if log is None:
            also = extra_columns({recommender.name: recommender})
            log = read_clicks(clicks, also=also).collect()
        measured = evaluate(
            {recommender.name: recommender}, log, ks=[_K], through_index=True, intervals=False
        )
        figures = dict(zip(measured["metric"], measured["value"], strict=True))
        p50, p99 = np.percentile(_latencies(recommender, log), (50, 99))
        row = {
            **kept_in(recommender),
            "sparsity": float(kept_in(recommender)["sparsity"]),
            "mib": _num_bytes(recommender) / 2**20,
            "p50_ms": 1e3 * p50,
            "p99_ms": 1e3 * p99,
            "recall@20": figures["recall"],
            "mrr@20": figures["mrr"],
        }
        first = rows[0] if rows else row
        changes = {f"{name}_change": row[f"{name}@20"] - first[f"{name}@20"] for name in _METRICS}
        rows.append(row | changes)
        logger.info(
            "encoder {encoder}, items {items}, sparsity {sparsity:g} measured".format(**row)
        )
    return pl.DataFrame(rows)


def kept_in(recommender: GRU4Rec) -> dict[str, str]:
    """Return how a recommender keeps its `encoder` and its `items`, and its `sparsity`."""
    return {**AS_TRAINED, **(recommender.meta.stored_as or {})}


def _num_bytes(recommender: GRU4Rec) -> int:
    """Return the size of the files of weights and index, about."""
    weights = packed(recommender.model.state_dict(), **kept_in(recommender))
    return sum(weight.nbytes for weight in weights.values()) + recommender.index.num_bytes


def _latencies(recommender: GRU4Rec, log: pl.DataFrame) -> list[float]:
    """Time clicks and the answers to them, in seconds."""
    took = []
    sessions = log.group_by(SESSION_ID, maintain_order=True).agg(ITEM_ID)
    for items in sessions[ITEM_ID]:
        session = recommender.start_session()
        for item in items:
            began = time.perf_counter()
            session.click(item)
            session.recommend(_K)
            took.append(time.perf_counter() - began)
        if len(took) >= _CLICKS:
            break
    return took
