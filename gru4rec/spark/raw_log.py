"""Number the rows of a raw log on Spark: of a frame of its own, or of files that workers read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from gru4rec.clicks import ROW, Scan, scan_files
from gru4rec.errors import DataError
from gru4rec.spark.carried import Carried
from gru4rec.spark.pieces import PIECE_ROWS, mapped, schema_of
from gru4rec.untrusted import brief

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KEY = "__gru4rec_key"
"""The column of what tells whose a row is: equal where ids are equal."""

_SLICE = 1_000_000  # rows of a Parquet file that a task reads
_PARTITION_BYTES = 16 * 2**20  # of files whose rows are a partition
_PARTITION = 33  # bits of a row's number within its partition, as Spark's own numbers have it


@dataclass(frozen=True)
class RawLog:
    """The raw rows of a log on Spark."""

    frame: "DataFrame"
    """The rows with their number, `ROW`, in the order of the log."""
    empty: pl.DataFrame
    """None of these rows, with the types of Polars."""
    place: Callable[[int], str]
    """Says where the row of a number stands."""
    untyped: frozenset[str] = frozenset()
    """Columns that hold text only because their files know no types."""
    files: Sequence[str] = ()
    """The files that it is read from."""

    def only(self, columns: Sequence[str]) -> "RawLog":
        """Select columns, each once, and the number of a row."""
        names = [*dict.fromkeys(columns), ROW]
        return replace(self, frame=only(self.frame, names), empty=self.empty.select(names))

    def partitions(self) -> int:
        """Return how many partitions have pieces of a good size."""
        if not self.files or any("://" in file for file in self.files):
            return -(-int(self.frame.count()) // PIECE_ROWS) or 1
        return -(-sum(Path(file).stat().st_size for file in self.files) // _PARTITION_BYTES) or 1

    def of_owners(self, column: str, partitions: int | None) -> "DataFrame":
        """Return the rows owner after owner, in each partition by their number.

        `column` holds the owner, a session or a user; `KEY` is equal where owners are. Without
        `partitions` Spark says how many there are.
        """
        from pyspark.sql import functions as F

        key = F.col(f"`{column}`")
        if column in self.untyped:  # 7 and 7.0 become one id
            key = F.regexp_replace(key, r"\.0*$", "")
        keyed = self.frame.withColumn(KEY, key)
        count = [] if partitions is None else [partitions]
        return keyed.repartition(*count, KEY).sortWithinPartitions(KEY, ROW)


def log_of_frame(frame: "DataFrame", *, explode: str | None = None) -> RawLog:
    """Number the rows of a frame of Spark, in the order in which it has them.

    Raise DataError if `explode` names no column that lists structs, or for what is no frame.
    """
    if not hasattr(frame, "withColumn"):
        raise DataError(
            f"{brief(repr(frame))} is no frame of Spark; give one, such as spark.read.parquet(PATH)"
        )
    from pyspark.sql import functions as F

    empty = pl.DataFrame(schema=schema_of(frame))
    if explode is not None:
        empty = _exploded(explode, empty)
        frame = mapped(frame, partial(_exploded, explode), empty.schema)
    numbered = frame.withColumn(ROW, F.monotonically_increasing_id())
    return RawLog(numbered, _numbered(empty), _place_in_partition)


def log_of_files(
    spark: "SparkSession",
    paths: Sequence[str | Path],
    *,
    header: Sequence[str] | None = None,
    explode: str | None = None,
) -> RawLog:
    """Let workers read files of the formats of `read_clicks`, at paths that all of them see.

    Raise DataError for what cannot be read.
    """
    scan = scan_files(paths, header)
    slices = [one for path in scan.paths for one in _slices(path, whole=explode is not None)]
    exploded = scan if explode is None else scan.exploded(explode)
    carried = Carried(exploded.rows.collect_schema())
    empty = _numbered(pl.DataFrame(schema=carried.schema))
    read = partial(_read, tuple(slices), header, explode, tuple(carried.schema.items()))
    # One number in each partition, in their order.
    numbers = spark.range(0, len(slices), 1, len(slices))
    frame = mapped(numbers, read, empty.schema, piece_rows=1)
    place = partial(_place_in_files, slices, len(scan.paths))
    return RawLog(frame, empty, place, scan.untyped, [str(path) for path in scan.paths])


Slice = tuple[str, int, int | None]
"""A path, the first of its rows, and how many; None for all."""


def _slices(path: object, *, whole: bool) -> list[Slice]:
    """Cut a Parquet file, which knows its number of rows, into what a task reads.

    It is a path of this machine, or an address of an object store.
    """
    name = str(path.absolute() if isinstance(path, Path) else path)
    if whole or not name.lower().endswith(".parquet"):
        return [(name, 0, None)]
    rows = scan_files([name]).rows.select(pl.len()).collect().item()
    return [(name, start, _SLICE) for start in range(0, max(rows, 1), _SLICE)]


def _read(
    slices: Sequence[Slice],
    header: Sequence[str] | None,
    explode: str | None,
    schema: Sequence[tuple[str, Any]],
    numbers: pl.DataFrame,
) -> Iterator[pl.DataFrame]:
    """Read, in a worker, the slice of the one number that is given."""
    number = numbers.to_series().item()
    path, first, count = slices[number]
    scan = scan_files([path], header)
    scan = scan if explode is None else scan.exploded(explode)
    rows = scan.rows.slice(first, count)
    there = rows.collect_schema()
    columns = [
        (pl.col(name) if name in there else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema
    ]
    numbered = rows.select(columns).with_row_index(ROW)
    row = (pl.col(ROW).cast(pl.Int64) + (number << _PARTITION)).alias(ROW)
    yield from numbered.select(pl.exclude(ROW), row).collect_batches(chunk_size=PIECE_ROWS)


def _exploded(column: str, rows: pl.DataFrame) -> pl.DataFrame:
    return Scan([], [rows.lazy()]).exploded(column).rows.collect()


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.lit(None, pl.Int64).alias(ROW))


def _place_in_partition(row: int) -> str:
    partition, number = divmod(row, 1 << _PARTITION)
    return f"row {number + 1} of partition {partition}"


def _place_in_files(slices: Sequence[Slice], files: int, row: int) -> str:
    number, offset = divmod(row, 1 << _PARTITION)
    path, first, _ = slices[number]
    return f"row {first + offset + 1}" + (f" of {Path(path).name}" if files > 1 else "")


def only(frame: "DataFrame", columns: Sequence[str]) -> "DataFrame":
    """Select columns of a frame by their names, each once."""
    from pyspark.sql import functions as F

    return frame.select(*(F.col(f"`{name}`") for name in dict.fromkeys(columns)))
