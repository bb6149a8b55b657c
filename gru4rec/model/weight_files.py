"""Weights in fewer bits: how they are stored in a file, and what they are computed with.

Encoder weights are float32 in memory whatever their file holds: they are few, and a CPU multiplies
nothing sooner for one visitor. So is the head of outcomes in its file too: it is calibrated. Item
tables of float16 stay so in memory, where they are most of a model. int8 has one scale for each row
of a matrix: w ≈ scale · q, scale = max |w| / 127. Quantised tensors of torch are deprecated (2.13),
so the codes are plain int8 tensors.

How training computes its scores is another thing: `training.precision`.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gru4rec.errors import choose

_SCALE = ".scale"
_ENCODER = ("encoder.", "sides.")
_HEAD = "outcome."

Weights = Mapping[str, Tensor]

AS_TRAINED = {"encoder": "float32", "items": "float32"}
"""How weights are stored that were never packed otherwise."""


def _int8(name: str, weight: Tensor) -> dict[str, Tensor]:
    if weight.dim() < 2:  # biases and norms are few, and sums of many
        return {name: weight}
    scale = (weight.abs().amax(dim=1, keepdim=True) / 127).clamp_min(torch.finfo().tiny)
    return {name: (weight / scale).round().to(torch.int8), name + _SCALE: scale}


ENCODER: Mapping[str, Callable[[str, Tensor], dict[str, Tensor]]] = {
    "float32": lambda name, weight: {name: weight},
    "bf16": lambda name, weight: {name: weight.to(torch.bfloat16)},
    "int8": _int8,
}
"""How encoder weights may be stored: the tensors of a file for one of them."""

_TYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "int8": torch.int8}

ITEMS: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "sq8": torch.float16,
}
"""How items may be stored: the type of their tables. `sq8` is that of the index alone, whose
proposals are scored by float16 vectors."""


def packed(weights: Weights, *, encoder: str, items: str) -> dict[str, Tensor]:
    """Return the weights of a model as a file stores them.

    Packing what was unpacked gives the same again. Raise ConfigError for unknown names.
    """
    pack = choose("precision of encoder weights", encoder, ENCODER)
    dtype = choose("precision of items", items, ITEMS)
    tensors: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if name.startswith(_ENCODER):
            tensors |= pack(name, weight)
        else:
            is_table = weight.dim() == 2 and not name.startswith(_HEAD)
            tensors[name] = weight.to(dtype) if is_table else weight
    return tensors


def file_layout(
    weights: Weights, *, encoder: str, items: str
) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Return the shape and the type of each tensor that `packed` makes, without making it.

    `weights` may lie on the device "meta". Raise ConfigError for unknown names.
    """
    of_encoder = choose("precision of encoder weights", encoder, _TYPES)
    of_items = choose("precision of items", items, ITEMS)
    tensors: dict[str, tuple[torch.Size, torch.dtype]] = {}
    for name, weight in weights.items():
        shape, dtype = weight.shape, weight.dtype
        if not name.startswith(_ENCODER):
            is_table = len(shape) == 2 and not name.startswith(_HEAD)
            tensors[name] = shape, of_items if is_table else dtype
        elif of_encoder != torch.int8:
            tensors[name] = shape, of_encoder
        elif len(shape) < 2:
            tensors[name] = shape, dtype
        else:
            scales = torch.Size([shape[0], 1, *shape[2:]])
            tensors |= {name: (shape, of_encoder), name + _SCALE: (scales, dtype)}
    return tensors


def unpacked(weights: Weights) -> dict[str, Tensor]:
    """Return the weights that a file stores as a model computes with them."""
    tensors = {}
    for name, weight in weights.items():
        if name.endswith(_SCALE):
            continue
        if name + _SCALE in weights:
            weight = weight * weights[name + _SCALE]
        tensors[name] = weight.float() if name.startswith(_ENCODER) else weight
    return tensors
