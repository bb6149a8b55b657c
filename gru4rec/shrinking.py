"""Make a GRU4Rec smaller, and measure what that costs: size, latency, recall."""

import logging
import time
from collections.abc import Sequence

import numpy as np
import polars as pl

from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.errors import choose
from gru4rec.evaluation import evaluate
from gru4rec.gru4rec import GRU4Rec
from gru4rec.index_choice import choose_index, ivf
from gru4rec.model import Model
from gru4rec.precision import AS_TRAINED, PRECISION, packed, unpacked
from gru4rec.schema import ITEM_ID, SESSION_ID

logger = logging.getLogger(__name__)

ITEM_VECTORS = {"float32": "float32", "float16": "float16", "sq8": "float16"}
"""How item vectors may be kept: the precision of the tables. `sq8` is that of the index alone,
which proposes the items that are then scored by float16 vectors."""

_STORAGE = {"float16": "SQfp16", "sq8": "SQ8"}

VARIANTS = (
    ("bf16", "float32"), ("int8", "float32"), ("float32", "float16"), ("float32", "sq8"),
    ("int8", "sq8"),
)  # fmt: skip
"""What `compare` tries: (encoder, items) of `shrink`."""

_K, _CLICKS = 20, 1000


def shrink(recommender: GRU4Rec, *, encoder: str = "float32", items: str = "float32") -> GRU4Rec:
    """A copy with weights in fewer bits: `encoder` float32, bf16 or int8, `items` float32, float16
    or sq8.

    With fewer bits for items it has another index, which is not exact: over vectors of those, of
    the structure as before or, if that was flat, of IVF, found 99 % of the exact best 20 by the
    walks of `choose_index`. Raises ConfigError for unknown names, DataError if it cannot find them.
    """
    tables = choose("precision of item vectors", items, ITEM_VECTORS)
    weights = {name: weight.cpu() for name, weight in recommender.model.state_dict().items()}
    small = GRU4Rec(recommender.config, device=recommender.device.type)
    small.catalog, small.side_inputs = recommender.catalog, recommender.side_inputs
    small.meta = {**recommender.meta, PRECISION: {"encoder": encoder, "items": tables}}
    small.model = Model(small.config, len(small.catalog), small.side_inputs)
    small.model.load(unpacked(packed(weights, encoder=encoder, items=tables)))
    small.model.to(small.device)
    small.index = recommender.index.with_vectors(small.kept_vectors())
    if items in _STORAGE:
        kept, size = _STORAGE[items], len(small.catalog)
        structure = recommender.index.structure
        choose_index(small, kinds=[f"{structure}{kept}" if structure else ivf(size, kept)])
    return small


def compare(
    recommender: GRU4Rec,
    clicks: ClickSource,
    variants: Sequence[tuple[str, str]] = VARIANTS,
) -> pl.DataFrame:
    """A recommender beside smaller ones, by what the sessions of a log get through their indexes.

    A row each: encoder, items; mib of weights and index; p50_ms and p99_ms of a click with its best
    20, one after the other; recall@20 and mrr@20, and their changes. Raises DataError if there is
    nothing to measure on.
    """
    log = read_clicks(clicks, also=list(recommender.side_inputs.values)).collect()
    rows: list[dict[str, object]] = []
    first: dict[str, float] = {}
    now = recommender.meta.get(PRECISION, AS_TRAINED)
    for encoder, items in [(now["encoder"], now["items"]), *variants]:
        small = shrink(recommender, encoder=encoder, items=items) if rows else recommender
        found = evaluate({"r": small}, log, ks=[_K], through_index=True, intervals=False)
        figures = dict(zip(found["metric"], found["value"], strict=True))
        first = first or figures
        p50, p99 = np.percentile(_latencies(small, log), (50, 99))
        rows.append(
            {
                "encoder": encoder,
                "items": items,
                "mib": _num_bytes(small) / 2**20,
                "p50_ms": 1e3 * p50,
                "p99_ms": 1e3 * p99,
                "recall@20": figures["recall"],
                "mrr@20": figures["mrr"],
                "recall_change": figures["recall"] - first["recall"],
                "mrr_change": figures["mrr"] - first["mrr"],
            }
        )
        logger.info("encoder %s, items %s measured", encoder, items)
    return pl.DataFrame(rows)


def _num_bytes(recommender: GRU4Rec) -> int:
    """Size of the files of weights and index, about."""
    kept = recommender.meta.get(PRECISION, AS_TRAINED)
    weights = packed(recommender.model.state_dict(), **kept)
    return sum(weight.nbytes for weight in weights.values()) + recommender.index.num_bytes


def _latencies(recommender: GRU4Rec, log: pl.DataFrame) -> list[float]:
    """Seconds of clicks and the answers to them."""
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
