"""Where the running sessions of a service are: here, in the memory of its process."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from gru4rec.errors import DataError
from gru4rec.recommenders import Recommender
from gru4rec.service.answering import Answers, click_all, find_all, in_turns, sessions_of
from gru4rec.service.question import Question
from gru4rec.service.settings import ServiceSettings
from gru4rec.serving import SavedSession, SessionStore
from gru4rec.sessions import RunningSession

_CLOCK_STEP = 5.0  # seconds that a clock may be set back while a model is loaded


class HeldSessions(Protocol):
    """The running sessions of a service, wherever they are."""

    async def answer(self, questions: Sequence[Question]) -> Answers:
        """Take the clicks of questions in, in their order, and answer each."""

    async def session(self, session_id: str) -> SavedSession | None:
        """Return a session; None if it is not there. Raise Refusal if nobody can say."""

    async def end(self, session_id: str) -> bool:
        """Forget a session. Return False if it is not there. Raise Refusal if nobody can."""

    async def count(self) -> float:
        """Return how many sessions there are; nan if nobody can say."""

    async def close(self) -> None:
        """Let go of what they are kept in."""

    def prepared(self, recommender: Recommender) -> Callable[[], None]:
        """Return what makes another recommender answer, all that takes long being done before.

        This may run beside answers, in a thread of its own; what it returns may not.
        """


class SessionsInMemory:
    """Sessions of a store, which has another recommender after a change of models."""

    def __init__(self, settings: ServiceSettings, recommender: Recommender) -> None:
        self._settings = settings
        self.recommender, self.store = recommender, self._new_store(recommender)
        self._ended: set[str] = set()
        """Sessions that were ended since a change of models began."""

    def _new_store(self, recommender: Recommender) -> SessionStore:
        return SessionStore(
            recommender,
            most=self._settings.max_sessions,
            minutes=self._settings.session_minutes,
            most_clicks=self._settings.max_items,
        )

    def prepared(self, recommender: Recommender) -> Callable[[], None]:
        """See `HeldSessions.prepared`."""
        self._ended.clear()
        began, store = time.time() - _CLOCK_STEP, self._new_store(recommender)
        store.take_over(self.store.saved())

        def take() -> None:
            for session_id in self._ended:
                store.end(session_id)
            store.take_over(self.store.saved(since=began))
            self.recommender, self.store = recommender, store

        return take

    async def answer(self, questions: Sequence[Question]) -> Answers:
        """See `HeldSessions.answer`."""
        return await in_turns(questions, self._answer)

    async def _answer(self, questions: Sequence[Question]) -> Answers:
        try:
            sessions = self._clicked(questions)
        except DataError as error:  # one of them; the others are not to suffer from it
            if len(questions) == 1:
                return [error]
            return [answer for asked in questions for answer in await self._answer([asked])]
        return find_all(self.recommender, sessions, questions, [True] * len(questions))

    async def session(self, session_id: str) -> SavedSession | None:
        """See `HeldSessions.session`."""
        return self.store.get(session_id)

    async def end(self, session_id: str) -> bool:
        """See `HeldSessions.end`."""
        self._ended.add(session_id)
        if len(self._ended) > self._settings.max_sessions:
            self._ended.clear()  # no change of models takes so long
        return self.store.end(session_id)

    async def count(self) -> float:
        """See `HeldSessions.count`."""
        return len(self.store)

    async def close(self) -> None:
        """See `HeldSessions.close`."""

    def _clicked(self, questions: Sequence[Question]) -> list[RunningSession]:
        """Return the sessions of questions with their clicks. Raise DataError, none taken in."""
        made = iter(
            sessions_of(
                self.recommender, [asked for asked in questions if asked.session_id is None]
            )
        )
        ids = [asked.session_id for asked in questions if asked.session_id is not None]
        clicks = [
            (asked.session_id, click)
            for asked in questions
            if asked.session_id is not None
            for click in asked.clicks
        ]
        if clicks:
            click_all(self.store, clicks)
        kept = iter(self.store.running(ids))
        return [next(made if asked.session_id is None else kept) for asked in questions]
