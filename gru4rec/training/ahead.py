"""What ranks tell each other ahead of the windows that they learn from: above all, what is due."""

import queue
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.training.clock import Due
from gru4rec.training.ranks import Ranks

_AHEAD = 4
_WAIT_SECONDS = 0.1
_LEAVE_SECONDS = 2.0  # for the others to leave too; those that are gone never do


@dataclass(frozen=True)
class Agreement:
    """What ranks have agreed on for a window."""

    due: Due
    """What is due after it, on all ranks."""
    all_leave: bool
    """Whether all ranks want no further windows."""

    @classmethod
    def of(cls, notes: IntArray) -> "Agreement":
        """Return what follows from the notes of all ranks [ranks, 4].

        Reports and saves are due when the first rank says so, a stop when any does.
        """
        report, save = (bool(note) for note in notes[0, :2])
        return cls(Due(report, save, bool(notes[:, 2].any())), bool(notes[:, 3].all()))


Made = TypeVar("Made", bound=Agreement)


def note_of(due: Due, *, leaves: bool) -> IntArray:
    """Return what a rank says: what is due by it, and if it wants no further windows [4]."""
    return np.array([due.report, due.save, due.stop, leaves], dtype=np.int64)


def agree(ranks: Ranks, due: Due, *, leaves: bool) -> Agreement:
    """Return what is due on all ranks; the thread that works ahead asks."""
    note = note_of(due, leaves=leaves)
    answers = ranks.gathered(note, [len(note)] * ranks.size, ahead=True)
    return Agreement.of(np.stack(answers))


def made_ahead(make: Callable[[int, bool], Made], windows: range) -> Generator[Made]:
    """Yield what `make(window, leaves)` gives, in a background thread; see `sessions.prefetch`.

    A rank that wants no further ones (`leaves`) makes them until the others want none either: else
    these would wait for it. After a window at which a stop is due there is none.
    """
    made: queue.Queue[Made | BaseException] = queue.Queue(maxsize=_AHEAD)
    leaves = threading.Event()

    def put(what: Made | BaseException) -> None:
        while not leaves.is_set():
            try:
                made.put(what, timeout=_WAIT_SECONDS)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for window in windows:
                what = make(window, leaves.is_set())
                put(what)
                if what.due.stop or what.all_leave:
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, who raises it
            put(error)

    worker = threading.Thread(target=work, name="gru4rec-ranks", daemon=True)
    worker.start()
    try:
        for _ in windows:
            what = made.get()
            if isinstance(what, BaseException):
                raise what
            yield what
            if what.due.stop:
                return
    finally:
        leaves.set()
        worker.join(_LEAVE_SECONDS)
