"""Where the running sessions of a service are: in a Redis or Valkey, which its workers share.

There a session is a list of its clicks, each as JSON with its item, time and side inputs, so that
any worker goes on with it, and any later model. One transaction appends a request's clicks and
reads all of the session. What this worker made of the clicks it keeps, and reads on from there.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from gru4rec.errors import ConfigError, DataError, import_extra
from gru4rec.recommenders import Recommender
from gru4rec.schema import TIMESTAMP
from gru4rec.service.answering import Answers, find_all, in_turns, sessions_of
from gru4rec.service.kept_clicks import click_of, kept_of, seconds_of
from gru4rec.service.question import Clicked, Question
from gru4rec.service.read_sessions import ReadSessions
from gru4rec.service.refusal import Refusal
from gru4rec.service.settings import ServiceSettings
from gru4rec.serving import SavedSession

logger = logging.getLogger(__name__)

_KEY = "gru4rec:session:"
_PATIENCE = 0.25  # seconds that a call may take
_PAUSE = 1.0  # seconds after a failure in which nobody waits for the next one
_IDLE = 1.0  # seconds after which a connection may have been dropped
_ROOM = 1.5  # times the clicks that are kept, at which the older ones are trimmed
_AWAY = "the sessions cannot be reached; try again later"


class SharedSessions:
    """Sessions in a Redis or Valkey; where it does not answer, questions are without history."""

    def __init__(self, settings: ServiceSettings, recommender: Recommender) -> None:
        """Connect at the first question. Raise MissingExtraError without a client for it."""
        import_extra("redis", extra="redis")
        from redis import asyncio as redis
        from redis import exceptions
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        self._client: Any = redis.from_url(
            settings.sessions or "",
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 0),  # a click that was appended is not appended again
        )
        self._failures = (exceptions.RedisError, OSError, asyncio.TimeoutError)
        self._refusals = exceptions.ResponseError
        self._settings = settings
        self._milliseconds = int(60_000 * settings.session_minutes)
        self._failed = self._answered = 0.0
        self._is_away = False
        _greet(settings)
        self._read = ReadSessions(settings, recommender)

    def prepared(self, recommender: Recommender) -> Callable[[], None]:
        """See `HeldSessions.prepared`: each session is read again when it is asked for."""
        return partial(setattr, self, "_read", ReadSessions(self._settings, recommender))

    async def answer(self, questions: Sequence[Question]) -> Answers:
        """See `HeldSessions.answer`."""
        return await in_turns(questions, self._answer)

    async def _answer(self, questions: Sequence[Question]) -> Answers:
        read = self._read  # also if the model changes while the sessions are awaited
        errors = {place: error for place, asked in enumerate(questions)
                  if (error := _wrong_with(asked, read.recommender)) is not None}  # fmt: skip
        places = [place for place in range(len(questions)) if place not in errors]
        sound = [questions[place] for place in places]
        asked = [each for each in sound if each.session_id is not None]
        kept = iter(await self._clicks_of(asked))
        sessions, has_history = [], []
        for question in sound:
            clicks = [] if question.session_id is None else next(kept)
            if clicks is None or question.session_id is None:
                (session,) = sessions_of(read.recommender, [question])
            else:
                session = read.session(question.session_id, clicks)
            sessions.append(session)
            has_history.append(clicks is not None)
        answers = find_all(read.recommender, sessions, sound, has_history)
        found = dict(zip(places, answers, strict=True))
        for place, question, has in zip(places, sound, has_history, strict=True):
            if question.clicks and not question.k and not has:
                found[place] = Refusal(503, _AWAY)  # it asked for nothing but to keep the clicks
        return [
            found[place] if place in found else errors[place] for place in range(len(questions))
        ]

    async def _clicks_of(self, questions: Sequence[Question]) -> list[list[bytes] | None]:
        """Append the clicks of questions, and return all of each session; None where none can."""
        nothing: list[list[bytes] | None] = [None] * len(questions)
        now = time.monotonic()
        if not questions or now < self._failed + _PAUSE:
            return nothing
        try:
            if now > self._answered + _IDLE:
                await self._wake()
            async with self._client.pipeline(transaction=True) as calls:
                for asked in questions:
                    key = f"{_KEY}{asked.session_id}"
                    if asked.clicks:
                        calls.rpush(key, *map(kept_of, asked.clicks))
                        calls.pexpire(key, self._milliseconds)
                    calls.lrange(key, 0, -1)
                answers = iter(await calls.execute(raise_on_error=False))
            kept = []
            for asked in questions:
                appended = [next(answers) for _ in range(2 if asked.clicks else 0)]
                clicks = next(answers)
                is_kept = isinstance(clicks, list) and not any(
                    isinstance(answer, Exception) for answer in appended
                )
                kept.append(clicks if is_kept else None)
            await self._trim(questions, kept)
            self._answered = time.monotonic()
            if self._is_away:
                self._is_away = False
                logger.info("the sessions can be reached again")
        except self._failures as error:
            self._fail(error)
            return nothing
        return kept

    async def _trim(
        self, questions: Sequence[Question], kept: Sequence[list[bytes] | None]
    ) -> None:
        """Drop the oldest clicks of sessions that have many too many."""
        most = self._settings.max_items
        for asked, clicks in zip(questions, kept, strict=True):
            if clicks is not None and len(clicks) > _ROOM * most:
                await self._client.ltrim(f"{_KEY}{asked.session_id}", -most, -1)

    async def _wake(self) -> None:
        """Find out whether a connection was dropped; the next call then makes a new one."""
        try:
            await self._client.ping()
        except self._failures as error:
            logger.info("a connection to the sessions had ended: %s", error)

    async def session(self, session_id: str) -> SavedSession | None:
        """See `HeldSessions.session`."""
        clicks = _readable(await self._call("lrange", session_id, 0, -1))
        if not clicks:
            return None
        catalog = self._read.recommender.catalog
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
        self._read.forget(session_id)
        return bool(await self._call("delete", session_id))

    async def count(self) -> float:
        """See `HeldSessions.count`: all keys of the database."""
        try:
            return float(await self._client.dbsize())
        except self._failures:
            return math.nan

    async def close(self) -> None:
        """See `HeldSessions.close`."""
        await self._client.aclose()

    async def _call(self, name: str, session_id: str, *arguments: object) -> Any:
        try:
            return await getattr(self._client, name)(f"{_KEY}{session_id}", *arguments)
        except self._failures as error:
            self._fail(error)
            refused = f"the store of the sessions refuses it: {error}"
            is_refusal = isinstance(error, self._refusals)
            raise Refusal(503, refused if is_refusal else _AWAY) from error

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, self._refusals):  # which are of one command, and come at once
            logger.warning("the store of the sessions refuses a command: %s", error)
            return
        self._failed = time.monotonic()
        if not self._is_away:
            logger.warning(
                "the sessions cannot be reached, and until they can answers are without history: "
                "%s", error,
            )  # fmt: skip
        self._is_away = True


def _greet(settings: ServiceSettings) -> None:
    """Say if nobody answers at the address. Raise ConfigError if one does, and lets nobody in."""
    import redis

    with redis.Redis.from_url(settings.sessions, socket_timeout=2, retry=None) as client:
        try:
            client.ping()
        except (redis.AuthenticationError, redis.ResponseError) as error:
            raise ConfigError(
                f"the store of the sessions lets nobody in: {error}; put the password into the "
                "address of sessions: redis://:PASSWORD@HOST:PORT/0",
                mend_with=["sessions"],
            ) from error
        except (redis.RedisError, OSError) as error:
            logger.warning("the sessions cannot be reached yet: %s", error)


def _wrong_with(asked: Question, recommender: Recommender) -> DataError | None:
    """Return what is wrong with the clicks of a question, before they are kept."""
    try:
        for click in asked.clicks:
            recommender.side_inputs.codes(click.known, None)
    except DataError as error:
        return error
    return None


def _readable(clicks: Iterable[bytes]) -> list[Clicked]:
    return [click for kept in clicks if (click := click_of(kept)) is not None]
