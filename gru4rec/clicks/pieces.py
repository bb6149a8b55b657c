"""Read and write in pieces what is larger than memory."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from gru4rec.clicks.order import is_first
from gru4rec.clicks.parquet import scan_parquet, write_parquet
from gru4rec.schema import SESSION_ID

SHARD_ROWS = 3_000_000
"""About how many clicks a piece has: what the work in memory is done on."""

_ROW = "__gru4rec_row_of_piece"


def session_runs(clicks: pl.LazyFrame, *, shard_rows: int) -> Iterator[tuple[int, pl.LazyFrame]]:
    """Yield `clicks` in pieces of about `shard_rows`, in their order: (its first row, the piece).

    Each piece has whole sessions. If the clicks of some session do not follow each other, all are
    one piece.
    """
    rows = clicks.select(pl.len()).collect(engine="streaming").item()
    starts = np.zeros(1, dtype=np.int64)
    if rows > shard_rows:
        first_clicks = clicks.with_row_index(_ROW).filter(is_first)
        heads = first_clicks.select(_ROW, pl.col(SESSION_ID).hash()).collect(engine="streaming")
        if heads[SESSION_ID].n_unique() == heads.height:
            starts = heads[_ROW].to_numpy().astype(np.int64)
    edges = starts[np.searchsorted(starts, np.arange(0, starts[-1] + 1, shard_rows))]
    for start, end in pairwise([*np.unique(edges).tolist(), rows]):
        yield start, clicks.slice(start, end - start)


def write_parquet_pieces(frames: Iterable[pl.DataFrame], path: Path, folder: Path) -> None:
    """Write many frames as one Parquet file; they pass through files in `folder`, which is made."""
    folder.mkdir()
    pieces = []
    for number, frame in enumerate(frames):
        pieces.append(folder / f"{number:05d}.parquet")
        write_parquet(frame, pieces[-1])
    if len(pieces) == 1:
        pieces[0].rename(path)
    else:
        write_parquet(scan_parquet(pieces), path)
