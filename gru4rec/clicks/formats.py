"""Scan one file, of any format that its suffix tells, as a LazyFrame of its rows."""

import codecs
import glob
import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import polars as pl

from gru4rec.addresses import trouble_with
from gru4rec.clicks.stores import Address
from gru4rec.errors import DataError
from gru4rec.untrusted import brief

DAMAGE = "__gru4rec_damage"
"""The column of text files that says what is wrong with a row; null where nothing is."""

NO_TEXT = "\ufffd"
"""What stands in a text for bytes that are not UTF-8."""


class EmptyFileError(DataError):
    """A file has nothing in it, not even a header."""


_EXTRA = "__gru4rec_extra"
_LONGEST_HEADER = 1 << 20  # bytes
_SEPARATORS = (",", "\t", ";", "|")
_BOM = "\ufeff"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Panic: type[BaseException] = pl.exceptions.PanicException
"""What the engine raises where it gives up, such as on a line of 600 MB."""

Place: TypeAlias = Path | Address
"""Where a file is: on this machine, or on an object store."""

Scanner = Callable[[Path | str, Sequence[str] | None], pl.LazyFrame]
"""Scans a file; a file of separated text may get the names of its columns."""


def _scan_text(path: Path | str, header: Sequence[str] | None, *, separator: str) -> pl.LazyFrame:
    """Scan a file of separated text: every column as text, and `DAMAGE`.

    Lines that are blank, or nothing but separators, are no rows. If the first line is one field
    with another separator in it, the file is read with that one.
    """
    if isinstance(path, Path):
        _refuse_first_line(path)
    scan = partial(
        pl.scan_csv, path, glob=False, infer_schema=False, encoding="utf8-lossy",
        has_header=header is None, truncate_ragged_lines=True,
    )  # fmt: skip
    first = scan(separator=separator, has_header=False).head(1).collect().row(0)
    if isinstance(path, str) and (first[0] or "").startswith(2 * NO_TEXT):  # a mark of UTF-16
        raise _utf16(path)
    others = [other for other in _SEPARATORS if len(first) == 1 and other in (first[0] or "")]
    scan = partial(scan, separator=others[0] if others else separator)
    names = scan().collect_schema().names() if header is None else list(header)
    schema = dict.fromkeys([*names, _EXTRA], pl.String)
    rows = scan(schema=schema, missing_columns="insert")
    blank = pl.all_horizontal(pl.all().is_null())
    return rows.filter(~blank).with_columns(_damage(names).alias(DAMAGE)).drop(_EXTRA)


def _refuse_first_line(path: Path) -> None:
    """Raise DataError for a file whose first line is no header of separated text."""
    line = _first_line(path)
    if line[:2] in _UTF16:
        raise _utf16(path)
    if len(line) > _LONGEST_HEADER:
        raise DataError(
            f"{path} has a first line of more than {_LONGEST_HEADER:,} bytes, which is no header "
            "of a click log; check its line ends"
        )


def _utf16(path: Path | str) -> DataError:
    return DataError(f"{path} is UTF-16; convert it to UTF-8")


def _first_line(path: Path) -> bytes:
    """Return the first line of a file, or so much of it as no header has; of gzip, decompressed."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if is_gzip else path.open("rb") as file:
            return bytes(file.readline(_LONGEST_HEADER + 1))
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return b""  # the scan says what is wrong with it


def _scan_json_lines(path: Path | str) -> pl.LazyFrame:
    """Scan a file of JSON lines; the scanner always reads patterns, so those are escaped.

    Raise DataError for an address that would be one: of those it knows no escape.
    """
    literal = glob.escape(str(path))
    if isinstance(path, str) and literal != path:
        raise DataError(
            f"cannot read {path}: JSON lines have no *, ? or [ in their address; rename the object"
        )
    return pl.scan_ndjson(literal, infer_schema_length=None)


def _damage(names: Sequence[str]) -> pl.Expr:
    """Say what is wrong with a line of text, null for nothing."""
    # The header stands again where files were joined, and each may begin with a byte-order mark.
    repeated = pl.all_horizontal(pl.col(name).str.strip_prefix(_BOM) == name for name in names)
    return (
        pl.when(pl.col(_EXTRA).is_not_null())
        .then(pl.lit("more fields than the header"))
        .when(repeated)
        .then(pl.lit("the header again"))
    )


def _without_header(scan: Callable[..., pl.LazyFrame]) -> Scanner:
    """Make a scanner of a format that names its columns itself."""

    def scanner(path: Path | str, header: Sequence[str] | None) -> pl.LazyFrame:
        if header is not None:
            raise DataError(f"{path} names its columns itself; leave out the header")
        return scan(path)

    return scanner


_csv: Scanner = partial(_scan_text, separator=",")
_tsv: Scanner = partial(_scan_text, separator="\t")
_ndjson = _without_header(_scan_json_lines)
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


def scanner_of(path: Place) -> Scanner | None:
    """Return what scans a file of that name, None if its suffix says nothing."""
    name = path.name.lower()
    for compression in _COMPRESSIONS:
        name = name.removesuffix(compression)
    return SCANNERS.get(Path(name).suffix)


def knows_types(path: Place) -> bool:
    """Whether the format of a file has types; in separated text every column is text."""
    return scanner_of(path) not in (_csv, _tsv)


def scan_file(path: Place, header: Sequence[str] | None) -> pl.LazyFrame:
    """Scan one file; `header` names the columns of separated text that has no line of them.

    Raise DataError for a suffix that says no format, an empty file, and one that cannot be read.
    """
    scanner = scanner_of(path)
    if scanner is None:
        raise DataError(
            f"cannot tell the format of {path}; name it {', '.join(SCANNERS)}, "
            "text also with .gz or .zst"
        )
    if isinstance(path, Path) and path.stat().st_size == 0:
        raise EmptyFileError(f"{path} is empty; a click log has a header and a row per click")
    try:
        # Polars takes a ~ in front for a home.
        rows = scanner(path.absolute() if isinstance(path, Path) else path.text, header)
        rows.collect_schema()
    except pl.exceptions.NoDataError as error:
        raise EmptyFileError(
            f"{path} has no line; a click log has a header and a row per click"
        ) from error
    except (pl.exceptions.PolarsError, OSError, UnicodeError, Panic) as error:
        raise DataError(f"cannot read the click log {path}: {reason_of(error)}") from error
    return rows


def reason_of(error: BaseException) -> str:
    """Return the first line of what an error of Polars or of the system says, not too long.

    Of an object store say what it means.
    """
    trouble = trouble_with(error)
    if trouble is not None:
        return trouble
    return brief(next(iter(str(error).strip().splitlines()), type(error).__name__), most=300)
