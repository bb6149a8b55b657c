"""Where the running sessions of a service are: in a Redis or Valkey, which its workers share.

There a session is a list of its clicks, each as JSON with its item, time and side inputs, so that
any worker goes on with it, and any later model. One transaction appends a request's clicks and
reads all of the session. What this worker made of the clicks it keeps, and reads on from there.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from gru4rec.errors import DataError, import_extra
from gru4rec.recommenders import Recommender
from gru4rec.schema import TIMESTAMP
from gru4rec.service.answering import Answer, click_all, find_all, in_turns, sessions_of
from gru4rec.service.kept_clicks import click_of, kept_of, seconds_of
from gru4rec.service.question import Clicked, Question
from gru4rec.service.refusal import Refusal
from gru4rec.service.settings import ServiceSettings
from gru4rec.serving import SavedSession, SessionStore
from gru4rec.sessions import RunningSession

logger = logging.getLogger(__name__)

_KEY = "gru4rec:session:"
_PATIENCE = 0.25  # seconds that a call may take
_PAUSE = 1.0  # seconds after a failure in which nobody waits for the next one


class SharedSessions:
    """Sessions in a Redis or Valkey; where it does not answer, questions are without history."""

    def __init__(self, settings: ServiceSettings, recommender: Recommender) -> None:
        """Connect at the first question. Raise MissingExtraError without a client for it."""
        import_extra("redis", extra="redis")
        from redis import asyncio as redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError

        self._client: Any = redis.from_url(
            settings.sessions or "",
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 1),  # of a connection that was dropped while it was idle
        )
        self._failures = (RedisError, OSError, asyncio.TimeoutError)
        self._most_clicks = settings.max_items
        self._milliseconds = int(60_000 * settings.session_minutes)
        self._settings, self._failed = settings, 0.0
        self.prepared(recommender)()

    def prepared(self, recommender: Recommender) -> Callable[[], None]:
        """See `HeldSessions.prepared`: each session is read again when it is asked for."""
        return partial(self._take, recommender)

    def _take(self, recommender: Recommender) -> None:
        self.recommender = recommender
        self._store = SessionStore(
            recommender,
            most=self._settings.max_sessions,
            minutes=self._settings.session_minutes,
        )
        self._read: dict[str, list[bytes]] = {}
        """The clicks that the store has of each session, as they are kept."""

    async def answer(self, questions: Sequence[Question]) -> list[Answer | Exception]:
        """See `HeldSessions.answer`."""
        return await in_turns(questions, self._answer)

    async def _answer(self, questions: Sequence[Question]) -> list[Answer | Exception]:
        refused = {place: error for place, asked in enumerate(questions)
                   if (error := self._wrong_with(asked)) is not None}  # fmt: skip
        sound = [asked for place, asked in enumerate(questions) if place not in refused]
        kept = await self._clicks_of([asked for asked in sound if asked.session_id is not None])
        sessions, have_history = self._sessions(sound, kept)
        found = iter(find_all(self.recommender, sessions, sound, have_history=have_history))
        return [refused.get(place) or next(found) for place in range(len(questions))]

    def _wrong_with(self, asked: Question) -> DataError | None:
        """Return what is wrong with the clicks of a question, before others see them."""
        try:
            for click in asked.clicks:
                self.recommender.side_inputs.codes(click.known, None)
        except DataError as error:
            return error
        return None

    def _sessions(
        self, questions: Sequence[Question], kept: list[list[bytes]] | None
    ) -> tuple[list[RunningSession], bool]:
        """Return the sessions of questions, and whether all that was clicked before is in them."""
        if kept is None:
            return sessions_of(self.recommender, questions), False
        alone = [asked for asked in questions if asked.session_id is None]
        made = iter(sessions_of(self.recommender, alone) if alone else ())
        ids = [asked.session_id for asked in questions if asked.session_id is not None]
        for session_id, clicks in zip(ids, kept, strict=True):
            self._read_on(session_id, clicks)
        running = iter(self._store.running(ids))
        return [next(made if each.session_id is None else running) for each in questions], True

    def _read_on(self, session_id: str, clicks: list[bytes]) -> None:
        """Give the store the clicks of a session that it has not."""
        read = self._read.get(session_id, [])
        if session_id not in self._store or clicks[: len(read)] != read:
            self._store.end(session_id)
            read = []
        if len(self._read) > 2 * self._settings.max_sessions:
            self._read = {key: self._read[key] for key in self._store if key in self._read}
        self._read[session_id] = clicks
        names = set(self.recommender.side_inputs.values) | {TIMESTAMP}
        new = _readable(clicks[len(read) :])
        click_all(
            self._store,
            [
                (session_id, Clicked(item, {key: known[key] for key in known.keys() & names}))
                for item, known in new
            ],
        )

    async def _clicks_of(self, questions: Sequence[Question]) -> list[list[bytes]] | None:
        """Append the clicks of questions, and return all of each session; None without Redis."""
        if not questions:
            return []
        if time.monotonic() < self._failed + _PAUSE:
            return None
        try:
            async with self._client.pipeline(transaction=True) as calls:
                for asked in questions:
                    key = f"{_KEY}{asked.session_id}"
                    if asked.clicks:
                        calls.rpush(key, *map(kept_of, asked.clicks))
                        calls.ltrim(key, -self._most_clicks, -1)
                        calls.pexpire(key, self._milliseconds)
                    calls.lrange(key, 0, -1)
                answers = await calls.execute()
        except self._failures as error:
            self._fail(error)
            return None
        return [answer for answer in answers if isinstance(answer, list)]

    async def session(self, session_id: str) -> SavedSession | None:
        """See `HeldSessions.session`."""
        clicks = _readable(await self._call("lrange", session_id, 0, -1))
        if not clicks:
            return None
        catalog = self.recommender.catalog
        found = [(catalog.find(click.item), click.known.get(TIMESTAMP)) for click in clicks]
        known = [(index, moment) for index, moment in found if index is not None]
        return SavedSession(
            session_id=session_id,
            clicked=time.time(),
            last_time=found[-1][1],
            items=catalog.ids_of(index for index, _ in known),
            times=[None if moment is None else seconds_of(moment) for _, moment in known],
            unknown=len(clicks) - len(known),
        )

    async def end(self, session_id: str) -> bool:
        """See `HeldSessions.end`."""
        return bool(await self._call("delete", session_id))

    async def count(self) -> int:
        """See `HeldSessions.count`: all keys of the database. 0 where it does not answer."""
        try:
            return int(await self._client.dbsize())
        except self._failures:
            return 0

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _call(self, name: str, session_id: str, *arguments: object) -> Any:
        try:
            return await getattr(self._client, name)(f"{_KEY}{session_id}", *arguments)
        except self._failures as error:
            self._fail(error)
            raise Refusal(503, "the sessions cannot be reached; try again later") from error

    def _fail(self, error: BaseException) -> None:
        logger.warning("answers are without history: the sessions cannot be reached: %s", error)
        self._failed = time.monotonic()


def _readable(clicks: Iterable[bytes]) -> list[Clicked]:
    return [click for kept in clicks if (click := click_of(kept)) is not None]
