"""What a worker has made of the clicks of sessions that are kept elsewhere."""

from collections.abc import Sequence

from gru4rec.recommenders import Recommender
from gru4rec.schema import TIMESTAMP
from gru4rec.service.answering import click_all
from gru4rec.service.kept_clicks import click_of
from gru4rec.service.question import Clicked
from gru4rec.service.settings import ServiceSettings
from gru4rec.serving import SessionStore
from gru4rec.sessions import RunningSession


class ReadSessions:
    """Sessions of one recommender as far as they were read; a longer one is read on from there."""

    def __init__(self, settings: ServiceSettings, recommender: Recommender) -> None:
        self.recommender = recommender
        self._store = SessionStore(
            recommender, most=settings.max_sessions, minutes=settings.session_minutes
        )
        self._most = 2 * settings.max_sessions
        self._read: dict[str, tuple[int, int]] = {}
        """How many clicks of a session the store has, and the hash of their texts."""

    def session(self, session_id: str, clicks: Sequence[bytes]) -> RunningSession:
        """Return the session of all these clicks. What is none, or of another model, is left."""
        count, texts = self._read.get(session_id, (0, 0))
        if session_id not in self._store or hash(tuple(clicks[:count])) != texts:
            self.forget(session_id)
            count = 0
        names = {*self.recommender.side_inputs.values, TIMESTAMP}
        new = [click for kept in clicks[count:] if (click := click_of(kept)) is not None]
        click_all(
            self._store,
            [
                (session_id, Clicked(item, {key: known[key] for key in known.keys() & names}))
                for item, known in new
            ],
        )
        if len(self._read) > self._most:
            self._read = {key: self._read[key] for key in self._store if key in self._read}
        self._read[session_id] = len(clicks), hash(tuple(clicks))
        (session,) = self._store.running([session_id])
        return session

    def forget(self, session_id: str) -> None:
        """Forget what was read of a session."""
        self._store.end(session_id)
        self._read.pop(session_id, None)
