"""Write a table to a file or to standard output, in the format asked for."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import click
import polars as pl
import polars.selectors as cs

from gru4rec.atomic import write_beside
from gru4rec.clicks import write_parquet_pieces
from gru4rec.errors import DataError

_ROWS = 50_000  # turned to text at a time


def _csv(pieces: Iterable[pl.DataFrame]) -> Iterator[str]:
    for number, piece in enumerate(_small(pieces)):
        flat = piece.with_columns(cs.struct().struct.json_encode())  # as CSV has no such columns
        yield flat.write_csv(include_header=number == 0)


def _jsonl(pieces: Iterable[pl.DataFrame]) -> Iterator[str]:
    for piece in _small(pieces):
        yield piece.write_ndjson()


def _small(pieces: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    for piece in pieces:
        for start in range(0, max(1, piece.height), _ROWS):
            yield piece.slice(start, _ROWS)


def _json(pieces: Iterable[pl.DataFrame]) -> Iterator[str]:
    yield pl.concat(pieces).write_json() + "\n"


def _text(pieces: Iterable[pl.DataFrame]) -> Iterator[str]:
    table = pl.concat(pieces)
    whole = {"tbl_rows": -1, "tbl_cols": -1, "tbl_width_chars": 10_000, "fmt_str_lengths": 10_000}
    bare = {"tbl_hide_dataframe_shape": True, "tbl_hide_column_data_types": True}
    with pl.Config(tbl_formatting="ASCII_MARKDOWN", **whole, **bare):  # type: ignore[arg-type]
        yield f"{table}\n"


FORMATS: Mapping[str, Callable[[Iterable[pl.DataFrame]], Iterator[str]]] = {
    "table": _text,
    "jsonl": _jsonl,
    "json": _json,
    "csv": _csv,
}


def choose_format(asked: str | None, output: Path | None, formats: tuple[str, ...]) -> str:
    """Return the format asked for, else that of the output's suffix.

    Without both it is a table on a terminal. In a pipe it is jsonl, or a table if the command does
    not write jsonl. `formats` are those of the command. Raise DataError for a suffix of none of
    them.
    """
    if asked is not None:
        return asked
    if output is None:
        return "table" if sys.stdout.isatty() or "jsonl" not in formats else "jsonl"
    suffix = output.suffix.lower().lstrip(".")
    if suffix in formats:
        return suffix
    raise DataError(f"cannot tell the format from {output}; add --format {'|'.join(formats)}")


def write_table(table: pl.DataFrame, form: str, output: Path | None) -> None:
    """Write a table as `write_pieces` writes its pieces."""
    write_pieces([table], form, output)


def write_pieces(pieces: Iterable[pl.DataFrame], form: str, output: Path | None) -> None:
    """Write the pieces of a table to standard output or to a file.

    The file is written beside its place and then renamed. Raise DataError if it cannot be written,
    or if Parquet is to go to standard output.
    """
    if output is None:
        if form == "parquet":
            raise DataError("parquet does not go to standard output; name a file with -o")
        for text in FORMATS[form](pieces):
            click.echo(text, nl=False)
        return

    def write(file: Path) -> None:
        if form == "parquet":
            write_parquet_pieces(pieces, file, file.with_name("pieces"))
        else:
            with file.open("w", encoding="utf-8") as stream:
                stream.writelines(FORMATS[form](pieces))

    write_beside(output, write)
