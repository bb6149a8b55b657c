"""Turn clicks into arrays of sessions: the one crossing from Polars to NumPy and torch."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from gru4rec.arraytypes import BoolArray, IntArray
from gru4rec.clicks import column_of, is_first, plain_ids, refuse_forked
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP
from gru4rec.sessions.arrays import NO_CODES, NO_SIDES, NO_TIMES, SessionArrays, offsets_of
from gru4rec.sessions.catalog import Catalog
from gru4rec.sessions.event_types import NO_EVENTS, EventTypes
from gru4rec.sessions.plain_text import plain_text
from gru4rec.sessions.side_inputs import NO_SIDE_INPUTS, SideInputs

_ROW, _INDEX, _START, _TIME = "_row", "_index", "_start", "_time"
_FIRST, _UNKNOWN = "_first", "_unknown"
_USER = "_user"


def to_arrays(
    clicks: pl.LazyFrame,
    catalog: Catalog,
    *,
    by_start: bool = True,
    side_inputs: SideInputs = NO_SIDE_INPUTS,
    times: bool = False,
    events: EventTypes = NO_EVENTS,
    users: str = "",
    first_row: int = 0,
) -> SessionArrays:
    """Return the sessions of a log, each in time order, equal times in the order of the rows.

    Sessions stand in the time order of their first click, or with `by_start=False` in the order in
    which the log first names them. A session whose items are all unknown is there, and empty. A log
    whose sessions stand whole and in time order, as `gru4rec prepare` writes them, is read as it
    is; one of another order is sorted first. `side_inputs` and the types of `events` are coded for
    every click, `times` taken along; `users` names the column of the user of a session.
    `first_row` is where these clicks stand in a longer log.
    """
    refuse_forked()
    timed = TIMESTAMP in clicks.collect_schema()
    rows = catalog.encode(clicks.with_row_index(_ROW, first_row), _INDEX)
    if times or users:
        rows = rows.with_columns(_clock(timed).alias(_TIME))
    if events:
        rows = events.encode(rows)
    if not _stands_whole(clicks, timed):
        rows = _session_after_session(rows, timed=timed, by_start=by_start)
    start = TIMESTAMP if timed and by_start else _ROW
    of_session = [_USER, _TIME] if users else []
    if users:
        rows = rows.with_columns(_user(clicks, users))
    further = [_TIME] * (times or bool(users)) + [events.code_column] * bool(events)
    sessions, coded = _collect(
        side_inputs.encode(rows), start, [*side_inputs.names, *further], of_session
    )
    arrays = _flat(sessions[SESSION_ID], coded, side_inputs.names, events, timed=timed)
    order = sessions.select(pl.arg_sort_by(_START, _ROW)).to_series().to_numpy().astype(np.int64)
    if users:
        arrays = _of_users(arrays, sessions[_USER], began=sessions[_TIME])
        arrays = arrays if times else replace(arrays, times=NO_TIMES)
    stands_in_order = np.array_equal(order, np.arange(len(order)))
    return arrays if stands_in_order else arrays.take(order)


def from_lists(
    sessions: Sequence[Sequence[object]],
    catalog: Catalog,
    *,
    side_inputs: SideInputs = NO_SIDE_INPUTS,
    times: bool = False,
) -> SessionArrays:
    """Return lists of item ids as sessions 0, 1, …; an empty list is an empty session.

    Raise DataError for items that are no ids, and sessions that are no lists (see `clicks.ids`).
    """
    lists = [plain_ids(session) for session in sessions]
    places = [place for place, ids in enumerate(lists) for _ in ids]
    items = column_of([item for ids in lists for item in ids], ITEM_ID)
    clicks = pl.LazyFrame({SESSION_ID: pl.Series(places, dtype=pl.Int64), ITEM_ID: items})
    every = pl.LazyFrame({SESSION_ID: pl.Series(range(len(lists)), dtype=pl.Int64)})
    clicks = every.join(clicks, on=SESSION_ID, how="left", maintain_order="left_right")
    return to_arrays(clicks, catalog, by_start=False, side_inputs=side_inputs, times=times)


def _clock(timed: bool) -> pl.Expr:
    """Return the seconds since 1970 of each click, or without times its row."""
    return pl.col(TIMESTAMP).dt.epoch("us") / 1e6 if timed else pl.col(_ROW).cast(pl.Float64)


def _user(clicks: pl.LazyFrame, column: str) -> pl.Expr:
    """Return a hash of the user of each session, 0 without one. Raise DataError without the column.

    It is the same for all logs in one process.
    """
    schema = clicks.collect_schema()
    dtype = schema.get(column, pl.List)
    if dtype.is_nested() or dtype in (pl.Duration, pl.Object):
        raise DataError(
            f"the click log lacks a column {column!r} of users, which the sessions of one user are "
            f"known by; name one of {', '.join(schema)}",
            mend_with=["user_col"],
        )
    user = plain_text(column).backward_fill().over(SESSION_ID)  # who logs in midway is known
    return user.hash().fill_null(0).alias(_USER)


def _of_users(arrays: SessionArrays, users: pl.Series, *, began: pl.Series) -> SessionArrays:
    """Return sessions that have times with their users, and when each began and ended [S]."""
    starts, some = began.to_numpy(), arrays.lengths > 0
    ended = starts.copy()
    ended[some] = arrays.times[arrays.offsets[1:][some] - 1]
    return replace(arrays, users=users.to_numpy(), began=starts, ended=ended)


def _stands_whole(clicks: pl.LazyFrame, timed: bool) -> bool:
    """Whether the clicks of each session follow each other, in time order."""
    time = pl.col(TIMESTAMP) if timed else pl.lit(0)
    heads, in_time = pl.collect_all(
        [
            clicks.filter(is_first).select(pl.col(SESSION_ID).hash()),
            clicks.select((is_first | (time >= time.shift(1))).all()),
        ],
        engine="streaming",
    )
    return bool(in_time.item()) and heads.to_series().n_unique() == heads.height


def _session_after_session(rows: pl.LazyFrame, *, timed: bool, by_start: bool) -> pl.LazyFrame:
    """Sort rows by session and time; unless `by_start`, `_ROW` becomes the session's first row."""
    if not by_start:
        rows = rows.with_columns(pl.col(_ROW).min().over(SESSION_ID))
    return rows.sort(SESSION_ID, *([TIMESTAMP] if timed else []), maintain_order=True)


