"""What is counted of a whole log before its batches are made."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from gru4rec.arraytypes import Float32Array, Float64Array, IntArray
from gru4rec.sessions import SessionArrays

ALIKE: Float32Array = np.empty(0, dtype=np.float32)
"""The weights of clicks that all count alike."""

# N items


@dataclass(frozen=True)
class Counts:
    """What batches need to know of a whole log."""

    pairs: int
    """Pairs of a click and the next one."""
    targets: IntArray
    """How often each item is a target: clicked, and not first in its session [N]."""
    mean_weight: float
    """What a target weighs on average."""
    are_weighted: bool
    """Whether some targets weigh more than others, or are worth something."""

    @classmethod
    def of(cls, sessions: SessionArrays, num_items: int) -> Self:
        """Count sessions of so many items."""
        is_target = np.ones(len(sessions.items), dtype=bool)
        is_target[sessions.offsets[:-1]] = False
        targets = np.bincount(sessions.items[is_target], minlength=num_items)
        weights = sessions.weights
        mean_weight = 1.0 if weights is None else weights[is_target].mean()
        pairs = len(sessions.items) - len(sessions)
        return cls(pairs, targets, mean_weight, weights is not None)


def scaled(weights: Float64Array | None, mean_weight: float) -> Float32Array:
    """Return what every click counts as a target [clicks], 1 on average over the targets of a log.

    Empty if all count alike.
    """
    return ALIKE if weights is None else (weights / mean_weight).astype(np.float32)
