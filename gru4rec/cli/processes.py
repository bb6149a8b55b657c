"""Answer sessions by several processes of one machine, each with the checkpoint in its memory.

They are spawned, not forked: each loads the checkpoint itself. Sessions go to them, and the best
items come back, as tensors in the bytes of safetensors, and a process has one piece of work at a
time. It ends when the pipe to it does.
"""

import json
import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Self

import click

from gru4rec.cli.rule_options import allowed_of

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from gru4rec.serving import Answer
    from gru4rec.sessions import SessionArrays

_AHEAD = 4  # pieces for each process that may wait for an earlier one
_FOUND, _REFUSED = b"+", b"-"  # how a reply begins

_OPTIONS = (
    "k", "exclude_clicked", "allow", "deny", "item_col", "items_table", "allow_where", "at_most",
    "per", "diversity", "rules", "rule_set",
)  # fmt: skip


def check_processes(clicks: Sequence[str], device: str) -> None:
    """Raise UsageError where there is no log to share out, DeviceError where there is a GPU."""
    from gru4rec.errors import DeviceError
    from gru4rec.model import find_device

    if not clicks or tuple(clicks) == ("-",):
        raise click.UsageError("--processes goes with CLICKS of a log, which is shared out.")
    if find_device(device).type != "cpu":
        raise DeviceError(
            "processes share the cores, and one of them is enough for a GPU; leave processes out, "
            "or compute on the cpu by device",
            mend_with=["processes", "device"],
        )


class Processes:
    """Processes that answer; they begin as there is work for them, and end with the `with`."""

    def __init__(
        self,
        checkpoint: str,
        loaded: str | None,
        options: Mapping[str, Any],
        allowed: Mapping[str, Any],
    ) -> None:
        """Take a checkpoint, its fingerprint, and the options of the command."""
        import torch

        most = options["processes"]
        asked = {name: options[name] for name in _OPTIONS}
        if allowed["rules"] is None or not allowed["rules"].reads_table:
            asked["items_table"] = None  # that it is left out has been said
        threads = max(1, torch.get_num_threads() // most)
        self._asked = json.dumps(
            {"checkpoint": checkpoint, "loaded": loaded, "threads": threads, "options": asked}
        )
        self._most, self._workers = most, list[_Worker]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()

    def answer(self, pieces: "Iterator[SessionArrays]") -> "Iterator[Answer]":
        """Yield the sessions of each piece, in order, and the best items after them.

        Raise StoppedError if a process ends before its work.
        """
        sent: dict[int, SessionArrays] = {}
        answered: dict[int, Any] = {}
        next_piece = next_answer = 0
        left = True
        while left or sent:
            while left and next_piece < next_answer + _AHEAD * self._most:
                worker = self._idle()
                if worker is None:
                    break
                piece = next(pieces, None)
                if piece is None:
                    left = False
                    break
                sent[next_piece] = piece
                worker.give(next_piece, piece)
                next_piece += 1
            if sent and next_answer not in answered:
                self._take(answered)
            while next_answer in answered:
                yield sent.pop(next_answer), *answered.pop(next_answer)
                next_answer += 1

    def _idle(self) -> "_Worker | None":
        """Return a process without work, a new one if there may be more."""
        for worker in self._workers:
            if worker.number is None:
                return worker
        if len(self._workers) == self._most:
            return None
        self._workers.append(_Worker.begin(self._asked))
        return self._workers[-1]

    def _take(self, answered: dict[int, Any]) -> None:
        """Wait for an answer or more, and put them where their number says."""
        busy = {worker.connection: worker for worker in self._workers if worker.number is not None}
        for connection in wait(list(busy)):
            number, found = busy[connection].taken()  # type: ignore[index]
            answered[number] = found


class _Worker:
    """A process, the pipe to it, and the number of the piece that it is at."""

    def __init__(self, process: "BaseProcess", connection: Connection) -> None:
        self.process, self.connection = process, connection
        self.number: int | None = None

    @classmethod
    def begin(cls, asked: str) -> "_Worker":
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, asked), daemon=True)
        with _no_interrupts():
            process.start()
        theirs.close()
        return cls(process, ours)

    def give(self, number: int, piece: "SessionArrays") -> None:
        """Send a piece. Raise StoppedError if nobody is there to take it."""
        self.number = number
        try:
            self.connection.send_bytes(_packed(piece))
        except OSError:
            self._raise_ended()

    def taken(self) -> tuple[int, Any]:
        """Return the number of the piece, and its scores and items. Raise what the process says."""
        from safetensors.numpy import load

        from gru4rec.errors import Gru4RecError

        try:
            reply = self.connection.recv_bytes()
        except (EOFError, OSError):
            self._raise_ended()
        if reply[:1] == _REFUSED:
            raise Gru4RecError(reply[1:].decode())
        found, number, self.number = load(reply[1:]), self.number or 0, None
        return number, (found["scores"], found["items"])

    def _raise_ended(self) -> None:
        from gru4rec.errors import StoppedError

        self.process.join(5)
        raise StoppedError(
            f"a process that answers has ended (exit status {self.process.exitcode}), for want of "
            "memory perhaps; nothing was written. Try fewer processes",
            mend_with=["processes"],
        )


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Let processes that begin here leave Ctrl-C to this one, from their first moment on."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _packed(piece: "SessionArrays") -> bytes:
    """Return the arrays of sessions as bytes; their ids stay here."""
    from safetensors.numpy import save

    arrays: dict[str, Any] = {"items": piece.items, "offsets": piece.offsets}
    arrays |= {"sides": piece.sides} if piece.sides.size else {}
    arrays |= {"times": piece.times} if len(piece.times) else {}
    return save(arrays, {"timed": "1" if piece.timed else ""})


