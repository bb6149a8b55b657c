"""What teachers say of the next click: the items they find most likely after each click of a log.

Teachers are models by other seeds, and neighbours: the sessions of the log that resemble one.

A student learns from these beside the click that came (Hinton et al., arXiv 1503.02531): with the
weight w its loss is the cross-entropy with (1 − w) · what came + w · what the teachers say. To draw
a target by these shares would cost nothing, but loses what teachers bring (LOG, 2026-11-27).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import Float16Array, Int32Array, IntArray, Rows
from gru4rec.model import Model
from gru4rec.serving import top_k
from gru4rec.sessions import SessionArrays
from gru4rec.training.model_scores import scores_after

SAID = 20
"""Items that the teachers name after each click."""

_IN_MEMORY = 10_000_000  # clicks; of more the answers stand on disk

# M clicks, N items, K items named


class Teacher(Protocol):
    """Whatever says what comes after the clicks of a log."""

    def after(self, clicks: IntArray) -> tuple[Int32Array, Float16Array]:
        """Return the items named after clicks, by their places, and how likely each is [M, K].

        The shares of a click add to 1, or are all 0 where nothing is said.
        """
        ...


class Neighbours(Teacher, Protocol):
    """The sessions of a log, as far as training knows them."""

    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """Score all items after clicks of sessions of another log; see `Scorer.score`."""
        ...


@dataclass(frozen=True)
class SoftTargets:
    """What is said after each click of sessions, by its place; nothing after a session's last."""

    items: Int32Array
    """The items named [clicks, K]."""
    shares: Float16Array
    """How likely each is [clicks, K]; see `Teacher.after`."""

    @classmethod
    def silent(cls, clicks: int, num_items: int) -> Self:
        """Return room for what is said after so many clicks, in memory or on disk."""
        size = clicks, min(SAID, num_items)
        return cls(_zeros(size, np.int32), _zeros(size, np.float16))

    @classmethod
    def of(cls, teachers: Sequence[Model], sessions: SessionArrays) -> Self:
        """Ask models, whose scores are averaged."""
        clicks = sessions.prefixes()
        said = cls.silent(len(sessions.items), len(teachers[0].output_table))
        asked = (scores_after(teacher, sessions, clicks) for teacher in teachers)
        for answers in zip(*asked, strict=True):  # all in the same pieces, see `Scorer.score`
            rows = answers[0][0]
            items, shares = _most_likely([scores for _, scores in answers], said.items.shape[1])
            said.items[clicks[rows]], said.shares[clicks[rows]] = items.numpy(), shares.numpy()
        return said

    def after(self, clicks: IntArray) -> tuple[Int32Array, Float16Array]:
        """See `Teacher.after`."""
        return self.items[clicks], self.shares[clicks]


@torch.inference_mode()
def _most_likely(scores: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """Return the best items by the mean of teachers' scores, and their shares [M, K]."""
    mean_MN = torch.stack([of_one.cpu() for of_one in scores]).mean(0)
    items_MK = top_k(mean_MN, count)
    return items_MK.int(), torch.softmax(mean_MN.gather(1, items_MK), dim=1).half()


def _zeros(size: tuple[int, int], dtype: type[np.generic]) -> np.ndarray[Any, Any]:
    if size[0] <= _IN_MEMORY:
        return np.zeros(size, dtype)
    with TemporaryFile() as file:  # it is gone once the array is
        return np.memmap(file, dtype, mode="w+", shape=size)
