"""Running sessions as a Parquet file: a row each, their clicks by item ids."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec.atomic import write_beside
from gru4rec.clicks import read_parquet, refuse_forked, scan_parquet, write_parquet
from gru4rec.errors import DataError
from gru4rec.schema import SESSION_ID, UNKNOWN
from gru4rec.serving.saved_session import SavedSession
from gru4rec.sessions import Catalog, SideInputs
from gru4rec.untrusted import brief, fits

_CLICKED, _LAST_TIME, _ITEMS, _TIMES = "clicked", "last_time", "items", "times"
# What readers of foreign bytes raise; PanicException is how Polars meets a damaged file.
_DAMAGE = (
    OSError, LookupError, TypeError, ValueError, OverflowError, pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)  # fmt: skip
_SIDE = "side."  # before the name of a side input: the column of its values


def write_sessions(
    path: Path, sessions: Iterable[SavedSession], catalog: Catalog, side_inputs: SideInputs
) -> None:
    """Write sessions beside the path, then rename.

    Ids are JSON, since numbers and texts may stand beside each other. Raise DataError where the
    file cannot be written.
    """
    refuse_forked()
    rows, lists = list(sessions), pl.List(pl.String)
    table = pl.DataFrame(
        {
            SESSION_ID: [json.dumps(row.session_id) for row in rows],
            _CLICKED: [row.clicked for row in rows],
            _LAST_TIME: [row.last_time for row in rows],
            _ITEMS: [row.items for row in rows],
            _TIMES: [row.times for row in rows],
            UNKNOWN: [row.unknown for row in rows],
            **{f"{_SIDE}{name}": [row.sides[name] for row in rows] for name in side_inputs.values},
        },
        schema={
            SESSION_ID: pl.String,
            _CLICKED: pl.Float64,
            _LAST_TIME: pl.Datetime("us"),
            _ITEMS: pl.List(catalog.item_ids.dtype),
            _TIMES: pl.List(pl.Float64),
            UNKNOWN: pl.Int64,
            **{f"{_SIDE}{name}": lists for name in side_inputs.values},
        },
    )
    write_beside(path, lambda file: write_parquet(table, file))


def read_sessions(path: Path) -> Iterator[SavedSession]:
    """Yield what `write_sessions` wrote. Raise DataError for a file that is none of these."""
    refuse_forked()
    try:
        for row in read_parquet(path).iter_rows(named=True):
            yield _session_of(row)
    except _DAMAGE as error:
        raise DataError(
            f"cannot read the sessions of {path}: {brief(error)}; it is no file of them"
        ) from error


def is_of_others(path: Path) -> bool:
    """Whether a file is a whole table, and none of sessions."""
    try:
        return not {SESSION_ID, _CLICKED, _ITEMS} <= set(scan_parquet(path).collect_schema())
    except _DAMAGE:
        return False


def _session_of(row: Mapping[str, Any]) -> SavedSession:
    session_id = json.loads(row[SESSION_ID])
    if not isinstance(session_id, int | str):
        raise ValueError(f"{session_id!r} is no session id")
    items, times = row[_ITEMS], row[_TIMES]
    sides = {name.removeprefix(_SIDE): row[name] for name in row if name.startswith(_SIDE)}
    are_clicks = fits(items, Sequence[int | str]) and fits(times, Sequence[float | None])
    if not are_clicks or not all(fits(each, Sequence[str | None]) for each in sides.values()):
        raise ValueError(f"the clicks of {session_id!r} are none")
    if {len(values) for values in (times, *filter(None, sides.values()))} != {len(items)}:
        raise ValueError(f"the session {session_id!r} has not a value for each click")
    return SavedSession(
        session_id=session_id,
        clicked=float(row[_CLICKED]),
        last_time=row[_LAST_TIME],
        items=items,
        times=times,
        sides=sides,
        unknown=int(row.get(UNKNOWN, 0)),
    )
