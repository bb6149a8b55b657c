"""Prune weights by magnitude: which entries of the encoder's matrices become 0.

Of each matrix the same share. By one threshold for all matrices together Recall@20 is the same
within .003 on validation sessions (LOG, 2026-11-28), and then a matrix may be left with nothing.
"""

import math

import torch
from torch import Tensor

from gru4rec.errors import ConfigError

OF_ENCODER = ("encoder.", "sides.")
"""How the names of weights begin that are not of items."""


def check_sparsity(sparsity: float) -> None:
    """Raise ConfigError unless it is a share of weights that leaves some."""
    if not 0 <= sparsity < 1:
        raise ConfigError(
            f"sparsity must be from 0 on and below 1, got {sparsity}", mend_with=["sparsity"]
        )


def is_pruned(name: str, weight: Tensor) -> bool:
    """Whether a weight is one of the matrices that are pruned: biases and norms are few."""
    return name.startswith(OF_ENCODER) and weight.dim() > 1


def kept_entries(weight: Tensor, sparsity: float) -> Tensor:
    """Return which entries of a matrix stay, as bools: all but this share of least magnitude.

    Of equal magnitudes the first go. What was pruned so far goes again, so that pruning what was
    pruned changes nothing.
    """
    kept = torch.ones(weight.numel(), dtype=torch.bool, device=weight.device)
    least = weight.detach().abs().flatten().argsort(stable=True)
    kept[least[: math.floor(sparsity * weight.numel())]] = False
    return kept.view_as(weight)
