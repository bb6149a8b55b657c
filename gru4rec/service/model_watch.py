"""Put a new checkpoint in the place of the one that is served, between two answers."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gru4rec.errors import Gru4RecError
from gru4rec.layout import META
from gru4rec.recommenders import Recommender, fingerprint_of
from gru4rec.service.served import Served

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 60.0  # seconds before what was refused is tried again


class ModelWatch:
    """Serves what the folder of a checkpoint has; what it cannot serve it refuses, and says so."""

    def __init__(
        self,
        path: str | Path,
        served: Served,
        prepare: Callable[[Recommender], Callable[[], None]],
        *,
        on_change: Callable[[], None],
        wish: Path | None = None,
        by_itself: bool = True,
    ) -> None:
        """`prepare` does what takes long beside answers, and returns what changes them at once.

        `on_change` is called after each new model and each refusal; `wish` is as `reload` says.
        `by_itself` the folder is looked at for new checkpoints.
        """
        self._path, self._prepare, self._on_change = Path(path), prepare, on_change
        self._wish, self._wished = wish, _time_of(wish)
        self._by_itself, self._again, self._pause = by_itself, 0.0, _FIRST_PAUSE
        self._lock = asyncio.Lock()
        self._seen: object = _stamp(self._path)
        self.served = served
        self.refused: str | None = None
        """Why the checkpoint in the folder is not served, if another one is."""

    async def reload(self) -> None:
        """Take the checkpoint that is in the folder, unless it is the one that is served.

        Other workers take it too: they look for the time of the file `wish`.
        """
        if self._wish is not None:
            self._wish.touch()
        await self._take(check=True)

    async def look(self) -> None:
        """Take a new checkpoint if another worker wishes for it, or the folder has changed.

        One that is refused is tried again, ever later: it may be copied file by file.
        """
        seen = _stamp(self._path) if self._by_itself else self._seen
        wished, now = _time_of(self._wish), time.monotonic()
        is_due = self._by_itself and self.refused is not None and now >= self._again
        if (seen, wished) != (self._seen, self._wished) or is_due:
            if (seen, wished) != (self._seen, self._wished):
                self._pause = _FIRST_PAUSE
            with suppress(Gru4RecError):  # which `refused` tells
                await self._take()
            self._seen, self._wished = seen, wished
            self._again = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    async def _take(self, *, check: bool = False) -> None:
        """Serve what is in the folder; with `check` its files are read also if it is the same."""
        async with self._lock:
            fingerprint = await asyncio.to_thread(fingerprint_of, self._path)
            is_same = fingerprint == self.served.fingerprint
            if is_same and not check:
                if self.refused is not None:  # the one that is served was put back
                    self.refused = None
                    self._on_change()
                return
            try:
                served = await asyncio.to_thread(Served.load, self._path)
                take = None
                if not is_same:
                    take = await asyncio.to_thread(self._prepare, served.recommender)
            except Gru4RecError as error:
                if self.refused != str(error):  # else it was said before
                    logger.error("the checkpoint in the folder is not served: %s", error)
                self.refused = str(error)
                self._on_change()
                raise
            self.refused = None
            if take is not None:
                take()
                self.served = served
                logger.info("a new checkpoint is served: %s", served.fingerprint[:12])
            self._on_change()


def _stamp(path: Path) -> object:
    """Return what changes when another checkpoint stands at a path, without reading it."""
    try:
        stat = (path / META).stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size


def _time_of(file: Path | None) -> int | None:
    try:
        return None if file is None else file.stat().st_mtime_ns
    except OSError:
        return None
