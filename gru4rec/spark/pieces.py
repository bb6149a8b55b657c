"""Do work of Polars on Spark: on pieces of a frame, in which sessions or users are whole."""

import io
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from gru4rec.spark.carried import Carried

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

PIECE_ROWS = 500_000
"""About how many rows a worker has in memory at once; of a longer session or user, all."""

Work = Callable[[pl.DataFrame], pl.DataFrame | Iterable[pl.DataFrame]]
"""What is done to a piece, to get a table or several, one after the other. Spark pickles it: a
function of a module, with plain arguments."""


def mapped(
    frame: "DataFrame",
    work: Work,
    schema: pl.Schema,
    *,
    whole: str | None = None,
    piece_rows: int = PIECE_ROWS,
) -> "DataFrame":
    """Return what `work` makes of the pieces of a frame, which is of that schema.

    A piece has about `piece_rows`. Rows that are equal in the column `whole` and follow each other
    are in one. A piece and what is made of it keep their order, inside a partition.
    """
    carried = Carried(schema)
    return frame.mapInArrow(partial(_work_on, work, carried, whole, piece_rows), carried.ddl)


def local(frame: "DataFrame") -> pl.DataFrame:
    """Collect a frame of Spark, in the order of its partitions."""
    return pl.DataFrame(frame.toArrow())


def schema_of(frame: "DataFrame") -> pl.Schema:
    """Return the types that the columns of a frame of Spark have in Polars."""
    return local(frame.limit(0)).schema


def as_bytes(table: pl.DataFrame) -> bytes:
    """Return a table as bytes, which travel with the work."""
    buffer = io.BytesIO()
    table.write_ipc(buffer, compression="lz4")
    return buffer.getvalue()


def of_bytes(table: bytes) -> pl.DataFrame:
    """Return the table that `as_bytes` made bytes of."""
    return pl.read_ipc(io.BytesIO(table))


def _work_on(
    work: Work,
    carried: Carried,
    whole: str | None,
    piece_rows: int,
    batches: Iterable["pa.RecordBatch"],
) -> Iterator["pa.RecordBatch"]:
    """Run in a worker: cut the batches of a partition into pieces, and work on each."""
    _be_one_of_many()
    for piece in _pieces(batches, whole, piece_rows):
        made = work(piece)
        for table in [made] if isinstance(made, pl.DataFrame) else made:
            yield from carried.to_arrow(table).to_batches()


def _be_one_of_many() -> None:
    """Use the threads that Spark gives a worker, and leave it to the driver to log.

    Polars starts its threads when it first runs, which is later.
    """
    os.environ.setdefault("POLARS_MAX_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    logging.getLogger("gru4rec").addHandler(logging.NullHandler())


def _pieces(
    batches: Iterable["pa.RecordBatch"], whole: str | None, piece_rows: int
) -> Iterator[pl.DataFrame]:
    waiting: list[pl.DataFrame] = []
    rows, wanted = 0, piece_rows
    for batch in batches:
        waiting.append(_table(batch))
        rows += batch.num_rows
        if rows < wanted:
            continue
        piece = pl.concat(waiting)
        end = piece.height if whole is None else _last_start(piece[whole])
        if not end:
            wanted *= 2  # a session that is longer than a piece
            waiting = [piece]
            continue
        yield piece[:end]
        waiting, rows, wanted = [piece[end:]], piece.height - end, piece_rows
    if rows:
        yield pl.concat(waiting)


def _table(batch: Any) -> pl.DataFrame:
    table: pl.DataFrame = pl.DataFrame(pl.from_arrow(batch))
    return table


def _last_start(values: pl.Series) -> int:
    """Return where the last run of equal values begins."""
    runs = values.rle_id()
    return int(runs.search_sorted(runs[-1], side="left"))
