"""Remember running sessions, and take their clicks in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.errors import DataError
from gru4rec.schema import TIMESTAMP
from gru4rec.sessions.arrays import SessionArrays, offsets_of
from gru4rec.sessions.catalog import Catalog
from gru4rec.sessions.side_inputs import SideInputs, naive


@dataclass(slots=True)
class RunningSession:
    """What is remembered of one visitor's clicks; of those on unknown items how many there were."""

    items: list[int] = field(default_factory=list)
    """Item index of each click."""
    sides: list[list[int]] = field(default_factory=list)
    """Codes of the side inputs of each click, if there are any."""
    times: list[float | None] = field(default_factory=list)
    """Seconds since 1970 of each click, None where the time is unknown."""
    last_time: datetime | None = None
    """When the last click was made, even if its item is unknown."""
    state: Float32Array | None = None
    """What the recommender keeps of the session, in one row; see `Recommender.next_states`."""
    unknown: int = 0
    """Clicks on items that the catalog does not have."""

    def copy(self) -> "RunningSession":
        """Return a copy that later clicks do not change."""
        lists = (self.items[:], self.sides[:], self.times[:])
        return RunningSession(*lists, self.last_time, self.state, self.unknown)

    def forget_all_but(self, most: int) -> None:
        """Forget the oldest clicks beyond so many; what the state has of them stays."""
        for clicked in (self.items, self.sides, self.times):
            del clicked[:-most]


class Follows(Protocol):
    """What the clicks of running sessions need of a recommender."""

    side_inputs: SideInputs

    @property
    def catalog(self) -> Catalog:
        """See `Recommender.catalog`."""

    def next_states(
        self, states: Sequence[Float32Array | None], items: IntArray, sides: IntArray
    ) -> Sequence[Float32Array | None]:
        """See `Recommender.next_states`."""


@dataclass(frozen=True)
class Click:
    """One more click of a session, read and checked but not yet taken in."""

    session: RunningSession
    item: int | None
    """Its item index, None for an unknown item."""
    sides: list[int]
    """Codes of its side inputs."""
    time: datetime | None
    """When it was made, without a zone, in UTC."""

    @classmethod
    def read(
        cls,
        recommender: Follows,
        session: RunningSession,
        item: object,
        known: Mapping[str, object],
        before: datetime | None,
    ) -> "Click":
        """Read a click on an item, of which `known` is known, after a click at the time `before`.

        Raise DataError for what is no id, and for names and values that are no side inputs.
        """
        index = recommender.catalog.find(item)
        codes = recommender.side_inputs.codes(known, before)
        return cls(session, index, codes, naive(known.get(TIMESTAMP)))


def take_in(recommender: Follows, clicks: Sequence[Click]) -> None:
    """Add a click to each of several different sessions; after an error no session has changed."""
    known = [(click, click.item) for click in clicks if click.item is not None]
    states = _next_states(
        recommender, [(click.session, item, click.sides) for click, item in known]
    )
    for (click, item), state in zip(known, states, strict=True):
        session, time = click.session, click.time
        session.items.append(item)
        if click.sides:
            session.sides.append(click.sides)
        session.times.append(None if time is None else _seconds(time))
        session.state = state
    for click in clicks:
        click.session.last_time = click.time
        click.session.unknown += click.item is None


def read_again(recommender: Follows, sessions: Sequence[RunningSession]) -> None:
    """Give sessions the states that their clicks make, read from the first one on."""
    for session in sessions:
        session.state = None
    place, longer = 0, [session for session in sessions if session.items]
    while longer:
        clicks = [
            (session, session.items[place], session.sides[place] if session.sides else [])
            for session in longer
        ]
        for session, state in zip(longer, _next_states(recommender, clicks), strict=True):
            session.state = state
        place += 1
        longer = [session for session in longer if len(session.items) > place]


def _next_states(
    recommender: Follows, clicks: Sequence[tuple[RunningSession, int, list[int]]]
) -> Sequence[Float32Array | None]:
    """Return the states after clicks, each given as its session, item and codes."""
    if not clicks:
        return []
    items = np.array([item for _, item, _ in clicks], dtype=np.int64)
    sides = np.array([codes for _, _, codes in clicks], dtype=np.int64).reshape(len(clicks), -1)
    return recommender.next_states([session.state for session, _, _ in clicks], items, sides)


def arrays_of(
    sessions: Sequence[RunningSession], side_inputs: SideInputs, *, last: int | None = None
) -> SessionArrays:
    """Return running sessions as sessions 0, 1, …; of each the `last` clicks, or all."""
    since = slice(None if last is None else -last, None)
    lists = [session.items[since] for session in sessions]
    items = np.array([item for clicked in lists for item in clicked], dtype=np.int64)
    sides = [codes for session in sessions for codes in session.sides[since]]
    times = [time for session in sessions for time in session.times[since]]
    timed = None not in times
    return SessionArrays(
        pl.Series(range(len(sessions))),
        items,
        offsets_of([len(clicked) for clicked in lists]),
        np.array(sides, dtype=np.uint16).reshape(len(items), len(side_inputs)),
        np.array(times if timed else range(len(times)), dtype=np.float64),
        timed and bool(times),
    )


def _seconds(time: datetime) -> float:
    return (time - datetime(1970, 1, 1)).total_seconds()


def refuse_other(recommender: Follows, catalog: Catalog) -> None:
    """Raise DataError if a recommender no longer has the catalog that sessions were begun with."""
    if recommender.catalog is not catalog:
        raise DataError(
            "the recommender was fitted again since this session began; start a new one"
        )
