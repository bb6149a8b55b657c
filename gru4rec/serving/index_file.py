"""Read the file of a FAISS index, and refuse one that cannot be an index of our items."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from gru4rec.errors import CheckpointError
from gru4rec.untrusted import brief

_HEADER = struct.Struct("<4siq")  # of every index: its kind, components, items
# What FAISS makes of a file may be larger than it: tables of IVFPQ, by 256 at most, and it makes
# none of more than 2 GiB.
_GROWTH, _LARGEST = 256, 1 << 31
_MOST_EFFORT = 1 << 20


def read_index(path: Path) -> Any:
    """Return the index in a file.

    Raise CheckpointError if FAISS cannot read it, if it asks for more memory than a file of its
    size can fill, and if it is no trained index of items 0, 1, … N − 1 by dot products.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            _, width, items = _HEADER.unpack(file.read(_HEADER.size))
        if not (0 < width <= size and 0 < items <= size):
            raise ValueError(f"{items} items of {width} components in {size} bytes")
        with _limited_to(size):
            index = faiss.read_index(str(path), faiss.IO_FLAG_PQ_SKIP_SDC_TABLE)
        _check(index)
    except (OSError, ValueError, RuntimeError, MemoryError, struct.error) as error:
        raise CheckpointError(
            f"cannot read the index {path}: {brief(str(error).rsplit(': ', 1)[-1])}; train again"
        ) from error
    return index


@contextmanager
def _limited_to(size: int) -> Iterator[None]:
    """Let FAISS read no more than a file of that size holds, where it can be told (1.15)."""
    limits = {
        "deserialization_vector_byte_limit": max(size, min(_GROWTH * size, _LARGEST)),
        "deserialization_loop_limit": size,
    }
    limits = {name: limit for name, limit in limits.items() if hasattr(faiss, f"set_{name}")}
    before = {name: getattr(faiss, f"get_{name}")() for name in limits}
    try:
        for name, limit in limits.items():
            getattr(faiss, f"set_{name}")(limit)
        yield
    finally:
        for name, limit in before.items():
            getattr(faiss, f"set_{name}")(limit)


def _check(index: Any) -> None:
    """Raise ValueError for an index that is not of our items, or that a search would fall over."""
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise ValueError("it is not by dot products")
    while isinstance(index, faiss.IndexPreTransform | faiss.IndexRefine):
        inner = index.index if isinstance(index, faiss.IndexPreTransform) else index.base_index
        if inner.ntotal != index.ntotal:
            raise ValueError("its parts are of different items")
        index = faiss.downcast_index(inner)
    if not index.is_trained or isinstance(index, faiss.IndexIDMap | faiss.IndexIDMap2):
        raise ValueError("it is untrained, or of ids of its own")
    if isinstance(index, faiss.IndexFlat):
        stored = faiss.rev_swig_ptr(index.get_xb(), index.ntotal * index.d)
        if not np.isfinite([stored.min(), stored.max()]).all():
            raise ValueError("it has vectors that are no numbers")
    elif isinstance(index, faiss.IndexIVF):
        _check_lists(index)
    elif isinstance(index, faiss.IndexHNSW):
        graph: Any = index.hnsw
        links = faiss.vector_to_array(graph.neighbors)
        if max(links.max(initial=-1), graph.entry_point) >= index.ntotal:
            raise ValueError("its graph has items that it does not hold")
        if not 0 < graph.efSearch <= _MOST_EFFORT:
            raise ValueError(f"it searches with a queue of {graph.efSearch}")


def _check_lists(index: Any) -> None:
    """Raise ValueError unless the lists of an IVF index hold each item once, in the file itself."""
    lists = faiss.downcast_InvertedLists(index.invlists)
    on_disk = type(lists).__name__ == "OnDiskInvertedLists"  # a class that Windows lacks
    if on_disk or lists.nlist != index.nlist:
        raise ValueError("its lists lie in another file, or are of another number")
    if index.nprobe < 1:
        raise ValueError("it looks through no list")
    sizes = [lists.list_size(number) for number in range(lists.nlist)]
    if sum(sizes) != index.ntotal:
        raise ValueError("its lists do not hold its items")
    ids = [
        faiss.rev_swig_ptr(lists.get_ids(number), size).copy()
        for number, size in enumerate(sizes)
        if size
    ]
    if not np.array_equal(np.sort(np.concatenate(ids)), np.arange(index.ntotal)):
        raise ValueError("its items are not numbered 0, 1, …")