def _unpacked(content: bytes) -> "SessionArrays":
    import numpy as np
    import polars as pl
    from safetensors.numpy import load

    from gru4rec.sessions import SessionArrays

    length = int.from_bytes(content[:8], "little")  # of the header, as safetensors has it
    timed = bool(json.loads(content[8 : 8 + length])["__metadata__"]["timed"])
    arrays: dict[str, Any] = load(content)
    numbers = pl.Series(np.arange(len(arrays["offsets"]) - 1))
    return SessionArrays(numbers, **arrays, timed=timed)


def _work(connection: Connection, asked: str) -> None:
    """Answer the pieces that come, until no more can come."""
    told = json.loads(asked)
    # Before the libraries are imported that read them.
    os.environ.update(OMP_NUM_THREADS=str(told["threads"]), POLARS_MAX_THREADS=str(told["threads"]))

    import faiss
    import torch
    from safetensors.numpy import save

    from gru4rec.errors import CheckpointError, Gru4RecError
    from gru4rec.recommenders import fingerprint_of, load
    from gru4rec.serving import best_of_sessions, filter_of

    logging.getLogger("gru4rec").addHandler(logging.NullHandler())  # it has been said
    torch.set_num_threads(told["threads"])
    faiss.omp_set_num_threads(told["threads"])
    options, path = told["options"], told["checkpoint"]
    try:
        recommender = load(path, device="cpu")
        if fingerprint_of(path) != told["loaded"]:
            raise CheckpointError(f"{path} was replaced while it was read; try again")
        item_filter = filter_of(recommender, **allowed_of(options))
        while True:
            sessions = _unpacked(connection.recv_bytes())
            scores, items = best_of_sessions(recommender, sessions, options["k"], item_filter)
            connection.send_bytes(_FOUND + save({"scores": scores, "items": items}))
    except Gru4RecError as error:
        connection.send_bytes(_REFUSED + str(error).encode())
    except (EOFError, OSError):
        pass  # the command has ended