def _collect(
    rows: pl.LazyFrame, start: str, columns: Sequence[str], of_session: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Collect (a row per session: its id, start and row; a row per click: its code, `columns`)."""
    index = pl.col(_INDEX)
    # A session of no click, an empty list, is a row without an item.
    is_unknown = index.is_null() & pl.col(ITEM_ID).is_not_null()
    begun = rows.filter(is_first)
    sessions = begun.select(SESSION_ID, pl.col(start).alias(_START), _ROW, *of_session)
    coded = rows.select(is_first.alias(_FIRST), index, is_unknown.alias(_UNKNOWN), *columns)
    collected_sessions, collected_clicks = pl.collect_all([sessions, coded], engine="streaming")
    return collected_sessions, collected_clicks


def _flat(
    session_ids: pl.Series,
    coded: pl.DataFrame,
    sides: Sequence[str],
    events: EventTypes,
    *,
    timed: bool,
) -> SessionArrays:
    """Make arrays of the coded clicks of sessions, in their order; unknown items are left out."""
    known, unknown = coded[_INDEX].is_not_null(), coded[_UNKNOWN].to_numpy()
    starts = coded[_FIRST].arg_true().to_numpy()
    is_target = unknown.copy()
    is_target[starts] = False
    types = coded[events.code_column].to_numpy() if events else NO_CODES
    if events:
        is_target &= events.by_code[types] > 0
    return SessionArrays(
        session_ids,
        items=coded[_INDEX].drop_nulls().cast(pl.Int64).to_numpy(),
        offsets=offsets_of(_sums(known.to_numpy(), starts)),
        sides=coded.filter(known).select(sides).to_numpy() if sides else NO_SIDES,
        times=coded[_TIME].filter(known).to_numpy() if _TIME in coded.columns else NO_TIMES,
        timed=timed,
        events=types[known.to_numpy()] if events else NO_CODES,
        event_types=events,
        unknown=_sums(unknown, starts),
        unknown_targets=_sums(is_target, starts),
    )


def _sums(values: BoolArray, starts: IntArray) -> IntArray:
    """Count the true values of each run that begins at one of `starts`."""
    if not len(starts):
        return np.empty(0, dtype=np.int64)
    return np.add.reduceat(values, starts, dtype=np.int64)
