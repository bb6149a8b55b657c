"""Write a table to a file or to standard output, in the format that is asked for."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
import polars as pl

from gru4rec.errors import DataError
from gru4rec.folders import write_beside

_ROWS = 50_000  # turned to text at a time


def _csv(table: pl.DataFrame) -> Iterator[str]:
    for start in range(0, max(1, table.height), _ROWS):
        yield table.slice(start, _ROWS).write_csv(include_header=start == 0)


def _jsonl(table: pl.DataFrame) -> Iterator[str]:
    for start in range(0, table.height, _ROWS):
        yield table.slice(start, _ROWS).write_ndjson()


def _json(table: pl.DataFrame) -> Iterator[str]:
    yield table.write_json() + "\n"


def _text(table: pl.DataFrame) -> Iterator[str]:
    whole = {"tbl_rows": -1, "tbl_cols": -1, "tbl_width_chars": 10_000, "fmt_str_lengths": 10_000}
    bare = {"tbl_hide_dataframe_shape": True, "tbl_hide_column_data_types": True}
    with pl.Config(tbl_formatting="ASCII_MARKDOWN", **whole, **bare):  # type: ignore[arg-type]
        yield f"{table}\n"


FORMATS: Mapping[str, Callable[[pl.DataFrame], Iterator[str]]] = {
    "table": _text,
    "jsonl": _jsonl,
    "json": _json,
    "csv": _csv,
}


def choose_format(asked: str | None, output: Path | None, formats: tuple[str, ...]) -> str:
    """The format asked for or of the output's suffix; else a table on a terminal, jsonl in a pipe.

    `formats` are those of the command. Raises DataError for a suffix that says none of them.
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
    """Write to standard output, or to a file that is written beside and renamed.

    Raises DataError where the file cannot be written, or Parquet is to go to standard output.
    """
    if output is None:
        if form == "parquet":
            raise DataError("parquet does not go to standard output; name a file with -o")
        for text in FORMATS[form](table):
            click.echo(text, nl=False)
        return

    def write(file: Path) -> None:
        if form == "parquet":
            table.write_parquet(file)
        else:
            with file.open("w", encoding="utf-8") as stream:
                stream.writelines(FORMATS[form](table))

    write_beside(output, write)
