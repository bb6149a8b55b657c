"""Many running sessions by their ids: clicked together, limited in number and age, kept on disk."""

import logging
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from pathlib import Path
from threading import RLock
from typing import Any, NoReturn

import numpy as np
import polars as pl

from gru4rec.addresses import refuse_address
from gru4rec.clicks import plain_id, plain_ids
from gru4rec.errors import ConfigError, DataError
from gru4rec.schema import SESSION_ID
from gru4rec.serving.answering import Answering
from gru4rec.serving.answers import answer_table
from gru4rec.serving.best_items import best_of_running
from gru4rec.serving.list_rules import ListRules, filter_of
from gru4rec.serving.saved_session import SavedSession, SessionId
from gru4rec.serving.session_store_file import read_sessions, write_sessions
from gru4rec.sessions import Click, RunningSession, read_again, refuse_other, take_in

_AT_ONCE = 256  # sessions that are copied while the others wait

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Stored:
    session: RunningSession
    clicked: float
    """When its last click came, by the store's clock."""


class SessionStore:
    """The running sessions of a recommender. Threads may share it.

    Where it is full, the session that was not clicked for longest gives way to a new one; a session
    that was not clicked for `minutes` is over. Both then begin anew, without clicks.
    """

    def __init__(
        self,
        recommender: Answering,
        *,
        most: int = 100_000,
        minutes: float = 60.0,
        most_clicks: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Hold `most` sessions; `clock` gives the time in seconds.

        Of a session so many of the newest clicks are kept as `most_clicks` says, at times half as
        many again. Raise ConfigError for limits that are not above 0, NotFittedError before `fit`.
        """
        if most < 1 or not minutes > 0 or (most_clicks is not None and most_clicks < 1):
            raise ConfigError(
                "a store needs room for a session and a click, and minutes above 0, got "
                f"{most}, {most_clicks} and {minutes}"
            )
        self.most, self.seconds, self._clock = most, 60 * minutes, clock
        self._most_clicks = most_clicks
        self._recommender, self._catalog = recommender, recommender.catalog
        self._side_inputs = recommender.side_inputs
        self._stored: OrderedDict[SessionId, _Stored] = OrderedDict()  # by their last click
        self._lock = RLock()
        self.num_displaced = 0
        """Sessions that gave way because the store was full."""

    def __reduce__(self) -> NoReturn:
        """Raise DataError: running sessions are neither copied nor pickled."""
        raise DataError(
            "running sessions are neither copied nor pickled; keep them in a file by save, and "
            "take them in by restore"
        )

    def __len__(self) -> int:
        with self._lock:
            self._drop_old()
            return len(self._stored)

    def __iter__(self) -> Iterator[SessionId]:
        """Iterate over the ids of the sessions that are there."""
        with self._lock:
            self._drop_old()
            return iter(list(self._stored))

    def __contains__(self, session_id: object) -> bool:
        with self._lock:
            self._drop_old()
            return session_id in self._stored

    def click_many(
        self, ids: Sequence[SessionId], items: Sequence[object], **known: Sequence[object]
    ) -> None:
        """Add a click on each item to the session of the same place; new ids begin sessions.

        Clicks of one session are taken in their order. `known` are lists as long as `items` of what
        `LiveSession.click` takes; all may be arrays or columns. Items outside the catalog are
        passed over.

        Raise DataError for lists of different lengths, for what is no id of a session or an item,
        and for what is no side input. Then no click is taken in.
        """
        ids, items = plain_ids(ids, "session"), plain_ids(items)
        values = [_plain(column) for column in known.values()]
        lengths = {len(ids), len(items), *map(len, values)}
        if len(lengths) > 1:
            raise DataError(f"give a session id for each item, got lists of {sorted(lengths)}")
        with self._lock:
            refuse_other(self._recommender, self._catalog)
            self._drop_old()
            of_names = dict(zip(known, values, strict=True))
            self._take_in(ids, self._read(ids, items, of_names))

    def _read(
        self,
        ids: Sequence[SessionId],
        items: Sequence[object],
        known: Mapping[str, Sequence[object]],
    ) -> list[Click]:
        """Return the clicks, checked; nothing is changed yet."""
        sessions: dict[SessionId, RunningSession] = {}
        times: dict[SessionId, datetime | None] = {}
        clicks = []
        for place, (session_id, item) in enumerate(zip(ids, items, strict=True)):
            if session_id not in sessions:
                stored = self._stored.get(session_id)
                sessions[session_id] = RunningSession() if stored is None else stored.session
                times[session_id] = sessions[session_id].last_time
            of_click = {name: values[place] for name, values in known.items()}
            session, before = sessions[session_id], times[session_id]
            clicks.append(Click.read(self._recommender, session, item, of_click, before))
            times[session_id] = clicks[-1].time
        return clicks

    def _take_in(self, ids: Sequence[SessionId], clicks: Sequence[Click]) -> None:
        now = self._clock()
        rounds: list[list[Click]] = []  # a session is clicked once in each
        counts: dict[SessionId, int] = defaultdict(int)
        for session_id, click in zip(ids, clicks, strict=True):
            if counts[session_id] == len(rounds):
                rounds.append([])
            rounds[counts[session_id]].append(click)
            counts[session_id] += 1
        for clicks_of_round in rounds:
            take_in(self._recommender, clicks_of_round)
        for session_id, click in zip(ids, clicks, strict=True):
            self._stored[session_id] = _Stored(click.session, now)
            self._stored.move_to_end(session_id)
            if self._most_clicks and len(click.session.items) > 1.5 * self._most_clicks:
                click.session.forget_all_but(self._most_clicks)
        self._make_room()

    def running(self, ids: Sequence[SessionId]) -> list[RunningSession]:
        """Return copies of sessions; one that is not there has no clicks.

        Raise DataError for what is no id, and after another fit.
        """
        ids = plain_ids(ids, "session")
        with self._lock:
            refuse_other(self._recommender, self._catalog)
            self._drop_old()
            stored = [self._stored.get(session_id) for session_id in ids]
            return [RunningSession() if one is None else one.session.copy() for one in stored]

    def recommend_many(
        self,
        ids: Sequence[SessionId],
        k: int = 20,
        *,
        exclude_clicked: bool = False,
        allow: Iterable[object] | None = None,
        deny: Iterable[object] = (),
        rules: ListRules | None = None,
    ) -> pl.DataFrame:
        """Return the k best next items of sessions: session_id, rank (from 1), item_id, score.

        As `Recommender.recommend` gives for their clicks; a session that is not there gets the
        popular items. Raise DataError for k < 1, ids of different types, if no item may be
        recommended, and after another fit.
        """
        only = {"allow": allow, "deny": deny, "exclude_clicked": exclude_clicked}
        item_filter = filter_of(self._recommender, rules=rules, **only)
        ids = plain_ids(ids, "session")
        scores, items = best_of_running(self._recommender, self.running(ids), k, item_filter)
        try:
            named = pl.Series(SESSION_ID, ids)
        except TypeError as error:
            raise DataError("the session ids of a call must all be integers or all text") from error
        return answer_table(named, self._catalog, scores, items)

    def end(self, session_id: SessionId) -> bool:
        """Forget a session. Return False if it is not there."""
        with self._lock:
            return self._stored.pop(plain_id(session_id, "session"), None) is not None

    def save(self, path: str | Path) -> None:
        """Write the sessions to a Parquet file: their clicks by item ids.

        Raise DataError where the file cannot be written; an older one then stays.
        """
        write_sessions(Path(path), self.saved(), self._catalog, self._side_inputs)

    def get(self, session_id: SessionId) -> SavedSession | None:
        """Return a session by item ids; None if it is not there."""
        saved = self.saved([plain_id(session_id, "session")])
        return saved[0] if saved else None

    def saved(
        self, ids: Iterable[SessionId] | None = None, *, since: float = -inf
    ) -> list[SavedSession]:
        """Return sessions by item ids: those of `ids` that are there, or all, the oldest first.

        `since` leaves out those whose last click is older.
        """
        with self._lock:
            self._drop_old()
            wanted = list(ids) if ids is not None else self._ids_since(since)
        saved = []
        for start in range(0, len(wanted), _AT_ONCE):  # others have their turn in between
            with self._lock:
                rows = [
                    (session_id, stored.clicked, stored.session.copy())
                    for session_id in wanted[start : start + _AT_ONCE]
                    if (stored := self._stored.get(session_id)) and stored.clicked >= since
                ]
            saved += [SavedSession.of(*row, self._catalog, self._side_inputs) for row in rows]
        return saved

    def _ids_since(self, since: float) -> list[SessionId]:
        """Return the ids of sessions that were clicked since a time, the oldest first."""
        newest = []
        for session_id in reversed(self._stored):
            if self._stored[session_id].clicked < since:
                break
            newest.append(session_id)
        return newest[::-1]

    def restore(self, path: str | Path) -> None:
        """Take in the sessions that a store saved, of this recommender or of an older one.

        Their clicks are read again, those on unknown items left out. A session that is here already
        stays, unless its last click is older; the limits of this store hold. Raise DataError for a
        file of another kind.
        """
        refuse_address(path, DataError)
        self.take_over(read_sessions(Path(path)))

    def take_over(self, sessions: Iterable[SavedSession]) -> None:
        """Take in sessions as `restore` does."""
        new = {
            saved.session_id: _Stored(
                saved.running(self._catalog, self._side_inputs), saved.clicked
            )
            for saved in sessions
        }
        with self._lock:
            refuse_other(self._recommender, self._catalog)
            self._drop_old()
            for session_id in new.keys() & self._stored.keys():
                if self._stored[session_id].clicked >= new[session_id].clicked:
                    del new[session_id]
            read_again(self._recommender, [stored.session for stored in new.values()])
            self._stored |= new
            by_click = sorted(self._stored.items(), key=lambda entry: entry[1].clicked)
            self._stored = OrderedDict(by_click)
            self._make_room()
            self._drop_old()

    def _drop_old(self) -> None:
        """Forget the sessions that are over."""
        oldest = self._clock() - self.seconds
        while self._stored and next(iter(self._stored.values())).clicked < oldest:
            self._stored.popitem(last=False)

    def _make_room(self) -> None:
        while len(self._stored) > self.most:
            self._stored.popitem(last=False)
            if not self.num_displaced:
                logger.warning(
                    "the store is full with %d sessions: the oldest begin anew", self.most
                )
            self.num_displaced += 1


def _plain(values: Iterable[Any]) -> list[Any]:
    """Return side inputs as plain values: the numbers of an array are no Python numbers."""
    if isinstance(values, str):
        raise DataError(f"give a list of side inputs, got the text {values!r}")
    return values.tolist() if isinstance(values, np.ndarray) else list(values)
