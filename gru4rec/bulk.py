"""Say how much a device works on at once, and send arrays to it."""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class Bulk:
    """How much is worked on at once. It changes no result."""

    lanes: int
    """Sessions that are read side by side."""
    steps: int
    """Clicks of each that are read in a window."""
    rows: int
    """Clicks whose session vectors are held."""
    scores: int
    """Scores that are held, roughly: see `serving.chunks`."""


BULKS = {
    # Small enough to stay near the processor, large enough for a matrix product.
    "cpu": Bulk(lanes=256, steps=32, rows=1 << 14, scores=1 << 22),
    # An operation takes microseconds to start, so it is to work for a hundred or more. The scores
    # of float32 take half a GB.
    "cuda": Bulk(lanes=4096, steps=64, rows=1 << 17, scores=1 << 27),
}
"""By the type of the device: what all that is made in bulk goes by."""


def bulk_of(device: torch.device) -> Bulk:
    """Return how much a device works on at once."""
    return BULKS[device.type]


def sent(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device: on a CPU the same memory.

    To a GPU it is copied while the host goes on, which needs memory that is pinned.
    """
    tensor = torch.from_numpy(array)
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
