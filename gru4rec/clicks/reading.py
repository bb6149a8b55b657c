"""Read click logs: files or frames of any naming become one LazyFrame of clicks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import polars as pl

from gru4rec.clicks.column_types import with_plain_ids, with_types
from gru4rec.clicks.files import DAMAGE, Scan, count_rows, reason_of, scan_files
from gru4rec.clicks.invalid_rows import ROW, checked
from gru4rec.clicks.timestamps import with_timestamp
from gru4rec.errors import DataError
from gru4rec.schema import ALIASES, ARGUMENTS, ITEM_ID, SESSION_ID, TIMESTAMP


@runtime_checkable
class ArrowTable(Protocol):
    """A table that hands its columns over as Arrow: of Polars, pyarrow, pandas, DuckDB, …"""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow C stream of the columns."""


ClickSource: TypeAlias = pl.LazyFrame | ArrowTable | str | Path | Iterable[str | Path]

_OFFSET = "__gru4rec_offset"
_AS_WRITTEN = "__gru4rec_as_written_"


@dataclass(frozen=True)
class ClickLog:
    """The valid clicks of a log, and what was left out."""

    clicks: pl.LazyFrame
    """session_id, item_id and, as asked for or if there, user_id, timestamp and other columns."""
    read: int
    """Rows of the log."""
    rows: int
    """Rows that `where` takes."""
    dropped: Mapping[str, int]
    """Invalid rows, by what is wrong with them."""
    files: Sequence[str]
    """The files it was read from."""


def read_clicks(
    source: ClickSource,
    *,
    session_col: str | None = None,
    item_col: str | None = None,
    time_col: str | None = None,
    where: str | None = None,
    drop_invalid: bool = False,
    also: Sequence[str] | None = (),
) -> pl.LazyFrame:
    """The clicks of `source`: session_id, item_id and, if there are times, timestamp.

    `source` is a frame (of Polars, or any that speaks Arrow), a file of one of the formats
    `files.SCANNERS`, a glob, a folder, or several of these; rows keep their order. Column names
    that are not given are looked up in `schema.ALIASES`. `where` is a Polars SQL predicate over the
    columns of the source; a NULL in it counts as false. `timestamp` is a Datetime in microseconds,
    made from datetimes, dates, ISO strings, integers in s, ms, µs or ns (told apart by the size
    that most of them have) or floats in seconds. A log without a time column, or with nothing but
    nulls in it, has no `timestamp`: it is taken in the order of its rows. Those of the other
    columns that `also` names come along, if they are there, those of text files as text; all of
    them with None, in the type that all values of a column have.

    Raises DataError when a file or column is missing, there are no rows, or a row is invalid: an id
    is null, empty or not UTF-8, a time is missing, cannot be read, or lies before 1990 or after
    2100 (unless all lie before 1990: then they are ticks of a clock), or a line of a text file is
    its header again or has more fields than that. With `drop_invalid` such rows are dropped,
    counted and logged.
    """
    named = {SESSION_ID: session_col, ITEM_ID: item_col, TIMESTAMP: time_col}
    others = True if also is None else also
    log = read_log(source, named, where=where, drop_invalid=drop_invalid, other_columns=others)
    return log.clicks


