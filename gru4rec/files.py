"""Scan files of any format as one LazyFrame of their rows."""

import glob
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import polars as pl

from gru4rec.errors import DataError

_SEPARATORS = (",", "\t", ";", "|")


def _scan_text(path: Path, separator: str) -> pl.LazyFrame:
    """A CSV file, all text; a header of one column that holds another separator is read with it."""
    scan = partial(pl.scan_csv, path, infer_schema=False, glob=False)
    header = scan(separator=separator).collect_schema().names()
    others = [other for other in _SEPARATORS if len(header) == 1 and other in header[0]]
    return scan(separator=others[0] if others else separator)


_csv = partial(_scan_text, separator=",")
_tsv = partial(_scan_text, separator="\t")
_ndjson = partial(pl.scan_ndjson, infer_schema_length=None)
_ipc = partial(pl.scan_ipc, glob=False)

SCANNERS: Mapping[str, Callable[[Path], pl.LazyFrame]] = {
    ".parquet": partial(pl.scan_parquet, glob=False),
    ".csv": _csv,
    ".tsv": _tsv,
    ".txt": _tsv,
    ".ndjson": _ndjson,
    ".jsonl": _ndjson,
    ".arrow": _ipc,
    ".ipc": _ipc,
    ".feather": _ipc,
}
"""How to scan a file by its suffix; text and JSON lines may be compressed besides (.gz, .zst)."""

_COMPRESSIONS = (".gz", ".zst")


def scan_files(patterns: Iterable[str | Path]) -> tuple[pl.LazyFrame, bool]:
    """The rows of all files that paths, folders and globs stand for, and whether types are lost.

    In the order given, by name within. A file of separated text knows no types: its columns are
    text until all their values are seen (`gru4rec.column_types`).

    Raises DataError if nothing is there, a file is empty, or its suffix says no format.
    """
    paths = [path for pattern in patterns for path in _expand(Path(pattern))]
    if not paths:
        raise DataError("no click log given; name at least one file")
    frames = [_scan_file(path) for path in paths]
    untyped = any(_scanner(path) in (_csv, _tsv) for path in paths)
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed"), untyped


def _expand(pattern: Path) -> list[Path]:
    """The files that a path, a folder or a glob stands for, sorted by name."""
    if pattern.is_file():
        return [pattern]
    if pattern.is_dir():
        found = [path for path in pattern.rglob("*") if path.is_file() and _scanner(path)]
    else:
        found = [Path(path) for path in glob.glob(str(pattern), recursive=True)]  # noqa: PTH207 - takes absolute globs
    if not found:
        raise DataError(f"no click log at {pattern}; give a file, a folder or a glob that exists")
    return sorted(found)


def _scanner(path: Path) -> Callable[[Path], pl.LazyFrame] | None:
    """What scans a file of that name, None if its suffix says nothing."""
    name = path.name.lower()
    for compression in _COMPRESSIONS:
        name = name.removesuffix(compression)
    return SCANNERS.get(Path(name).suffix)


def _scan_file(path: Path) -> pl.LazyFrame:
    scanner = _scanner(path)
    if scanner is None:
        raise DataError(
            f"cannot tell the format of {path}; name it {', '.join(SCANNERS)}, "
            "text also with .gz or .zst"
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty; a click log has a header and a row per click")
    return scanner(path)
