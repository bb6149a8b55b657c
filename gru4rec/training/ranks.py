"""What the processes that train one model together say to each other."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import Store

from gru4rec.arraytypes import IntArray
from gru4rec.errors import LostRankError
from gru4rec.untrusted import brief

_FAILED = "failed"
_LEAVE = 1.0  # seconds in which the others read what the first has to say


RANK_SEEDS = 0x9E3779B97F4A7C16
"""Between the seeds of two ranks, so that they drop others; even, as that bit means something."""

Found = TypeVar("Found")


class Ranks:
    """One of several processes that train one model.

    What one sends or asks, all have to, in the same order. Raise LostRankError in each method that
    needs the others, if one of them is gone: at once if its connection closes, else after a time.
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        *,
        ahead: dist.ProcessGroup | None = None,
        store: Store | None = None,
    ) -> None:
        """`ahead` are the connections of a thread that works ahead of the others."""
        self.rank, self.size = rank, size
        self._ahead, self._store = ahead, store

    @property
    def is_first(self) -> bool:
        """Whether it is the one that speaks and writes."""
        return self.rank == 0

    def all_sum_(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by the sum of all ranks' tensors, and return it.

        All have the same bits then.
        """
        if self.size > 1:
            with self._with_others():
                dist.all_reduce(tensor)
        return tensor

    @torch.no_grad()
    def all_sums(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return the sums of all ranks' tensors, each of its own shape; they are sent as one."""
        flat = self.all_sum_(torch.cat([part.reshape(-1) for part in tensors]))
        parts = torch.split(flat, [part.numel() for part in tensors])
        return [part.view_as(before) for before, part in zip(tensors, parts, strict=True)]

    def any(self, flag: bool) -> bool:
        """Return whether any rank gives true."""
        return bool(self.all_sum_(torch.tensor(int(flag))).item())

    def gathered(
        self, values: IntArray, counts: Sequence[int] | None = None, *, ahead: bool = False
    ) -> list[IntArray]:
        """Return the arrays of all ranks in their order, each with its own length.

        `counts` are the lengths, where all know them. With `ahead` the thread asks that works
        ahead.
        """
        if self.size == 1:
            return [values]
        if counts is None:
            counts = [int(n[0]) for n in self.gathered(np.array([len(values)]), [1] * self.size)]
        most = max(counts)
        own = torch.zeros(most, dtype=torch.int64)
        own[: len(values)] = torch.from_numpy(values)
        answers = [torch.empty_like(own) for _ in range(self.size)]
        if most:
            with self._with_others():
                dist.all_gather(answers, own, group=self._ahead if ahead else None)
        return [part[:count].numpy() for part, count in zip(answers, counts, strict=True)]

    def from_first(self, value: Any) -> Any:
        """Return the value of the first rank, of what JSON can say; the others' do not count."""
        if self.size == 1:
            return value
        text = json.dumps(value).encode() if self.is_first else b""
        length = self.sent_by_first(torch.tensor(len(text)))
        sent = torch.zeros(int(length), dtype=torch.uint8)
        if self.is_first:
            sent = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        return json.loads(self.sent_by_first(sent).numpy().tobytes())

    def found_by_first(self, find: Callable[[], Found]) -> Found:
        """Return what the first rank finds, of what JSON can say, on all of them.

        If it fails, it raises what it has met, and the others LostRankError.
        """
        try:
            said = [find()] if self.is_first else []
        except Exception:
            self.fails()
            with suppress(LostRankError):  # what was met says more
                self.from_first([])
            raise
        said = self.from_first(said)
        if not said:
            raise LostRankError(f"rank {self.rank} of {self.size}: rank 0 has failed")
        found: Found = said[0]
        return found

    def sent_by_first(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by that of the first rank, of the same shape, and return it."""
        if self.size > 1:
            with self._with_others():
                dist.broadcast(tensor, 0)
        return tensor

    def speaks_first(self, message: str) -> bool:
        """Whether no other rank has said this; then the others will not."""
        digest = hashlib.sha256(message.encode()).hexdigest()
        return self._first_to(f"said {digest}")

    def fails(self) -> None:
        """Let the others know that this rank ends, and says why."""
        self._first_to(_FAILED)

    def knows_why(self) -> bool:
        """Whether a rank that has ended has said why."""
        try:
            return self._store is not None and self._store.check([_FAILED])
        except RuntimeError:  # the rank that kept the store is gone
            return False

    def leave(self) -> None:
        """Wait until the others have read what this rank has to say, if it keeps it for them."""
        if self.is_first and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != str(True):
            time.sleep(_LEAVE)

    def _first_to(self, key: str) -> bool:
        try:
            return self._store is None or self._store.add(key, 1) == 1
        except RuntimeError:  # the rank that kept the store is gone
            return True

    @contextmanager
    def _with_others(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise LostRankError(
                f"rank {self.rank} of {self.size} has lost another one, which is gone or does not "
                f"answer ({why(error)}); start all again with resume, which goes on from what was "
                "kept, if anything was",
                mend_with=["resume"],
            ) from error


ONE = Ranks()
"""A process that trains alone."""


def why(error: BaseException) -> str:
    """Return the first sentence of what torch says of a connection, less its place in C++."""
    line = str(error).partition("\n")[0]
    return brief(re.sub(r"^\[\S+\] ", "", line).partition(". ")[0])
