"""Scan several files as one table, and know which row stands where."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from gru4rec.clicks.formats import (
    DAMAGE,
    EmptyFileError,
    Panic,
    Place,
    knows_types,
    scan_file,
)
from gru4rec.clicks.paths import find_files, hive_keys
from gru4rec.clicks.stores import Address
from gru4rec.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scan:
    """The rows of several files, one file after the other."""

    paths: Sequence[Place]
    """The files; empty for a table that came from memory."""
    frames: Sequence[pl.LazyFrame]
    """The rows of each file."""
    untyped: frozenset[str] = frozenset()
    """Columns that hold text only because their files know no types."""

    @property
    def rows(self) -> pl.LazyFrame:
        """The rows of all files."""
        if len(self.frames) == 1:
            return self.frames[0]
        return pl.concat(self.frames, how="diagonal_relaxed")

    @property
    def addresses(self) -> list[str]:
        """Those of the files that lie on object stores."""
        return [path.text for path in self.paths if isinstance(path, Address)]

    def exploded(self, column: str) -> "Scan":
        """Make a row of each struct that `column` lists, with the fields as columns.

        Raise DataError if the column is missing or holds something else.
        """
        for frame in self.frames:
            dtype = frame.collect_schema().get(column)
            if not (isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct)):
                raise DataError(
                    f"{column!r} is {dtype or 'no column'}; explode names one that lists structs",
                    mend_with=["explode"],
                )
        frames = [
            frame.explode(column, empty_as_null=False, keep_nulls=False).unnest(column)
            for frame in self.frames
        ]
        return replace(self, frames=frames)

    def place(self, row: int) -> str:
        """Say where a row stands, by its number among all rows, from 1."""
        for path, frame in zip(self.paths, self.frames, strict=False):
            count = count_rows(frame)
            if row <= count:
                return f"row {row} of {path.name}" if len(self.paths) > 1 else f"row {row}"
            row -= count
        return f"row {row}"

    def unreadable(self) -> str:
        """Name the files of this machine that cannot be read to their end."""
        return ", ".join(
            path.name
            for path, frame in zip(self.paths, self.frames, strict=False)
            if isinstance(path, Path) and not _reads_to_its_end(frame)
        )


def scan_files(patterns: Iterable[str | Path], header: Sequence[str] | None = None) -> Scan:
    """Scan all files that paths, folders, globs and addresses of object stores stand for.

    They stand in the order given, by name within.

    A file of separated text knows no types: its columns are text until all their values are seen
    (`column_types`). It has a line of column names unless `header` gives them. Folders named
    `key=value` are a column each (Hive's layout).

    Of a folder empty files are passed over, and counted: jobs leave such parts.

    Raise DataError if nothing is there, a file is empty, or its suffix says no format.
    """
    paths: list[Place] = []
    frames, untyped, empty = [], set[str](), 0
    for path, is_part in find_files(patterns).items():
        try:
            frame = scan_file(path, header)
        except EmptyFileError:
            if not is_part:
                raise
            empty += 1
            continue
        names = frame.collect_schema().names()
        keys = {key: value for key, value in hive_keys(path).items() if key not in names}
        paths.append(path)
        frames.append(frame.with_columns(pl.lit(value).alias(key) for key, value in keys.items()))
        untyped.update(keys, () if knows_types(path) else names)
    if empty:
        logger.warning("skipped %d empty files of the folder", empty)
    if not paths:
        raise DataError("every file of the folder is empty; a click log has a row per click")
    return Scan(paths, frames, frozenset(untyped - {DAMAGE}))


def count_rows(frame: pl.LazyFrame) -> int:
    """Count the rows."""
    return int(frame.select(pl.len()).collect(engine="streaming").item())


def _reads_to_its_end(frame: pl.LazyFrame) -> bool:
    try:
        frame.select(pl.all().count()).collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError, Panic):
        return False
    return True
