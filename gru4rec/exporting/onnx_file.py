"""Write a GRU4Rec as an ONNX file, once onnxruntime has computed by it what torch does."""

import hashlib
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

from gru4rec.atomic import check_writable, place_of, write_beside
from gru4rec.clicks import at_least_one
from gru4rec.errors import DataError, import_extra
from gru4rec.exporting.agreement import check_one_step, check_top_k
from gru4rec.exporting.onnx_graphs import Exported
from gru4rec.recommenders import Recommender
from gru4rec.sessions import Catalog

logger = logging.getLogger(__name__)

MOST_SCORED = 100_000
"""Items of a catalog of which a graph scores all: as many as take some milliseconds."""

_EXACT = 2**53  # integers below are the same ones in a language whose numbers are all floats


def export_onnx(
    recommender: Recommender, path: str | Path, *, k: int | None = None, force: bool = False
) -> None:
    """Write a trained GRU4Rec as `path`, FILE.onnx, and the ids of its items as FILE.items.json.

    The graph takes one click of B running sessions: `item` int64 [B] and the encoder's state
    (`hidden_0` … float32 [B, H], zeros at first) in; `next_hidden_0` … and `query` [B, D] out. Dot
    products of queries with `item_vectors()` are the scores, but for the repeat head.

    With `k` it takes a whole session and scores every item: `items` int64 [1, T], T ≥ 1, in;
    `scores` float32 [1, k] and `top` int64 [1, k], item indexes, out, best first, own items scored
    by the repeat head as `recommend` does. A catalog has 100,000 items at most then; one of less
    than k items gives all of them.

    What onnxruntime computes of random sessions agrees with torch to 1e-5, relative to the largest
    number where that is above 1, before the file takes its place. Items of float16 stay so in the
    file; encoder weights are float32.

    Needs the extra `[onnx]`. Raise MissingExtraError without it, DataError for other recommenders,
    encoders that read whole sessions, models with side inputs, too large ones, k < 1, and a place
    that takes no file or has one, unless `force`.
    """
    import_extra("onnx", extra="onnx"), import_extra("onnxruntime", extra="onnx")
    path = Path(path)
    names = names_file(path)
    for file in (path, names):
        check_writable(file)
        if not force and place_of(file, DataError).exists():
            raise DataError(
                f"{file} exists; choose another file, or replace it with force",
                mend_with=["force"],
            )
    exported = Exported.of(recommender)
    if k is None and exported.recommender.repeats is not None:
        logger.info(
            "the repeat head is no part of this graph: a session's own items score as the model "
            "alone has it; a graph with k scores them anew"
        )
    if k is None:
        written, check = exported.one_step(), check_one_step
    else:
        k = min(at_least_one(k, "k"), _scored(recommender.catalog))
        written, check = exported.top_k(k), partial(check_top_k, k=k)

    def write(file: Path) -> None:
        file.write_bytes(written)
        check(exported, file)

    said = _said(exported, recommender.catalog, path.name, written)
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":")) + "\n"
    write_beside(path, write)
    write_beside(names, lambda file: file.write_text(text, encoding="utf-8"))


def names_file(path: Path) -> Path:
    """Return where the ids of the items of an ONNX file lie. Raise DataError for another suffix."""
    if path.suffix.lower() != ".onnx":
        raise DataError(f"a graph is written as ONNX; name a file that ends in .onnx, not {path}")
    return path.with_suffix(".items.json")


def _scored(catalog: Catalog) -> int:
    """Return how many items a catalog has. Raise DataError for more than a graph scores."""
    if len(catalog) > MOST_SCORED:
        raise DataError(
            f"a graph that scores every item is for {MOST_SCORED:,} items at most, and these are "
            f"{len(catalog):,}; leave k out, and search an index of the item vectors by its "
            "queries",
            mend_with=["k"],
        )
    return len(catalog)


def _said(exported: Exported, catalog: Catalog, model: str, written: bytes) -> dict[str, Any]:
    """Return what another program reads besides the graph."""
    ids = catalog.item_ids.to_list()
    if any(isinstance(item, int) and abs(item) >= _EXACT for item in ids):
        ids = [str(item) for item in ids]
    parts = {
        part.name: {"next": part.after, "shape": part.shape, "initial": part.initial}
        for part in exported.state
    }
    return {
        "model": model,
        "sha256": hashlib.sha256(written).hexdigest(),
        "state": parts,
        "items": ids,
        "support": catalog.support.tolist(),
    }
