"""What is said of the next click by others than the click that came: a model learns it beside that.

**Teachers** are models by other seeds. A student's loss is the cross-entropy with (1 − w) · what
came + w · what they say (Hinton et al., arXiv 1503.02531), where w is `training.teaching`. Of what
they say some items are drawn, anew in every epoch, and scored among the candidates: else nothing
would hold down the scores of what is named again and again.

**Neighbours** are the sessions of the log that resemble one. With the probability w a click has a
target that is drawn from what they say, in place of what came. Either way suits the one and not the
other (benchmarks/LOG.md, 2026-11-27).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import Float16Array, Float32Array, Int32Array, IntArray, Rows
from gru4rec.model import Model
from gru4rec.serving import top_k
from gru4rec.sessions import SessionArrays
from gru4rec.training.model_scores import scores_after
from gru4rec.training.ranks import ONE, Ranks

SAID = 20
"""Items that the teachers name after each click."""

DRAWN = 8
"""Of these so many are drawn for each click, anew in every epoch."""

_IN_MEMORY = 10_000_000  # clicks; of more the answers stand on disk

# M clicks, A of them that are taught, N items, K items named, T of them drawn


class SessionNeighbours(Protocol):
    """The sessions of a log, as far as training knows them."""

    def after(self, clicks: IntArray) -> tuple[Int32Array, Float16Array]:
        """Return the items named after clicks, by their places, and how likely each is [M, K].

        The shares of a click add to 1, or are all 0 where nothing is said.
        """
        ...

    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """Score all items after clicks of sessions of another log; see `Scorer.score`."""
        ...


def taught(
    neighbours: SessionNeighbours,
    clicks: IntArray,
    targets: IntArray,
    weight: float,
    random: np.random.Generator,
    *,
    own: tuple[int, IntArray] | None = None,
) -> IntArray:
    """Return a target for each click, by its place: what came, or what neighbours say [M].

    The latter has the probability `weight`, of a click after which something is said. If the
    clicks are a process's `own` of a window, by the window's number of clicks and their rows in it
    [M], the draws are those of the window.
    """
    count, own_rows_M = own if own is not None else (len(clicks), np.arange(len(clicks)))
    draws = random.random(count) < weight
    points = random.random((int(draws.sum()), 1), dtype=np.float32)
    rows_A = np.flatnonzero(draws[own_rows_M])
    points_A1 = points[np.cumsum(draws)[own_rows_M[rows_A]] - 1]
    items_AK, shares_AK = neighbours.after(clicks[rows_A])
    drawn_A = _drawn(items_AK, shares_AK, points_A1)[:, 0]
    taught_M = targets.copy()
    taught_M[rows_A] = np.where(shares_AK.any(axis=1), drawn_A, targets[rows_A])
    return taught_M


@dataclass(frozen=True)
class SoftTargets:
    """What is said after each click of sessions, by its place; nothing after a session's last."""

    items: Int32Array
    """The items named [clicks, K]."""
    shares: Float16Array
    """How likely each is; of each click they add to 1, or are all 0 [clicks, K]."""

    @classmethod
    def silent(cls, clicks: int, num_items: int) -> Self:
        """Return room for what is said after so many clicks, in memory or on disk."""
        size = clicks, min(SAID, num_items)
        return cls(_zeros(size, np.int32), _zeros(size, np.float16))

    @classmethod
    def of(cls, teachers: Sequence[Model], sessions: SessionArrays, ranks: Ranks = ONE) -> Self:
        """Ask models, whose scores are averaged.

        Several ranks do it a piece at a time, each of sessions of its own: so none waits for long.
        """
        clicks = sessions.prefixes()
        said = cls.silent(len(sessions.items), len(teachers[0].output_table))
        asked = (scores_after(teacher, sessions, clicks) for teacher in teachers)
        pieces = zip(*asked, strict=True)  # all in the same ones, see `Scorer.score`
        while ranks.any((answers := next(pieces, None)) is not None):
            if answers is None:
                continue
            rows = answers[0][0]
            items, shares = _most_likely([scores for _, scores in answers], said.items.shape[1])
            said.items[clicks[rows]], said.shares[clicks[rows]] = items.numpy(), shares.numpy()
        return said

    def after(self, clicks: IntArray) -> tuple[Int32Array, Float16Array]:
        """Return the items named after clicks, by their places, and their shares [M, K]."""
        return self.items[clicks], self.shares[clicks]

    def drawn(
        self,
        clicks: IntArray,
        random: np.random.Generator,
        *,
        own: tuple[int, IntArray] | None = None,
    ) -> IntArray:
        """Draw items by what is said after clicks, of which something is said [M, T].

        `own` is as in `taught`.
        """
        count, rows_M = own if own is not None else (len(clicks), slice(None))
        points_MT = random.random((count, DRAWN), dtype=np.float32)[rows_M]
        return _drawn(*self.after(clicks), points_MT).astype(np.int64)


def _drawn(items_MK: Int32Array, shares_MK: Float16Array, points_MT: Float32Array) -> Int32Array:
    """Return the items at points from 0 to 1 of their shares, one after the other [M, T]."""
    ends_MK = np.cumsum(shares_MK, axis=1, dtype=np.float32)
    at_MT = points_MT * ends_MK[:, -1:]
    columns_MT = (ends_MK[:, None, :] <= at_MT[:, :, None]).sum(axis=2)
    return np.take_along_axis(items_MK, columns_MT.clip(max=items_MK.shape[1] - 1), axis=1)


@torch.inference_mode()
def _most_likely(scores: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """Return the best items by the mean of teachers' scores, and their shares [M, K]."""
    mean_MN = torch.stack(list(scores)).mean(0)
    items_MK = top_k(mean_MN, count)
    shares_MK = torch.softmax(mean_MN.gather(1, items_MK), dim=1)
    return items_MK.int().cpu(), shares_MK.half().cpu()


def _zeros(size: tuple[int, int], dtype: type[np.generic]) -> np.ndarray[Any, Any]:
    if size[0] <= _IN_MEMORY:
        return np.zeros(size, dtype)
    with TemporaryFile() as file:  # it is gone once the array is
        return np.memmap(file, dtype, mode="w+", shape=size)
