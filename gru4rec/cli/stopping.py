"""Ctrl-C and SIGTERM during a training: stop where it can be gone on from."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click


class StopRequest:
    """Whether a signal came; it is called by a training that can stop well.

    A first signal then asks for that. Before the first call, and on a second signal, the program is
    interrupted as usual.
    """

    def __init__(self) -> None:
        self._asked = self._heeded = False

    def __call__(self) -> bool:
        """Whether to stop."""
        self._heeded = True
        return self._asked

    def signalled(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self._asked or not self._heeded:
            raise KeyboardInterrupt
        self._asked = True
        click.echo("\nstopping; once more to stop at once", err=True)


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """A request that signals make while this lasts."""
    request = StopRequest()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, request.signalled) for number in signals]
    try:
        yield request
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
