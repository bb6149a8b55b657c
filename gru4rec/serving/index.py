"""FAISS: build, search, save and load the index of item vectors."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import faiss
import numpy as np
import torch

from gru4rec.arraytypes import Float16Array, Float32Array, IntArray
from gru4rec.errors import ConfigError
from gru4rec.serving.chunks import rows_at_once
from gru4rec.serving.index_file import read_index
from gru4rec.serving.selection import top_k

logger = logging.getLogger(__name__)

AnyVectors: TypeAlias = Float32Array | Float16Array

_QUERIES_AT_ONCE = 256
MANY = 10  # queries from which on one matrix product takes less time than a flat index


class ItemIndex:
    """Search for the items whose vectors have the largest dot products with a query.

    The bias of an item is one more component of its vector, met by a 1 in the query. Scores are
    exact, also of an approximate index: it proposes twice the items that are asked for, which are
    then scored by their own vectors. Equal scores are ordered by item index, with an exact index at
    the k-th place too, which FAISS alone does not promise. Many queries at once an exact index
    answers by the scores of all items.
    """

    # Q queries, N items, k results, F items that FAISS proposes, D components
    def __init__(self, index: Any, vectors: AnyVectors | None = None) -> None:
        """Take an index of FAISS, and the vectors of all items [N, D], unless it is flat.

        The vectors may be float16, if that holds them exactly.
        """
        self._index = index
        self.is_exact = isinstance(index, faiss.IndexFlat)
        self._vectors = None if self.is_exact else vectors

    @classmethod
    def build(cls, item_vectors: Float32Array, factory: str = "Flat") -> "ItemIndex":
        """Build an index over the vectors of all items [N, D], of a FAISS factory string.

        Raise ConfigError if FAISS knows no such index, or cannot build it of these items.
        """
        vectors = np.ascontiguousarray(item_vectors)
        try:
            index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
            if isinstance(index, faiss.IndexIVFPQ | faiss.IndexPQ):
                index.pq.cp.min_points_per_centroid = 1  # else it prints a line for each part
            index.train(vectors)
            index.add(vectors)
        except RuntimeError as error:
            raise ConfigError(
                f"FAISS cannot build an index {factory!r} of {len(vectors)} items: "
                f"{str(error).rsplit(': ', 1)[-1]}"
            ) from error
        return cls(index, vectors)

    def with_vectors(self, item_vectors: AnyVectors) -> "ItemIndex":
        """Return the index with the vectors [N, D] to score what it proposes."""
        return ItemIndex(self._index, item_vectors)

    def rebuilt(self, item_vectors: Float32Array) -> "ItemIndex":
        """Return an index of the same kind and effort over other vectors, more or fewer [N, D].

        Where they are too few for the kind, it is an exact one, and that is logged.
        """
        if self.is_exact:
            return self.build(item_vectors)
        vectors, index = np.ascontiguousarray(item_vectors), faiss.clone_index(self._index)
        index.reset()
        if isinstance(index, faiss.IndexIVF):
            index.quantizer.reset()  # the lists are those of the older vectors
            index.is_trained = False
        try:
            index.train(vectors)
        except RuntimeError:
            logger.warning(
                "%d items are too few for the kind of the index: it is exact", len(vectors)
            )
            return self.build(vectors)
        index.add(vectors)
        return ItemIndex(index, vectors)

    def extended(self, item_vectors: Float32Array) -> "ItemIndex":
        """Return an index that has more vectors, behind those that it has, which stay [N, D]."""
        index = faiss.clone_index(self._index)
        index.add(np.ascontiguousarray(item_vectors[len(self) :]))
        return ItemIndex(index, item_vectors)

    def of_items(self, items: IntArray) -> "ItemIndex":
        """Return an exact index of some of the items; its items are places in these."""
        return self.build(self.vectors[items].astype(np.float32))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def width(self) -> int:
        """Components of a vector."""
        return int(self._index.d)

    @property
    def vectors(self) -> AnyVectors:
        """The vectors of all items [N, D], for reading only."""
        if self._vectors is not None:
            return self._vectors
        if not self.is_exact:
            raise TypeError("an approximate index needs the item vectors; see with_vectors")
        stored = faiss.rev_swig_ptr(self._index.get_xb(), len(self) * self.width)
        vectors: Float32Array = stored.reshape(len(self), self.width)
        return vectors

    @property
    def num_bytes(self) -> int:
        """Size of the index file."""
        return len(faiss.serialize_index(self._index))

    @property
    def num_lists(self) -> int:
        """Lists that the items are divided into; 0 for an index without."""
        return int(self._index.nlist) if isinstance(self._index, faiss.IndexIVF) else 0

    @property
    def structure(self) -> str:
        """What its factory string has before how vectors are kept."""
        if isinstance(self._index, faiss.IndexHNSW):
            graph: Any = self._index.hnsw
            return f"HNSW{graph.nb_neighbors(1)}_"
        return f"IVF{self.num_lists}," if self.num_lists else ""

    @property
    def most_effort(self) -> int:
        """Largest effort of a search that makes a difference; 1 where there is none to set."""
        if self.num_lists:
            return self.num_lists
        return 1024 if isinstance(self._index, faiss.IndexHNSW) else 1

    def set_effort(self, effort: int) -> None:
        """Set how thoroughly to search; it is saved with the index.

        The lists that are looked through (IVF), or the length of the queue of candidates (HNSW).
        """
        if isinstance(self._index, faiss.IndexIVF):
            self._index.nprobe = effort
        elif isinstance(self._index, faiss.IndexHNSW):
            self._index.hnsw.efSearch = effort

    def search(self, queries: Float32Array, k: int) -> tuple[Float32Array, IntArray]:
        """Return scores and items [Q, k'] of the best k' = min(k, N) items, best first."""
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        wanted = min(k, len(self))
        if len(queries) == 1:
            return ordered(*self.candidates(queries, wanted), wanted)
        if not self.is_exact:
            return self._search_approximately(queries, wanted)
        if len(queries) >= MANY:
            return self.scan(queries, wanted)
        scores, items = self._find(queries, min(wanted + 1, len(self)))
        tied = np.flatnonzero(scores[:, wanted - 1] == scores[:, -1]) if wanted < len(self) else ()
        scores, items = ordered(scores, items, wanted)
        if len(tied):  # which of the equal ones FAISS returned is chance: look at all
            scores[tied], items[tied] = self.scan(queries[tied], wanted)
        return scores, items

    def candidates(self, query: Float32Array, wanted: int) -> tuple[Float32Array, IntArray]:
        """Return scores and items [1, F] among which are the best `wanted`, in no order.

        `query` [1, D] is one only: a live answer waits, and orders what it finds once.
        """
        if self.is_exact:
            scores, items = self._find(query, min(wanted + 1, len(self)))
            tied = wanted < len(self) and scores[0, wanted - 1] == scores[0, -1]
            return self.scan(query, wanted) if tied else (scores, items)
        _, items = self._find(query, min(2 * wanted + 10, len(self)))
        if items[0, wanted - 1] < 0:  # FAISS pads with −1 where it found fewer
            return self.scan(query, wanted)
        return self._scores_of(items, query), items

    def scan(
        self,
        queries: Float32Array,
        k: int,
        mask: Callable[[torch.Tensor, slice], None] | None = None,
    ) -> tuple[Float32Array, IntArray]:
        """Search as `search` does, by the scores of all items, whatever the index.

        `mask` may change them before the best are taken: scores [q, N] of a slice of the queries.
        """
        wanted, size = min(k, len(self)), rows_at_once(len(self))
        scores, items = _empty(len(queries), wanted)
        of_items = torch.from_numpy(self.vectors).float().t()
        asked = torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32))
        buffer = torch.empty(min(size, len(queries)), len(self))
        for start in range(0, len(queries), size):
            rows = slice(start, min(start + size, len(queries)))
            every = torch.mm(asked[rows], of_items, out=buffer[: rows.stop - start])
            if mask is not None:
                mask(every, rows)
            best = top_k(every, wanted)
            scores[rows], items[rows] = every.gather(1, best).numpy(), best.numpy()
        return scores, items

    def _find(self, queries: Float32Array, k: int) -> tuple[Float32Array, IntArray]:
        """Return what FAISS finds."""
        threads = faiss.omp_get_max_threads()
        try:
            if len(queries) == 1:  # FAISS takes half the time if it does not share this out
                faiss.omp_set_num_threads(1)
            found: tuple[Float32Array, IntArray] = self._index.search(queries, k)
        finally:
            faiss.omp_set_num_threads(threads)
        return found

    def _search_approximately(
        self, queries: Float32Array, wanted: int
    ) -> tuple[Float32Array, IntArray]:
        scores, items = _empty(len(queries), wanted)
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            rows = slice(start, start + _QUERIES_AT_ONCE)
            _, proposed = self._find(queries[rows], min(2 * wanted + 10, len(self)))
            exact = self._scores_of(proposed, queries[rows])
            scores[rows], items[rows] = ordered(exact, proposed, wanted)
        short = np.flatnonzero(np.isinf(scores[:, -1]))
        if len(short):
            scores[short], items[short] = self.scan(queries[short], wanted)
        return scores, items

    def _scores_of(self, items: IntArray, queries: Float32Array) -> Float32Array:
        """Return the scores of items proposed to each query [Q, F], −∞ for an item −1."""
        vectors = self.vectors.take(items, axis=0).astype(np.float32, copy=False)
        # A dot product each: those of equal vectors are equal, as in a matrix product they are not.
        scores: Float32Array = np.vecdot(vectors, queries[:, None])
        scores[items < 0] = -np.inf
        return scores

    def save(self, path: Path) -> None:
        """Write the index file, as FAISS writes it."""
        faiss.write_index(self._index, str(path))

    @classmethod
    def load(cls, path: Path) -> "ItemIndex":
        """Read an index file. Raise CheckpointError as `read_index` does."""
        return cls(read_index(path))


def _empty(queries: int, k: int) -> tuple[Float32Array, IntArray]:
    return np.empty((queries, k), dtype=np.float32), np.empty((queries, k), dtype=np.int64)


def ordered(scores: Float32Array, items: IntArray, wanted: int) -> tuple[Float32Array, IntArray]:
    """Return the best of each row [Q, wanted], equal scores by item index."""
    if len(scores) == 1:  # in half the time: only those are sorted that may be among the best
        (of_query,), (found,) = scores, items
        best = (of_query >= np.partition(of_query, -wanted)[-wanted]).nonzero()[0]
        order = best[np.lexsort((found[best], -of_query[best]))[:wanted]]
        return scores.take(order, axis=1), items.take(order, axis=1)
    order = np.lexsort((items, -scores), axis=1)[:, :wanted]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(items, order, 1)
