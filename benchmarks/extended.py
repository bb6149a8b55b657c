"""A trained recommender with a larger catalog, to measure serving where no log is large enough.

Every new item lies near a trained one: at a random part, up to half, of the way to one of its ten
nearest items, plus noise in all directions as long as the way to the nearest item, times `NOISE`.
With that factor the cosine between an item and its nearest one grows with the catalog about as it
does among trained items: of diginetica's it is .70 in the median for half the catalog and .73 for
all 43 thousand, .03 more a doubling, and .86 for the million made of them. Session vectors are
those of real sessions: the encoder is left as it was.
"""

import faiss
import numpy as np
import polars as pl
import torch

import gru4rec as g4r
from gru4rec.model.network import Model
from gru4rec.serving.index import ItemIndex
from gru4rec.sessions.catalog import Catalog

NOISE = 0.7
_NEAR = 11  # the nearest items, itself among them


def extended(trained: g4r.GRU4Rec, num_items: int) -> g4r.GRU4Rec:
    """A copy of `trained` with so many items, the trained ones first, and a flat index."""
    old = trained.model.output_table.detach()
    if num_items <= len(old):
        return trained
    lengths = torch.linalg.vector_norm(old, dim=1, keepdim=True)
    rows = torch.from_numpy(_more((old / lengths).numpy(), num_items - len(old)))
    rows *= lengths[torch.randint(len(old), (len(rows),))]

    bigger = g4r.GRU4Rec(trained.config, device="cpu")
    ids = trained.catalog.item_ids
    fresh = pl.Series(range(num_items - len(old))).cast(ids.dtype)
    fresh = fresh + (ids.max() + 1) if ids.dtype.is_integer() else "extended-" + fresh
    support = np.concatenate((trained.catalog.support, np.ones(len(fresh), dtype=np.int64)))
    bigger.catalog = Catalog(pl.concat([ids, fresh.cast(ids.dtype)]), support)
    bigger.side_inputs, bigger.meta = trained.side_inputs, trained.meta
    bigger.repeats = trained.repeats
    bigger.model = Model(trained.config, num_items, trained.side_inputs)
    weights = dict(trained.model.state_dict())
    for name in [name for name, weight in weights.items() if len(weight) == len(old)]:
        weights[name] = torch.cat((weights[name], rows))
    bigger.model.load_state_dict(weights)
    bigger.index = ItemIndex.build(bigger.item_vectors())
    return bigger


def nearest_cosine(vectors: np.ndarray, sample: int = 2000) -> float:
    """The median cosine between an item and its nearest one, of vectors of length 1."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return float(
        np.median(
            index.search(np.ascontiguousarray(vectors[:: len(vectors) // sample]), 2)[0][:, 1]
        )
    )


def _more(unit: np.ndarray, count: int) -> np.ndarray:
    """Vectors of length 1 like those given."""
    random = np.random.default_rng(0)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    cosines, near = index.search(unit, _NEAR)
    parent = random.integers(0, len(unit), count)
    other = near[parent, random.integers(1, _NEAR, count)]
    way = np.sqrt(np.maximum(2 - 2 * cosines[parent, 1:2], 0))
    noise = random.standard_normal((count, unit.shape[1]), dtype=np.float32)
    noise *= NOISE * way / np.linalg.norm(noise, axis=1, keepdims=True)
    part = random.random((count, 1), dtype=np.float32) / 2
    rows = unit[parent] + part * (unit[other] - unit[parent]) + noise
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
