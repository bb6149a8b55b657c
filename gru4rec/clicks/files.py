"""Scan files of any format as one LazyFrame of their rows."""

import codecs
import glob
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from gru4rec.errors import DataError

DAMAGE = "__gru4rec_damage"
"""The column of text files that says what is wrong with a row, null where nothing is."""

NO_TEXT = "\ufffd"
"""What stands in a text for bytes that are not UTF-8."""

CARD = "card.json"
"""The file that tells a folder of prepared sessions."""

_EXTRA = "__gru4rec_extra"
_SEPARATORS = (",", "\t", ";", "|")
_BOM = "\ufeff"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def _scan_text(path: Path, header: Sequence[str] | None, *, separator: str) -> pl.LazyFrame:
    """A file of separated text, all of it as text, with `DAMAGE`.

    Lines that are blank, or nothing but separators, are no rows.

    A first line of one field that holds another separator is read with that one.
    """
    with path.open("rb") as file:
        if file.read(2) in _UTF16:
            raise DataError(f"{path} is UTF-16; convert it to UTF-8")
    scan = partial(
        pl.scan_csv, path, glob=False, infer_schema=False, encoding="utf8-lossy",
        has_header=header is None, truncate_ragged_lines=True,
    )  # fmt: skip
    first = scan(separator=separator, has_header=False).head(1).collect().row(0)
    others = [other for other in _SEPARATORS if len(first) == 1 and other in (first[0] or "")]
    scan = partial(scan, separator=others[0] if others else separator)
    names = scan().collect_schema().names() if header is None else list(header)
    schema = dict.fromkeys([*names, _EXTRA], pl.String)
    rows = scan(schema=schema, missing_columns="insert")
    repeated = pl.all_horizontal(
        pl.col(name).str.strip_prefix(_BOM) == name
        for name in names  # each file may have its own
    )
    damage = (
        pl.when(pl.col(_EXTRA).is_not_null())
        .then(pl.lit("more fields than the header"))
        .when(repeated)
        .then(pl.lit("the header again"))
    )
    blank = pl.all_horizontal(pl.all().is_null())
    return rows.filter(~blank).with_columns(damage.alias(DAMAGE)).drop(_EXTRA)


def _without_header(scan: Callable[..., pl.LazyFrame]) -> "Scanner":
    """A scanner of a format that names its columns itself."""

    def scanner(path: Path, header: Sequence[str] | None) -> pl.LazyFrame:
        if header is not None:
            raise DataError(f"{path} names its columns itself; leave out the header")
        return scan(path)

    return scanner


Scanner = Callable[[Path, Sequence[str] | None], pl.LazyFrame]

_csv: Scanner = partial(_scan_text, separator=",")
_tsv: Scanner = partial(_scan_text, separator="\t")
_ndjson = _without_header(partial(pl.scan_ndjson, infer_schema_length=None))
_ipc = _without_header(partial(pl.scan_ipc, glob=False))

SCANNERS: Mapping[str, Scanner] = {
    ".parquet": _without_header(partial(pl.scan_parquet, glob=False, hive_partitioning=False)),
    ".csv": _csv,
    ".dat": _csv,
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


@dataclass(frozen=True)
class Scan:
    """The rows of several files, one file after the other."""

    paths: Sequence[Path]
    """The files; empty for a table that came from memory."""
    frames: Sequence[pl.LazyFrame]
    """The rows of each."""
    untyped: frozenset[str] = frozenset()
    """Columns that hold text only because their files know no types."""

    @property
    def rows(self) -> pl.LazyFrame:
        """The rows of all files."""
        if len(self.frames) == 1:
            return self.frames[0]
        return pl.concat(self.frames, how="diagonal_relaxed")

    def exploded(self, column: str) -> "Scan":
        """A row for each of the structs that `column` lists, its fields as columns.

        Raises DataError if the column is missing or holds something else.
        """
        for frame in self.frames:
            dtype = frame.collect_schema().get(column)
            if not (isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct)):
                found = dtype or "no column"
                raise DataError(
                    f"{column!r} is {found}; explode names one that lists structs",
                    mend_with=["explode"],
                )
        frames = [
            frame.explode(column, empty_as_null=False, keep_nulls=False).unnest(column)
            for frame in self.frames
        ]
        return replace(self, frames=frames)

    def place(self, row: int) -> str:
        """Where the row of that number among all rows, from 1, stands."""
        for path, frame in zip(self.paths, self.frames, strict=False):
            count = count_rows(frame)
            if row <= count:
                return f"row {row} of {path.name}" if len(self.paths) > 1 else f"row {row}"
            row -= count
        return f"row {row}"

    def unreadable(self) -> str:
        """The names of the files that cannot be read to their end."""
        return ", ".join(
            path.name
            for path, frame in zip(self.paths, self.frames, strict=False)
            if not _reads(frame)
        )


