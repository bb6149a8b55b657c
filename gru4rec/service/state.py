"""What one process of a service holds: the model, the sessions, the queue before them."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from gru4rec import atomic
from gru4rec.addresses import refuse_address
from gru4rec.errors import ConfigError, DataError, Gru4RecError
from gru4rec.recommenders import Recommender
from gru4rec.service.answering import Answer, Answers
from gru4rec.service.asked import Reader
from gru4rec.service.batching import Batcher
from gru4rec.service.held_sessions import HeldSessions, SessionsInMemory
from gru4rec.service.items_table import ItemsTable
from gru4rec.service.metrics import Metrics
from gru4rec.service.model_watch import ModelWatch
from gru4rec.service.question import Question
from gru4rec.service.served import Served
from gru4rec.service.settings import ServiceSettings
from gru4rec.service.shared_sessions import SharedSessions
from gru4rec.serving import ListRules, is_of_others, rule_sets

logger = logging.getLogger(__name__)

_SAVE_EVERY = 60.0  # seconds: what a process that is killed loses at most
_COUNT_EVERY, _LOOK_EVERY = 5.0, 1.0
_RELOAD = "reload"


class ServiceState:
    """All that the routes need. Made before the loop runs; `start` and `stop` run in it."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Load the model, and the sessions that were saved.

        Raise CheckpointError, DataError or MissingExtraError for what cannot be read or is missing.
        """
        self.settings = settings
        self.rules = _rules_of(settings)
        self.reader = Reader(settings, self.rules)
        self.token = token_of(settings)
        self.metrics = Metrics(is_shared=settings.workers > 1)
        served = Served.load(settings.checkpoint)
        self._bind(served.recommender)
        self.sessions: HeldSessions
        if settings.is_shared:
            self.sessions = SharedSessions(settings, served.recommender)
        else:
            self.sessions = SessionsInMemory(settings, served.recommender)
        self._saving = Lock()
        self._held = _held(settings)
        self._restore()
        wish = None if settings.folder is None else Path(settings.folder) / _RELOAD
        self.watch = ModelWatch(
            settings.checkpoint,
            served,
            self._prepared,
            on_change=self._tell,
            wish=wish,
            by_itself=settings.watch,
        )
        self.items = ItemsTable(served.recommender.catalog, settings.items_table)
        self._tell()
        self._batcher: Batcher[Question, Answer] = Batcher(self._answer)
        self._tasks: list[asyncio.Task[None]] = []
        self.slow = asyncio.Semaphore(2)
        """Explanations and the like, which take long, run beside the loop, so many at once."""

    @property
    def served(self) -> Served:
        """The model that answers."""
        return self.watch.served

    @property
    def recommender(self) -> Recommender:
        """The recommender that answers."""
        return self.watch.served.recommender

    async def start(self) -> None:
        """Begin what goes on beside answers: to watch, to save, to count."""
        rounds = [(self._count, _COUNT_EVERY), (self.watch.look, _LOOK_EVERY)]
        if self.settings.sessions_file is not None:
            rounds.append((self.save, _SAVE_EVERY))
        self._tasks = [asyncio.create_task(_again_and_again(*each)) for each in rounds]

    async def stop(self) -> None:
        """End it, and save the sessions."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.save()
        await self.sessions.close()
        if self._held is not None:
            os.close(self._held)
            self._held = None

    async def ask(self, question: Question) -> Answer:
        """Return the answer of a question, together with those that wait with it."""
        answer = await self._batcher.ask(question)
        unknown = sum(
            self.recommender.catalog.find(click.item) is None for click in question.clicks
        )
        if question.session_id is not None:
            self.metrics.clicks.labels("unknown").inc(unknown)
            self.metrics.clicks.labels("known").inc(len(question.clicks) - unknown)
        if question.k:
            self.metrics.answers.labels(answer.found.reason).inc()
            self.metrics.without_history.inc(not answer.has_history)
        return answer

    async def _answer(self, questions: Sequence[Question]) -> Answers:
        self.metrics.batch.observe(len(questions))
        return await self.sessions.answer(questions)

    def description(self) -> dict[str, Any]:
        """Return what is served, and what is not."""
        sets = [*self.rules]
        return {**self.served.description(), "rules": sets, "refused": self.watch.refused}

    def _prepared(self, recommender: Recommender) -> Callable[[], None]:
        """Do all for a change of models that takes long, and return the rest."""
        self._bind(recommender)
        take_sessions = self.sessions.prepared(recommender)
        items = ItemsTable(recommender.catalog, self.settings.items_table)

        def take() -> None:
            take_sessions()
            self.items = items

        return take

    def _bind(self, recommender: Recommender) -> None:
        """Make the rules for a recommender's catalog. Raise DataError if it cannot keep one."""
        for name, rules in self.rules.items():
            try:
                rules.on(recommender)
            except Gru4RecError as error:
                raise DataError(f"rules [{name}]: {error}", mend_with=["items_table"]) from error

    def _tell(self) -> None:
        """Tell the metrics which model is served."""
        self.metrics.tell_model(
            self.served.fingerprint,
            self.served.trained.timestamp(),
            refused=self.watch.refused is not None,
        )

    async def _count(self) -> None:
        self.metrics.sessions.set(await self.sessions.count())

    async def save(self) -> None:
        """Save the sessions, if they are to be; what cannot be written is logged."""
        if self.settings.sessions_file is not None:
            await asyncio.to_thread(self._save, self.settings.sessions_file)

    def _save(self, file: Path) -> None:
        if isinstance(self.sessions, SessionsInMemory):
            with self._saving:  # of two saves the one that began later ends later
                try:
                    self.sessions.store.save(file)
                except Gru4RecError as error:
                    logger.error("the sessions are not saved: %s", error)

    def _restore(self) -> None:
        """Go on with the sessions that were saved; a file of none is put aside."""
        file = self.settings.sessions_file
        if file is None or not file.exists() or not isinstance(self.sessions, SessionsInMemory):
            return
        if is_of_others(file):
            raise ConfigError(
                f"{file} is a table, and none of sessions; name another file",
                mend_with=["sessions"],
            )
        try:
            self.sessions.store.restore(file)
            logger.info("went on with the sessions of %s: %d", file, len(self.sessions.store))
        except DataError as error:
            aside = file.with_name(f"{file.name}.damaged")
            file.replace(aside)
            logger.error("%s; it is kept as %s, and sessions begin anew", error, aside)


