"""Standard input, output and error, also where they are closed or full."""

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

REFUSED = {errno.EBADF, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
"""Errors by which a stream says that it takes no more; a reader that has gone is none of them."""


class _Closed(io.RawIOBase):
    """A stream that was closed when the program began: it takes and gives nothing."""

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise OSError(errno.EBADF, "it is closed")

    def write(self, data: Any) -> int:
        raise OSError(errno.EBADF, "it is closed")


class _Forgiving:
    """Standard error that loses what it cannot write: no work is lost for a line about it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            forget(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def open_streams() -> None:
    """Make streams that work, or say that they do not, of those that the program began with.

    The numbers of closed ones are taken, so that no file that is opened later gets them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # What gives nothing or takes nothing, so that /dev/stdout is closed too.
            os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_WRONLY)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(cast(Any, _Closed()))
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(cast(Any, _Closed()), write_through=True)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - no path, and for good
    if not isinstance(sys.stderr, _Forgiving):
        sys.stderr = cast(TextIO, _Forgiving(sys.stderr))


def forget_output() -> None:
    """Let what is left for standard output go nowhere, so that the end of Python is quiet."""
    forget(sys.stdout)


def forget(stream: TextIO) -> None:
    """Let what is left for a stream go nowhere."""
    with suppress(OSError, ValueError):  # it has no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
