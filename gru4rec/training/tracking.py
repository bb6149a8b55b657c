"""Tell trackers how a training goes, so that none of them can hold it up or end it."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gru4rec.errors import ConfigError, StoppedError, choose
from gru4rec.training.tracker import (
    FAILED,
    FINISHED,
    STOPPED,
    Tracker,
    TrainingEnd,
    TrainingStart,
)
from gru4rec.training.trackers import TRACKERS
from gru4rec.training.trainer import Hooks, Progress
from gru4rec.untrusted import brief, shown

if TYPE_CHECKING:
    from gru4rec.training.run import Trained

logger = logging.getLogger(__name__)

_PATIENCE = 30.0  # seconds for which a training waits for its trackers in all: at its end, and
_BEGINNING = 15.0  # of these before the first save, to hear what a tracker knows the run by

Trackers = Tracker | str | Sequence[Tracker | str]
"""Trackers, or their names in `TRACKERS`, with "=" and where it writes if it shall be elsewhere."""


class Tracking:
    """The trackers of one training, which lasts as long as its `with` statement."""

    def __init__(self, track: Trackers = (), keep: Path | None = None) -> None:
        """`keep` is the folder of the checkpoint, whose name trackers by name give the training.

        Raise ConfigError for an unknown name, and for a tracker that would write into that folder.
        Raise MissingExtraError for one whose package is not installed.
        """
        single = isinstance(track, str | Tracker)
        given: Sequence[Tracker | str] = [track] if single else track  # type: ignore[list-item, assignment]
        trackers = [
            entry if isinstance(entry, Tracker) else tracker_named(entry, keep) for entry in given
        ]
        for tracker in trackers:
            place = None if tracker.place is None else tracker.place.resolve()
            if keep is not None and place is not None and keep in (place, *place.parents):
                raise ConfigError(
                    f"{tracker.name} would write into the checkpoint {keep}; give it a folder "
                    "beside it"
                )
        names = [tracker.name for tracker in trackers]
        self._told = [
            _Told(tracker, f"{tracker.name} {names[:at].count(tracker.name) + 1}")
            for at, tracker in enumerate(trackers)
        ]
        self._began: float | None = None
        self.trained: Trained | None = None
        """What came of the training, once that is there."""

    def hooks(self, hooks: Hooks) -> Hooks:
        """Return hooks that tell the trackers too."""
        if not self._told:
            return hooks

        def on_begin(start: TrainingStart, known_as: Mapping[str, str]) -> None:
            self._began = time.perf_counter()
            for told in self._told:
                told.begin(start, known_as.get(told.key))

        def on_progress(progress: Progress) -> None:
            hooks.on_progress(progress)
            for told in self._told:
                told.report(progress)

        def tracked() -> dict[str, str]:
            known = {told.key: told.known() for told in self._told}
            return {key: known_as for key, known_as in known.items() if known_as is not None}

        return replace(hooks, on_begin=on_begin, on_progress=on_progress, tracked=tracked)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._began is None:
            return
        end = _end(self.trained, error, time.perf_counter() - self._began)
        for told in self._told:
            told.end(end)
        ended = time.monotonic()
        for told in self._told:
            told.wait(since=ended)


def tracker_named(text: str, keep: Path | None = None) -> Tracker:
    """Return the tracker of a name in `TRACKERS`, which writes to what follows a "=", if any.

    It gives the training the name of the folder `keep`. Raise ConfigError for an unknown name,
    MissingExtraError if its package is not installed.
    """
    if not isinstance(text, str):
        raise ConfigError(f"a tracker is a Tracker or a name, got {shown(text)}")
    name, _, where = text.partition("=")
    kind = choose("tracker", name, TRACKERS)
    return kind(where or None, name=None if keep is None else keep.name)


def _end(trained: "Trained | None", error: BaseException | None, seconds: float) -> TrainingEnd:
    if trained is not None:
        return TrainingEnd(
            FINISHED, trained.seconds, config=trained.config, metrics=trained.metrics
        )
    stopped = isinstance(error, StoppedError | KeyboardInterrupt)
    return TrainingEnd(STOPPED if stopped else FAILED, seconds, brief(error))


class _Told:
    """A tracker, and the thread that calls it."""

    def __init__(self, tracker: Tracker, key: str) -> None:
        self.key = key
        self._tracker = tracker
        self._known_as: str | None = None
        self._has_begun = Event()
        self._patience = _PATIENCE
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=f"gru4rec {key}", daemon=True)
        self._is_left_out = False
        self._reported, self._run = -math.inf, ""

    def begin(self, start: TrainingStart, known_as: str | None) -> None:
        """Tell of the beginning, in the thread that starts with it."""

        def call() -> None:
            self._known_as = self._tracker.begin(start, known_as)
            self._has_begun.set()

        self._known_as = known_as
        self._calls.put(call)
        self._thread.start()

    def known(self) -> str | None:
        """Return what the tracker knows the run by; wait a little for it, the first time."""
        if not self._has_begun.wait(_BEGINNING):
            self._has_begun.set()
            self._patience -= _BEGINNING
        return self._known_as

    def report(self, progress: Progress) -> None:
        """Tell of progress; within an epoch only so often, and not while the tracker is behind."""
        if self._is_left_out:
            return
        if progress.metrics is not None:
            self._calls.put(lambda: self._tracker.epoch(progress))
            return
        now = time.monotonic()
        is_due = progress.run != self._run or now - self._reported >= self._tracker.seconds
        if is_due and self._calls.empty():
            self._calls.put(lambda: self._tracker.progress(progress))
            self._reported, self._run = now, progress.run

    def end(self, end: TrainingEnd) -> None:
        """Tell of the end, after which there is nothing."""
        self._calls.put(lambda: self._tracker.end(end))
        self._calls.put(None)

    def wait(self, *, since: float) -> None:
        """Wait until all is told, or patience is at its end."""
        self._thread.join(max(0.0, since + self._patience - time.monotonic()))
        if self._thread.is_alive():
            logger.warning("%s does not answer, and is left out", self._tracker.name)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on
                self._is_left_out = True
                self._has_begun.set()
                logger.warning("%s is left out: %s", self._tracker.name, brief(error))
                return
