"""Say how much a device works on at once, and send arrays to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

_ALIGNED = 16  # bytes: where a tensor of any type may begin


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


def sent_together(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Return tensors of a CPU on another device, sent in one piece while the host goes on."""
    starts = [0]
    for tensor in tensors:
        starts.append(starts[-1] + -(-tensor.nbytes // _ALIGNED) * _ALIGNED)
    piece = torch.empty(starts[-1], dtype=torch.uint8, pin_memory=device.type == "cuda")
    for start, tensor in zip(starts, tensors, strict=False):
        _part(piece, start, tensor).copy_(tensor)
    there = piece.to(device, non_blocking=True)
    return [_part(there, start, tensor) for start, tensor in zip(starts, tensors, strict=False)]


def _part(piece: Tensor, start: int, like: Tensor) -> Tensor:
    """Return the bytes from `start` on as a tensor of the type and shape of another."""
    return piece[start : start + like.nbytes].view(like.dtype).view(like.shape)
