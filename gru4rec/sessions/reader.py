"""Read the sessions to recommend for: a click log, whole or in pieces, or lists of items."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from gru4rec.clicks import SHARD_ROWS, ArrowTable, ClickSource, read_clicks, session_runs
from gru4rec.errors import DataError
from gru4rec.sessions.arrays import SessionArrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.sessions.conversion import from_lists, to_arrays
from gru4rec.sessions.earlier_sessions import after_earlier
from gru4rec.sessions.event_types import NO_EVENTS, EventTypes
from gru4rec.sessions.side_inputs import SideInputs

logger = logging.getLogger(__name__)

Prefixes: TypeAlias = ClickSource | Iterable[Iterable[object]]


@dataclass(frozen=True)
class SessionReader:
    """What a recommender asks of sessions, and how to read arrays that have it."""

    catalog: Catalog
    """The items it knows."""
    side_inputs: SideInputs
    """What it reads of a click besides the item."""
    times: bool
    """Whether it asks when clicks were made."""
    events: EventTypes = NO_EVENTS
    """The types of events, where they say which clicks are targets."""
    users: str = ""
    """The column of users, where each session begins where its user's last one ended."""
    user_clicks: int = 0
    """How many clicks of earlier sessions are read before it."""
    history: SessionArrays | None = None
    """Sessions that were before those that are read, if they are given."""

    def prefixes(self, prefixes: Prefixes) -> SessionArrays:
        """Read sessions, as `Recommender.recommend` takes them, in their order."""
        log, lists = _told_apart(prefixes)
        if log is not None:
            return self.arrays(self._clicks(log), by_start=False)
        return from_lists(lists, self.catalog, side_inputs=self.side_inputs, times=self.times)

    def pieces(self, prefixes: Prefixes) -> Iterator[SessionArrays]:
        """Read them as `prefixes` does, but a large log a few million clicks at a time.

        A log whose sessions do not stand whole is one piece.
        """
        log, lists = _told_apart(prefixes)
        if log is None or self.users:  # a user's sessions may stand anywhere
            yield self.prefixes(prefixes if log is not None else lists)
            return
        for first_row, piece in session_runs(self._clicks(log), shard_rows=SHARD_ROWS):
            yield self.arrays(piece, by_start=False, first_row=first_row)

    def arrays(
        self, clicks: pl.LazyFrame, *, by_start: bool = True, first_row: int = 0
    ) -> SessionArrays:
        """Return the sessions of a log; see `to_arrays`. Log if it lacks the column of users."""
        users = self.users
        if users and users not in clicks.collect_schema():
            logger.warning("the log has no column %r of users: each session begins anew", users)
            users = ""
        read = to_arrays(
            clicks,
            self.catalog,
            by_start=by_start,
            side_inputs=self.side_inputs,
            times=self.times,
            events=self.events,
            users=users,
            first_row=first_row,
        )
        return after_earlier(read, self.user_clicks, history=self.history)

    def _clicks(self, log: ClickSource) -> pl.LazyFrame:
        return read_clicks(log, also=[*self.side_inputs.values, *([self.users] * bool(self.users))])


def _told_apart(prefixes: Prefixes) -> tuple[ClickSource | None, list[Any]]:
    """Return (the click log, nothing) or (None, the lists of items) that prefixes are.

    Raise DataError for what is neither.
    """
    is_column = isinstance(prefixes, pl.Series) or getattr(prefixes, "ndim", 0) == 1
    if isinstance(prefixes, str | Path | pl.LazyFrame):
        return prefixes, []
    if isinstance(prefixes, ArrowTable) and not is_column:
        return prefixes, []
    is_list = is_column or not (hasattr(prefixes, "ndim") or isinstance(prefixes, Mapping | Set))
    if is_list and isinstance(prefixes, Iterable):
        sessions: list[Any] = list(prefixes)
        paths = [session for session in sessions if isinstance(session, str | Path)]
        if all(isinstance(session, Iterable) for session in sessions) and not paths:
            return None, sessions
        if len(paths) == len(sessions) and not is_column:
            return paths, []
    raise DataError(
        f"give a click log, or a list of sessions, each a list of items: [['a', 'b']]; got "
        f"{type(prefixes).__name__}"
    )
