"""Ranks that are threads of one process: what they say goes over a table, not over a network."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from gru4rec.training.ranks import Ranks

Result = TypeVar("Result")


class Table:
    """Where each of so many threads lays a value, and takes those of all."""

    def __init__(self, size: int) -> None:
        self._barrier = threading.Barrier(size, timeout=60)
        self._values: list[Any] = [None] * size

    def exchanged(self, rank: int, value: Any) -> list[Any]:
        self._values[rank] = value
        self._barrier.wait()
        values = list(self._values)
        self._barrier.wait()
        return values

    def leave(self) -> None:
        self._barrier.abort()


class ThreadRanks(Ranks):
    """A rank among threads."""

    def __init__(self, rank: int, size: int, main: Table, ahead: Table) -> None:
        super().__init__(rank, size)
        self._tables = {False: main, True: ahead}

    def all_sum_(self, tensor: torch.Tensor) -> torch.Tensor:
        parts = self._tables[False].exchanged(self.rank, tensor.clone())
        return tensor.copy_(sum(parts[1:], start=parts[0]))

    def gathered(
        self, values: np.ndarray, counts: Sequence[int] | None = None, *, ahead: bool = False
    ) -> list[np.ndarray]:
        every = self._tables[ahead].exchanged(self.rank, values.copy())
        if counts is not None:
            assert [len(values) for values in every] == list(counts)
        return every

    def sent_by_first(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.copy_(self._tables[False].exchanged(self.rank, tensor.clone())[0])


def together(size: int, work: Callable[[Ranks], Result]) -> list[Result]:
    """What `work` returns on each of so many ranks; an error of one is raised."""
    main, ahead = Table(size), Table(size)
    results: list[Any] = [None] * size
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            results[rank] = work(ThreadRanks(rank, size, main, ahead))
        except BaseException as error:  # noqa: BLE001 - raised in the end
            errors.append(error)
            main.leave()
            ahead.leave()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
