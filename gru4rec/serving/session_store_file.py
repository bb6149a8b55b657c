"""Running sessions as a Parquet file: a row each, their clicks by item ids."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import polars as pl

from gru4rec.atomic import write_beside
from gru4rec.clicks import read_parquet, write_parquet
from gru4rec.errors import DataError
from gru4rec.forks import refuse_forked
from gru4rec.schema import SESSION_ID
from gru4rec.sessions import Catalog, RunningSession, SideInputs

SessionId: TypeAlias = int | str

_CLICKED, _LAST_TIME, _ITEMS, _TIMES = "clicked", "last_time", "items", "times"
_SIDE = "side."  # before the name of a side input: the column of its values


def write_sessions(
    path: Path,
    sessions: Iterable[tuple[SessionId, float, RunningSession]],
    catalog: Catalog,
    side_inputs: SideInputs,
) -> None:
    """Write (id, when its last click came, session) of each; beside the path, then renamed.

    Ids are JSON, since numbers and texts may stand beside each other. Raise DataError where the
    file cannot be written.
    """
    refuse_forked()
    rows = list(sessions)
    lists = pl.List(pl.String)
    table = pl.DataFrame(
        {
            SESSION_ID: [json.dumps(session_id) for session_id, _, _ in rows],
            _CLICKED: [clicked for _, clicked, _ in rows],
            _LAST_TIME: [session.last_time for _, _, session in rows],
            _ITEMS: [catalog.ids_of(session.items) for _, _, session in rows],
            _TIMES: [session.times for _, _, session in rows],
            **{
                f"{_SIDE}{name}": [
                    [side_inputs.text_of(name, codes[place]) for codes in session.sides]
                    for _, _, session in rows
                ]
                for place, name in enumerate(side_inputs.values)
            },
        },
        schema={
            SESSION_ID: pl.String,
            _CLICKED: pl.Float64,
            _LAST_TIME: pl.Datetime("us"),
            _ITEMS: pl.List(catalog.item_ids.dtype),
            _TIMES: pl.List(pl.Float64),
            **{f"{_SIDE}{name}": lists for name in side_inputs.values},
        },
    )
    write_beside(path, lambda file: write_parquet(table, file))


def read_sessions(
    path: Path, catalog: Catalog, side_inputs: SideInputs
) -> Iterator[tuple[SessionId, float, RunningSession]]:
    """Yield what `write_sessions` wrote, less the states, by this catalog and these codes.

    Clicks on unknown items are left out, values of unknown side inputs too. Raise DataError for a
    file that is none of these.
    """
    refuse_forked()
    try:
        for row in read_parquet(path).iter_rows(named=True):
            session = RunningSession(last_time=row[_LAST_TIME])
            for place, item in enumerate(row[_ITEMS]):
                index = catalog.find(item)
                if index is None:
                    continue
                session.items.append(index)
                session.times.append(row[_TIMES][place])
                if len(side_inputs):
                    texts = {name: row.get(f"{_SIDE}{name}") for name in side_inputs.values}
                    session.sides.append(
                        [
                            side_inputs.code_of(name, values[place] if values else None)
                            for name, values in texts.items()
                        ]
                    )
            session_id = json.loads(row[SESSION_ID])
            if not isinstance(session_id, int | str):
                raise ValueError(f"{session_id!r} is no session id")
            yield session_id, float(row[_CLICKED]), session
    except (OSError, LookupError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"cannot read the sessions of {path}: {error!r}; it is no file of them"
        ) from error