def read_log(
    source: ClickSource,
    named: Mapping[str, str | None],
    *,
    where: str | None = None,
    drop_invalid: bool = False,
    header: Sequence[str] | None = None,
    explode: str | None = None,
    time_offset: str | None = None,
    other_columns: bool | Sequence[str] = False,
    strict_times: bool = False,
) -> ClickLog:
    """The clicks of `source` with what was left out; see `read_clicks`.

    `named` has a key for each column to look for, and its name in the log or None. `header` names
    the columns of text files that have no such line. A log with one row per session has its clicks
    in the column `explode`, a list of structs. Where times are dates, `time_offset` names a column
    of milliseconds since the first date of the session. With `other_columns` the rest of the
    columns comes along, or those of it that are named, then as they are written in text files; one
    that bears a name of ours as `NAME_in_log`. With `strict_times` no time may lie before 1990.
    """
    scan = _scan(source, header)
    if explode is not None:
        scan = scan.exploded(explode)
    try:
        rows = scan.rows
        given = [name for name in rows.collect_schema().names() if name != DAMAGE]
        names = {
            ours: _find_column(ours, name, given, required=ours != TIMESTAMP)
            for ours, name in named.items()
        }
        wanted = pl.lit(True) if where is None else pl.sql_expr(where)
        asked = set(filter(None, names.values()))
        rest = [name for name in given if name not in asked]
        others = (
            rest * other_columns
            if isinstance(other_columns, bool)
            else [name for name in rest if name in other_columns]
        )
        ids = [names[ours] or "" for ours in names if ours != TIMESTAMP]
        typed = (
            {*asked, *filter(None, [time_offset]), *wanted.meta.root_names()}
            | set(others if other_columns is True else ())
        ) & (scan.untyped & set(given))
        if others and other_columns is not True:  # what they are must not hang on the file's rest
            rows = rows.with_columns(pl.col(others).name.prefix(_AS_WRITTEN))
            others = [_AS_WRITTEN + name for name in others]
        rows = with_types(rows, typed, ids)
        rows.filter(wanted).collect_schema()
        rows = rows.with_row_index(ROW, offset=1).filter(wanted)
        columns = [pl.col(name).alias(ours) for ours, name in names.items() if name is not None]
        if time_offset is not None:
            columns.append(_offset_column(time_offset, rows).alias(_OFFSET))
        columns += [
            pl.col(name).alias(_freed(name.removeprefix(_AS_WRITTEN), names)) for name in others
        ]
        damage = pl.col(DAMAGE) if DAMAGE in rows.collect_schema() else pl.lit(None, pl.String)
        clicks = rows.select(ROW, damage.alias(DAMAGE), *columns)
        clicks = with_timestamp(with_plain_ids(clicks))
        if time_offset is not None:
            clicks = _later(clicks)
        valid, taken, dropped = checked(
            clicks, place=scan.place, drop_invalid=drop_invalid, strict_times=strict_times
        )
        read = taken if where is None else count_rows(scan.rows)
        return ClickLog(valid, read, taken, dropped, [str(path) for path in scan.paths])
    except (pl.exceptions.PolarsError, OSError) as error:
        damaged = scan.unreadable()
        files = f" in {damaged}" if damaged else ""
        rows_asked = "" if where is None else f" (where {where!r})"
        raise DataError(
            f"cannot read the click log{rows_asked}: {reason_of(error)}{files}",
            mend_with=[] if where is None else ["where"],
        ) from error


def _scan(source: ClickSource, header: Sequence[str] | None) -> Scan:
    """The rows of all files or frames of a source, in their order."""
    if isinstance(source, pl.LazyFrame):
        return Scan([], [source])
    if isinstance(source, ArrowTable):
        return Scan([], [pl.DataFrame(source).lazy()])
    return scan_files([source] if isinstance(source, str | Path) else source, header)


def _find_column(ours: str, named: str | None, given: list[str], *, required: bool) -> str | None:
    """The column of the log that holds `ours`, or None if it may be and is absent."""
    wanted = ALIASES[ours] if named is None else (named,)
    for name in wanted:
        if name in given:
            return name
    if named is None and not required:
        return None
    separator = " (is its separator another than , ; | or tab?)" if len(given) == 1 else ""
    raise DataError(
        f"click log lacks {wanted[0]!r}; it has {given}{separator}. Name the column with "
        f"{ARGUMENTS[ours]}.",
        mend_with=[ARGUMENTS[ours]],
    )


def _offset_column(name: str, rows: pl.LazyFrame) -> pl.Expr:
    """The column that is added to times. Raises DataError if it holds no numbers."""
    dtype = rows.collect_schema().get(name)
    if dtype is None or not dtype.is_numeric():
        raise DataError(
            f"{name!r} is {dtype or 'no column'}; time_offset_col names one of milliseconds",
            mend_with=["time_offset_col"],
        )
    return pl.col(name)


def _later(clicks: pl.LazyFrame) -> pl.LazyFrame:
    """Times since the first date of their session. Raises DataError without sessions or dates."""
    if not {SESSION_ID, TIMESTAMP} <= set(clicks.collect_schema()):
        raise DataError(
            "time_offset_col needs a column of dates and one of sessions beside it",
            mend_with=["time_offset_col"],
        )
    first = pl.col(TIMESTAMP).min().over(SESSION_ID)
    time = (first + pl.duration(milliseconds=pl.col(_OFFSET))).alias(TIMESTAMP)
    return clicks.with_columns(time).drop(_OFFSET)


def _freed(name: str, names: Mapping[str, str | None]) -> str:
    """The name of a further column of the log, out of the way of ours."""
    return f"{name}_in_log" if name in (*names, SESSION_ID) else name