def scan_files(patterns: Iterable[str | Path], header: Sequence[str] | None = None) -> Scan:
    """The rows of all files that paths, folders and globs stand for.

    In the order given, by name within. A file of separated text knows no types: its columns are
    text until all their values are seen (`gru4rec.column_types`). It has a line of column names
    unless `header` gives them. Folders named `key=value` are a column each (Hive's layout).

    Raises DataError if nothing is there, a file is empty, or its suffix says no format.
    """
    paths = [path for pattern in patterns for path in _expand(Path(pattern))]
    if not paths:
        raise DataError("no click log given; name at least one file")
    twice = [path for path, count in Counter(path.resolve() for path in paths).items() if count > 1]
    if twice:
        raise DataError(f"{twice[0]} is given twice; its clicks would count twice")
    frames, untyped = [], set[str]()
    for path in paths:
        scanner, keys = _scanner(path), _hive_keys(path)
        if scanner is None:
            raise DataError(
                f"cannot tell the format of {path}; name it {', '.join(SCANNERS)}, "
                "text also with .gz or .zst"
            )
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty; a click log has a header and a row per click")
        try:
            frame = scanner(path, header)
            names = frame.collect_schema().names()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(f"cannot read the click log {path}: {reason_of(error)}") from error
        keys = {key: value for key, value in keys.items() if key not in names}
        frames.append(frame.with_columns(pl.lit(value).alias(key) for key, value in keys.items()))
        untyped |= set(keys) | (set(names) if scanner in (_csv, _tsv) else set())
    return Scan(paths, frames, frozenset(untyped))


def count_rows(frame: pl.LazyFrame) -> int:
    """How many rows there are."""
    return int(frame.select(pl.len()).collect(engine="streaming").item())


def reason_of(error: Exception) -> str:
    """The first line of what an error of Polars or of the system says."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _expand(pattern: Path) -> list[Path]:
    """The files that a path, a folder or a glob stands for, sorted by name."""
    if pattern.is_file():
        return [pattern]
    if pattern.is_dir():
        if _is_prepared(pattern):
            raise DataError(
                f"{pattern} holds prepared parts, which are not one log; name a part, such as "
                f"{pattern / 'train.parquet'}"
            )
        files = [path for path in pattern.rglob("*") if path.is_file() and _scanner(path)]
        found = [path for path in files if not _is_prepared(path.parent)]
    else:
        found = [Path(path) for path in glob.glob(str(pattern), recursive=True)]  # noqa: PTH207 - takes absolute globs
    if not found:
        raise DataError(f"no click log at {pattern}; give a file, a folder or a glob that exists")
    return sorted(found)


def _is_prepared(folder: Path) -> bool:
    """Whether a folder holds what `gru4rec prepare` made of a log."""
    return (folder / CARD).exists()


def _scanner(path: Path) -> Scanner | None:
    """What scans a file of that name, None if its suffix says nothing."""
    name = path.name.lower()
    for compression in _COMPRESSIONS:
        name = name.removesuffix(compression)
    return SCANNERS.get(Path(name).suffix)


def _hive_keys(path: Path) -> dict[str, str | None]:
    """The `key=value` of the folders that a file lies in."""
    parts = [folder.split("=", 1) for folder in path.parent.parts if "=" in folder]
    return {key: None if value == _HIVE_NULL else unquote(value) for key, value in parts}


def _reads(frame: pl.LazyFrame) -> bool:
    try:
        frame.select(pl.all().count()).collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError):
        return False
    return True
