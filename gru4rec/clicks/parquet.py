"""Read and write Parquet files by their literal paths.

Polars takes `[`, `*` and `?` in a path for a pattern, `~` for a home and `key=value` for a column,
unless it is told. Everything that this package writes, it finds again through here.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl


def scan_parquet(paths: Path | Sequence[Path]) -> pl.LazyFrame:
    """Scan a file, or several of one layout one after the other."""
    literal = [path.absolute() for path in ([paths] if isinstance(paths, Path) else paths)]
    return pl.scan_parquet(literal, glob=False, hive_partitioning=False)


def read_parquet(path: Path) -> pl.DataFrame:
    """Read a file."""
    return scan_parquet(path).collect()


def write_parquet(frame: pl.DataFrame | pl.LazyFrame, path: Path, **how: str | bool) -> None:
    """Write a frame, `how` as Polars takes it; a lazy one without holding it in memory."""
    if isinstance(frame, pl.LazyFrame):
        frame.sink_parquet(path.absolute(), engine="streaming", **how)  # type: ignore[call-overload]
    else:
        frame.write_parquet(path.absolute(), **how)  # type: ignore[arg-type]
