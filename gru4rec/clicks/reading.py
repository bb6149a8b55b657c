"""Read click logs: files or frames of any naming become one LazyFrame of clicks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import polars as pl

from gru4rec.clicks.files import Scan, count_rows, scan_files
from gru4rec.clicks.forks import refuse_forked
from gru4rec.clicks.formats import Panic, reason_of
from gru4rec.clicks.ids import at_least_one
from gru4rec.clicks.invalid_rows import ROW
from gru4rec.clicks.order import first_clicks
from gru4rec.clicks.raw_rows import RawRows
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP


@runtime_checkable
class ArrowTable(Protocol):
    """A table that hands its columns over as Arrow: of Polars, pyarrow, pandas, DuckDB, …"""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the Arrow C stream of the columns."""


ClickSource: TypeAlias = pl.LazyFrame | ArrowTable | str | Path | Iterable[str | Path]
"""A frame of Polars or any that speaks Arrow; a file, a glob, a folder or an address of an object
store; or several of these."""


@dataclass(frozen=True)
class ClickLog:
    """The valid clicks of a log, and what was left out."""

    clicks: pl.LazyFrame
    """session_id and item_id; user_id and other columns if asked for, timestamp if it is there."""
    read: int
    """Rows of the log."""
    rows: int
    """Rows that `where` takes."""
    dropped: Mapping[str, int]
    """Invalid rows, by what is wrong with them."""
    files: Sequence[str]
    """The files that it was read from."""


def read_clicks(
    source: ClickSource,
    *,
    session_col: str | None = None,
    item_col: str | None = None,
    time_col: str | None = None,
    where: str | None = None,
    drop_invalid: bool = False,
    null: str | Sequence[str] = (),
    max_session_clicks: int | None = None,
    also: Sequence[str] | None = (),
) -> pl.LazyFrame:
    """Return the clicks of `source`: session_id, item_id and, if there are times, timestamp.

    `source` is a frame (of Polars, or any that speaks Arrow), a file of one of the formats
    `formats.SCANNERS`, a glob, a folder, an address of an object store such as s3://bucket/log/, or
    several of these. Rows keep their order. A column whose name is not given is looked up in
    `schema.ALIASES`. `where` is a Polars SQL predicate over the columns of the source; a NULL in it
    counts as false. It names columns and literals, no other tables. Texts of `null`, such as
    "NULL", stand for missing values.

    `timestamp` is a Datetime in microseconds. It is made from datetimes, dates, ISO strings,
    integers in s, ms, µs or ns (told apart by the size that most of them have) or floats in
    seconds. A log without a time column, or with nothing but nulls in it, has no `timestamp`: it is
    taken in the order of its rows.

    With `max_session_clicks` only the first so many clicks of a longer session are there, by time,
    equal times in the order of the rows.

    `also` names further columns that come along, if they are there; those of text files stay text.
    With None all columns come along, each in the type that all of its values have.

    Raise DataError if a file or column is missing, there are no rows, `max_session_clicks` is no
    whole number from 1 on, or a row is invalid. A row is invalid if an id is null, empty or not
    UTF-8; if a time is missing, cannot be read, or lies before 1990 or after 2100 (unless all lie
    before 1990: then they are ticks of a clock); if a line of a text file is its header again or
    has more fields than that. With `drop_invalid` such rows are dropped, counted and logged.
    """
    most = max_session_clicks
    most = None if most is None else at_least_one(most, "max_session_clicks")
    named = {SESSION_ID: session_col, ITEM_ID: item_col, TIMESTAMP: time_col}
    others = True if also is None else also
    log = read_log(
        source, named, where=where, drop_invalid=drop_invalid, null=null, other_columns=others
    )
    return log.clicks if most is None else first_clicks(log.clicks, most)


def read_log(
    source: ClickSource,
    named: Mapping[str, str | None],
    *,
    where: str | None = None,
    drop_invalid: bool = False,
    null: str | Sequence[str] = (),
    header: Sequence[str] | None = None,
    explode: str | None = None,
    time_offset: str | None = None,
    other_columns: bool | Sequence[str] = False,
    strict_times: bool = False,
) -> ClickLog:
    """Return the clicks of `source` and what was left out; see `read_clicks`.

    `named` has a key for each column to look for: its name in the log, or None. `header` names the
    columns of text files that have no such line. If a row of the log is a session, `explode` names
    the column with its clicks, a list of structs. If times are dates, `time_offset` names a column
    of milliseconds since the first date of the session. With `strict_times` no time may lie before
    1990.

    With `other_columns` True the rest of the columns comes along. With names only these do, and
    text files give them as they are written. One that bears a name of ours becomes `NAME_in_log`.
    """
    refuse_forked()
    scan = _scan(source, header)
    if explode is not None:
        scan = scan.exploded(explode)
    how = RawRows(
        named=named, untyped=scan.untyped, where=where, drop_invalid=drop_invalid, null=null,
        time_offset=time_offset, other_columns=other_columns, strict_times=strict_times,
    )  # fmt: skip
    try:
        valid, rows, dropped = how.valid(scan.rows.with_row_index(ROW, offset=1), place=scan.place)
        read = rows if where is None else count_rows(scan.rows)
    except (pl.exceptions.PolarsError, OSError, Panic) as error:
        damaged = scan.unreadable() or ", ".join(scan.addresses[:1])
        raise how.unreadable(error, damaged) from error
    return ClickLog(valid.drop(ROW), read, rows, dropped, [str(path) for path in scan.paths])


def _scan(source: ClickSource, header: Sequence[str] | None) -> Scan:
    """Scan the files or frames of a source, in their order."""
    if isinstance(source, pl.LazyFrame):
        return Scan([], [source])
    if isinstance(source, ArrowTable):
        try:
            return Scan([], [pl.DataFrame(source).lazy()])
        except (pl.exceptions.PolarsError, TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"cannot take the click log as a table: {reason_of(error)}") from error
    try:
        paths: list[Any] = [source] if isinstance(source, str | Path) else list(source)
    except TypeError:  # it is no list, an array without dimensions for one
        paths = [source]
    if not all(isinstance(path, str | Path) for path in paths):
        raise DataError(f"a click log is a frame, or paths of files; got {type(source).__name__}")
    return scan_files(paths, header)
