"""Make the next items of an iterator in a background thread."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_WAIT_SECONDS = 0.1


def prefetch(make: Callable[[int], Item], indexes: range, *, ahead: int = 4) -> Iterator[Item]:
    """Yield `make(index)` for each index in order; make up to `ahead` items before they are wanted.

    An exception that `make` raises is raised here. The thread ends with the iterator, however that
    ends.
    """
    made: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(maxsize=ahead)
    stopped = threading.Event()

    def put(item: Item | None, error: BaseException | None = None) -> None:
        while not stopped.is_set():
            try:
                made.put((item, error), timeout=_WAIT_SECONDS)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for index in indexes:
                if stopped.is_set():
                    return
                put(make(index))
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, who raises it
            put(None, error)

    worker = threading.Thread(target=work, name="gru4rec-prefetch", daemon=True)
    worker.start()
    try:
        for _ in indexes:
            item, error = made.get()
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        worker.join()
