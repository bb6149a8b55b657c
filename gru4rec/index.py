"""FAISS: build, search, save and load the index of item vectors."""

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from gru4rec.errors import CheckpointError

Vectors = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]


class ItemIndex:
    """Exact search for the items whose vectors have the largest dot products with a query.

    The bias of an item is one more component of its vector, met by a 1 in the query. Equal scores
    are ordered by item index, at the k-th place too, which FAISS alone does not promise.
    """

    # Q queries, N items, k results
    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def build(cls, item_vectors: Vectors) -> "ItemIndex":
        """A flat index over the vectors of all items [N, D]."""
        index = faiss.IndexFlatIP(item_vectors.shape[1])
        index.add(np.ascontiguousarray(item_vectors))
        return cls(index)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def width(self) -> int:
        """Components of a vector."""
        return int(self._index.d)

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, Places]:
        """Scores [Q, k'] and item indexes [Q, k'] of the best k' = min(k, N) items, best first."""
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        wanted = min(k, len(self))
        scores, items = self._index.search(queries, min(wanted + 1, len(self)))
        order = np.lexsort((items, -scores), axis=1)[:, :wanted]
        tied = np.flatnonzero(scores[:, wanted - 1] == scores[:, -1]) if wanted < len(self) else ()
        scores, items = np.take_along_axis(scores, order, 1), np.take_along_axis(items, order, 1)
        if len(tied):  # which of the equal ones FAISS returned is chance: look at all
            vectors = self._index.reconstruct_n(0, len(self))
            for query in tied:
                every = (vectors * queries[query]).sum(axis=1)
                items[query] = np.argsort(-every, kind="stable")[:wanted]
                scores[query] = every[items[query]]
        return scores, items

    def save(self, path: Path) -> None:
        """Write the index file, as FAISS writes it."""
        faiss.write_index(self._index, str(path))

    @classmethod
    def load(cls, path: Path) -> "ItemIndex":
        """Raises CheckpointError if FAISS cannot read the file."""
        try:
            return cls(faiss.read_index(str(path)))
        except RuntimeError as error:
            raise CheckpointError(f"cannot read the index {path}; train again") from error
