"""Keep a forked process from waiting for ever for threads that only its parent has.

A fork copies one thread of a process. OpenMP's others, among which torch and FAISS share out their
work, are ended before it; parent and child make new ones when they need them. Those of Polars stay,
and a child that needs them waits for ever: it is refused.
"""

import os
import re
import sys
from contextlib import suppress

from gru4rec.errors import ForkedError

# As Linux names the threads that Polars starts when it first runs. Those that are there once it is
# imported do no harm.
_OF_POLARS = re.compile(r"polars-\d|tokio-rt-worker|async-executor")
_OMP_PAUSE_SOFT = 1  # of OpenMP 5.0

_polars_ran_in: int | None = None
"""The process in which Polars first ran: this one, or one that this one was forked from."""
_process = os.getpid()
"""This process, unless a fork passed Python by."""


def refuse_forked() -> None:
    """Raise ForkedError if Polars had run when this process was forked; call it before Polars runs.

    Work on a few rows in memory (a Series, a DataFrame of them, `gather`) needs none of its
    threads, and goes on in such a process.
    """
    global _polars_ran_in
    if _polars_ran_in is None:
        _polars_ran_in = os.getpid()
    if _polars_ran_in != os.getpid():
        raise ForkedError(
            "this process was forked after Polars had run, and would wait for ever for threads "
            "that the fork did not copy; load the recommender in each worker after the fork, or "
            "start workers by spawn or forkserver"
        )


def watch_forks() -> None:
    """From now on do before each fork, and after it, what this file says."""
    if hasattr(os, "register_at_fork"):  # Windows has no forks
        os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)


def _before_fork() -> None:
    global _polars_ran_in
    if _process != os.getpid():
        return  # forked past Python: OpenMP would wait for its threads
    with suppress(OSError):  # without /proc only our own calls of Polars are known
        if _polars_ran_in in (None, _process):
            _polars_ran_in = _process if _polars_has_threads() else None
        _end_threads_of_openmp()


def _after_fork_in_child() -> None:
    global _process
    _process = os.getpid()


def _polars_has_threads() -> bool:
    """Whether threads of Polars run, whoever called it."""
    threads = os.listdir("/proc/self/task")  # noqa: PTH208 - no pathlib
    return "polars" in sys.modules and any(map(_is_of_polars, threads))


def _is_of_polars(thread: str) -> bool:
    try:
        return bool(_OF_POLARS.match(_read(f"/proc/self/task/{thread}/comm")))
    except OSError:  # it has just ended
        return False


def _end_threads_of_openmp() -> None:
    """Let GNU's OpenMP end the threads that work for this one; LLVM's does so by itself."""
    lines = [line for line in _read("/proc/self/maps").splitlines() if "/libgomp" in line]
    for library in {line.split(maxsplit=5)[-1] for line in lines}:
        import ctypes  # torch has imported it

        with suppress(OSError, AttributeError):  # its file was replaced; or it is of before GCC 9
            ctypes.CDLL(library, mode=os.RTLD_NOLOAD).omp_pause_resource_all(_OMP_PAUSE_SOFT)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - no pathlib
        return file.read()
