"""Cut clicks into shards of whole sessions, and put them together again in another order.

So a log larger than memory is worked on piece by piece; one shard is enough for a small log, and
then nothing is written.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from gru4rec.arraytypes import IntArray
from gru4rec.clicks import scan_parquet, write_parquet

_RANK, _SHARD = "__gru4rec_rank", "__gru4rec_shard"

_COMPRESSION: Final = "lz4"  # of files that are read once or twice and deleted


def cut(
    clicks: pl.LazyFrame, rows: int, *, by: str, folder: Path, shard_rows: int
) -> list[pl.LazyFrame]:
    """Cut `clicks`, `rows` in number, into shards of about `shard_rows`, files in `folder`.

    Equal values of `by` come into one shard. The rows of a shard keep their order. A log of one
    shard is returned as it is.
    """
    count = -(-rows // shard_rows)
    if count == 1:
        return [clicks]
    key = (pl.col(by).hash() % count).alias(_SHARD)
    target = pl.PartitionBy(folder.absolute(), key=key, include_key=False)
    clicks.sink_parquet(target, mkdir=True, compression=_COMPRESSION, engine="streaming")
    return [scan_parquet(sorted(shard.iterdir())) for shard in sorted(folder.iterdir())]


def store(
    shards: Sequence[pl.LazyFrame],
    work: Callable[[pl.LazyFrame], pl.DataFrame],
    folder: Path,
) -> list[pl.LazyFrame]:
    """Return what `work` makes of each shard: in files in `folder`, of one shard in memory."""
    if len(shards) == 1:
        return [work(shards[0]).lazy()]
    folder.mkdir()
    stored = []
    for number, shard in enumerate(shards):
        path = folder / f"{number:05d}.parquet"
        write_parquet(work(shard), path, compression=_COMPRESSION, statistics=False)
        stored.append(scan_parquet(path))
    return stored


def merge(
    shards: Sequence[pl.LazyFrame],
    ranks: Sequence[IntArray],
    lengths: Sequence[IntArray],
    *,
    shard_rows: int,
) -> Iterator[pl.DataFrame]:
    """Yield the sessions of all shards by their rank, in pieces of about `shard_rows` rows.

    `ranks` and `lengths` hold an array for each shard: the rank and the rows of each of its
    sessions. Sessions stand in their shard in the order of their ranks. One of rank −1 is left out.
    """
    sizes = [int(length[rank >= 0].sum()) for rank, length in zip(ranks, lengths, strict=True)]
    highest = max((int(rank.max()) for rank in ranks if len(rank)), default=-1) + 1
    pieces = max(1, -(-sum(sizes) // shard_rows))
    edges = np.linspace(0, highest, pieces + 1).astype(np.int64)
    offsets = [np.concatenate(([0], np.cumsum(length))) for length in lengths]
    for low, high in pairwise(edges):
        frames = []
        for shard, rank, length, offset in zip(shards, ranks, lengths, offsets, strict=True):
            sessions = np.flatnonzero((rank >= low) & (rank < high))
            if not len(sessions):
                continue
            first, end = sessions[0], sessions[-1] + 1
            rows = shard.slice(offset[first], offset[end] - offset[first]).collect()
            row_ranks = pl.Series(_RANK, np.repeat(rank[first:end], length[first:end]))
            frames.append(rows.with_columns(row_ranks).filter(row_ranks >= 0))
        if frames:
            yield pl.concat(frames).sort(_RANK, maintain_order=True).drop(_RANK)
