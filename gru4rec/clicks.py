"""Read click logs: files or frames of any naming become one LazyFrame of clicks."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import polars as pl

from gru4rec.column_types import with_plain_ids, with_timestamp, with_types
from gru4rec.errors import DataError
from gru4rec.files import scan_files
from gru4rec.schema import ALIASES, ITEM_ID, OPTIONS, SESSION_ID, TIMESTAMP

logger = logging.getLogger(__name__)


@runtime_checkable
class ArrowTable(Protocol):
    """A table that hands its columns over as Arrow: of Polars, pyarrow, pandas, DuckDB, …"""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow C stream of the columns."""


ClickSource: TypeAlias = pl.LazyFrame | ArrowTable | str | Path | Iterable[str | Path]

# The number of each row in its log, for error messages; no log has a column of this name.
_ROW = "__gru4rec_row"


def read_clicks(
    source: ClickSource,
    *,
    session_col: str | None = None,
    item_col: str | None = None,
    time_col: str | None = None,
    where: str | None = None,
    drop_invalid: bool = False,
) -> pl.LazyFrame:
    """The clicks of `source`: session_id, item_id and, if there are times, timestamp.

    `source` is a frame (of Polars, or any that speaks Arrow), a file of one of the formats
    `files.SCANNERS`, a glob, a folder, or several of these; rows keep their order. Column names
    that are not given are looked up in `schema.ALIASES`. `where` is a Polars SQL predicate over the
    columns of the source; a NULL in it counts as false. `timestamp` is a Datetime in microseconds,
    made from datetimes, dates, ISO strings, integers in s, ms, µs or ns (told apart by magnitude)
    or floats in seconds. A log without a time column, or with nothing but nulls in it, has no
    `timestamp`: it is taken in the order of its rows.

    Raises DataError when a file or column is missing, there are no rows, an id is null or empty, or
    a time is missing or cannot be read; with `drop_invalid` such rows are dropped, counted and
    logged.
    """
    try:
        frame, untyped = _scan(source)
        given = frame.collect_schema().names()
        names = {
            SESSION_ID: _find_column(SESSION_ID, session_col, given),
            ITEM_ID: _find_column(ITEM_ID, item_col, given),
            TIMESTAMP: _find_column(TIMESTAMP, time_col, given, required=False),
        }
        wanted = pl.lit(True) if where is None else pl.sql_expr(where)
        if untyped:
            asked = {*filter(None, names.values()), *wanted.meta.root_names()} & set(given)
            ids = filter(None, (names[SESSION_ID], names[ITEM_ID]))
            frame = with_types(frame, asked, ids)
        frame.filter(wanted).collect_schema()
        frame = frame.with_row_index(_ROW, offset=1).filter(wanted)
        columns = [pl.col(name).alias(ours) for ours, name in names.items() if name is not None]
        clicks = with_timestamp(with_plain_ids(frame.select(_ROW, *columns)))
        return _checked(clicks, drop_invalid)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        rows = "" if where is None else f" (--where {where!r})"
        raise DataError(f"cannot read the click log{rows}: {reason}") from error


def _scan(source: ClickSource) -> tuple[pl.LazyFrame, bool]:
    """The rows of all files or frames of a source, in their order, and whether types are lost."""
    if isinstance(source, pl.LazyFrame):
        return source, False
    if isinstance(source, ArrowTable):
        return pl.DataFrame(source).lazy(), False
    return scan_files([source] if isinstance(source, str | Path) else source)


def _find_column(
    ours: str, named: str | None, given: list[str], *, required: bool = True
) -> str | None:
    """The column of the log that holds `ours`, or None if it may be and is absent."""
    wanted = ALIASES[ours] if named is None else (named,)
    for name in wanted:
        if name in given:
            return name
    if named is None and not required:
        return None
    raise DataError(
        f"click log lacks {wanted[0]!r}; it has {given}. Name the column with {OPTIONS[ours]}."
    )


def _checked(clicks: pl.LazyFrame, drop_invalid: bool) -> pl.LazyFrame:
    """Refuse, or drop and count, rows with an empty id or an unreadable time."""
    schema = clicks.collect_schema()
    bad = {
        name: pl.col(name).is_null() | (pl.col(name) == "" if dtype == pl.String else False)
        for name, dtype in schema.items()
        if name != _ROW
    }
    counts = [rows.sum().alias(name) for name, rows in bad.items()]
    first = [pl.col(_ROW).filter(rows).first().alias(f"{name} row") for name, rows in bad.items()]
    found = clicks.select(pl.len().alias("rows"), *counts, *first).collect().row(0, named=True)
    if not found["rows"]:
        raise DataError("the click log has no rows; check the file and --where")
    for name in bad:
        if found[name] and not drop_invalid:
            what = "null or unreadable times" if name == TIMESTAMP else f"null or empty {name}"
            raise DataError(
                f"click log has {what} in {found[name]} of {found['rows']} rows, first in row "
                f"{found[f'{name} row']}; mend them, or drop such rows with --drop-invalid"
            )
    if any(found[name] for name in bad):
        invalid = pl.any_horizontal(*bad.values())
        dropped = clicks.select(invalid.sum()).collect().item()
        logger.warning("dropped %d of %d rows with invalid ids or times", dropped, found["rows"])
        if dropped == found["rows"]:
            raise DataError("every row of the click log is invalid; check the columns")
        clicks = clicks.filter(~invalid)
    return clicks.drop(_ROW)
