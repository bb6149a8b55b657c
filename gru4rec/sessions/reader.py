"""Read the sessions to recommend for: a click log, whole or in pieces, or lists of items."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import polars as pl

from gru4rec.clicks import SHARD_ROWS, ClickSource, read_clicks, session_runs
from gru4rec.errors import DataError
from gru4rec.sessions.arrays import SessionArrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.sessions.conversion import from_lists, to_arrays
from gru4rec.sessions.side_inputs import SideInputs

Prefixes: TypeAlias = ClickSource | Sequence[Sequence[object]]


@dataclass(frozen=True)
class SessionReader:
    """What a recommender asks of sessions, and how to read arrays that have it."""

    catalog: Catalog
    """The items it knows."""
    side_inputs: SideInputs
    """What it reads of a click besides the item."""
    times: bool
    """Whether it asks when clicks were made."""

    def prefixes(self, prefixes: Prefixes) -> SessionArrays:
        """Read sessions, as `Recommender.recommend` takes them, in their order."""
        lists = _lists(prefixes)
        if lists is None:
            return self.arrays(self._log(prefixes), by_start=False)
        return from_lists(lists, self.catalog, side_inputs=self.side_inputs, times=self.times)

    def pieces(self, prefixes: Prefixes) -> Iterator[SessionArrays]:
        """Read them as `prefixes` does, but a large log a few million clicks at a time.

        A log whose sessions do not stand whole is one piece.
        """
        if _lists(prefixes) is not None:
            yield self.prefixes(prefixes)
            return
        for first_row, piece in session_runs(self._log(prefixes), shard_rows=SHARD_ROWS):
            yield self.arrays(piece, by_start=False, first_row=first_row)

    def arrays(
        self, clicks: pl.LazyFrame, *, by_start: bool = True, first_row: int = 0
    ) -> SessionArrays:
        """Return the sessions of a log; see `to_arrays`."""
        return to_arrays(
            clicks,
            self.catalog,
            by_start=by_start,
            side_inputs=self.side_inputs,
            times=self.times,
            first_row=first_row,
        )

    def _log(self, prefixes: Prefixes) -> pl.LazyFrame:
        return read_clicks(cast(ClickSource, prefixes), also=list(self.side_inputs.values))


def _lists(prefixes: Prefixes) -> Sequence[Sequence[object]] | None:
    """Return prefixes that are lists of items, None if they are a click log.

    Raise DataError for lists of something else.
    """
    if not isinstance(prefixes, list | tuple) or any(
        isinstance(prefix, str | Path) for prefix in prefixes
    ):
        return None
    if not all(isinstance(prefix, list | tuple) for prefix in prefixes):
        raise DataError("give a list of sessions, each a list of items: [['a', 'b']]")
    return cast(Sequence[Sequence[object]], prefixes)
