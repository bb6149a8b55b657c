"""Keep a matrix with many zeros as the others alone, and a bit for each entry that says where."""

import numpy as np
import torch
from torch import Tensor


def bytes_of(size: int) -> int:
    """Return how many bytes have a bit for each of so many entries."""
    return (size + 7) // 8


def without_zeros(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the entries that are not 0 [count], row by row, and a bit for every entry [bytes]."""
    is_there = (weight != 0).flatten()
    bits = torch.from_numpy(np.packbits(is_there.cpu().numpy()))
    return weight.flatten()[is_there], bits


def with_zeros(values: Tensor, bits: Tensor, shape: torch.Size) -> Tensor:
    """Return the inverse of `without_zeros`, given the shape of the matrix."""
    whole = values.new_zeros(shape.numel())
    whole[_is_there(bits, shape.numel())] = values
    return whole.view(shape)


def count_in(bits: Tensor, size: int) -> int:
    """Return how many of so many entries are not 0; none if these are no bits."""
    if bits.dtype != torch.uint8:
        return 0
    return int(_is_there(bits, size).sum())


def _is_there(bits: Tensor, size: int) -> Tensor:
    return torch.from_numpy(np.unpackbits(bits.numpy(), count=size)).bool()