def _rules_of(settings: ServiceSettings) -> Mapping[str, ListRules]:
    """Return the sets of rules of a service, by name."""
    if settings.rules is None:
        return {}
    return rule_sets(settings.rules, items_table=settings.items_table)


def _held(settings: ServiceSettings) -> int | None:
    """Return an open file that says whose the file of sessions is, if there is to be one.

    Raise ConfigError if another service has it: each would lose what the other saves.
    """
    file = settings.sessions_file
    if file is None:
        return None
    try:
        place = file.with_name(f".{file.name}.lock")
        place.touch()
        held = atomic.locked(place)
    except OSError as error:
        raise ConfigError(f"cannot write beside {file}: {error}", mend_with=["sessions"]) from error
    if held is None:
        raise ConfigError(
            f"{file} is in use by another service; name another file", mend_with=["sessions"]
        )
    return held


async def _again_and_again(work: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Do a work for ever, with a pause before each time; its failures are logged."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception:
            logger.exception("what goes on beside answers failed, and goes on")


def token_of(settings: ServiceSettings) -> str | None:
    """Return the token that requests must bring. Raise ConfigError for a file that has none."""
    if settings.token_file is None:
        return None
    refuse_address(settings.token_file, ConfigError)
    try:
        with Path(settings.token_file).open(encoding="utf-8") as file:
            token = file.readline(4096).strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the token in {settings.token_file}: {error}") from error
    if not token or not token.isascii() or not token.isprintable():
        raise ConfigError(
            f"{settings.token_file} has no token of printable ASCII in its first line; write one"
        )
    return token
