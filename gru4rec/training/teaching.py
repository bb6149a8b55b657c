"""What teachers say of the next click: the items they find most likely after each click of a log.

A student learns from these beside the click that came (Hinton et al., arXiv 1503.02531): with the
weight w its loss is the cross-entropy with (1 − w) · what came + w · what the teachers say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import Float16Array, Int32Array, IntArray
from gru4rec.model import Model
from gru4rec.serving import top_k
from gru4rec.sessions import SessionArrays
from gru4rec.training.model_scores import scores_after

SAID = 20
"""Items that the teachers name after each click."""

_IN_MEMORY = 10_000_000  # clicks; of more the answers stand on disk

# M clicks, N items, K items named


@dataclass(frozen=True)
class SoftTargets:
    """What is said after each click of sessions, by its place; nothing after a session's last."""

    items: Int32Array
    """The items named [clicks, K]."""
    shares: Float16Array
    """How likely each is; of each click they add to 1 [clicks, K]."""

    @classmethod
    def of(
        cls, teachers: Sequence[Model], sessions: SessionArrays, *, folder: Path | None = None
    ) -> Self:
        """Ask teachers, whose scores are averaged; what is too much for memory goes to `folder`."""
        clicks = sessions.prefixes()
        size = len(sessions.items), min(SAID, len(teachers[0].output_table))
        items, shares = _arrays(size, folder if len(sessions.items) > _IN_MEMORY else None)
        asked = (scores_after(teacher, sessions, clicks) for teacher in teachers)
        for answers in zip(*asked, strict=True):  # all in the same pieces, see `Scorer.score`
            rows = answers[0][0]
            named, likely = _most_likely([scores for _, scores in answers], size[1])
            items[clicks[rows]], shares[clicks[rows]] = named.numpy(), likely.numpy()
        return cls(items, shares)

    def after(self, clicks: IntArray) -> tuple[IntArray, Tensor]:
        """Return the items named after clicks and their shares [M, K], by places."""
        return self.items[clicks].astype(np.int64), torch.from_numpy(self.shares[clicks]).float()


@torch.inference_mode()
def _most_likely(scores: Sequence[Tensor], count: int) -> tuple[Tensor, Tensor]:
    """Return the best items by the mean of teachers' scores, and their shares [M, K]."""
    mean_MN = torch.stack([of_one.cpu() for of_one in scores]).mean(0)
    items_MK = top_k(mean_MN, count)
    return items_MK.int(), torch.softmax(mean_MN.gather(1, items_MK), dim=1).half()


def _arrays(size: tuple[int, int], folder: Path | None) -> tuple[Int32Array, Float16Array]:
    if folder is None:
        return np.zeros(size, np.int32), np.zeros(size, np.float16)
    made = (
        np.lib.format.open_memmap(folder / name, mode="w+", dtype=dtype, shape=size)
        for name, dtype in (("items.npy", np.int32), ("shares.npy", np.float16))
    )
    items, shares = made
    return items, shares
