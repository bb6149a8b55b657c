"""Weights in fewer bits: how they are stored in a file, and what they are computed with.

Matrices of an encoder that is pruned are stored without their zeros, beside a bit for each entry
that says where these are; in memory they are whole, as nothing multiplies sparse ones of this size
sooner (LOG, 2026-11-28).

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

from gru4rec.errors import ConfigError, choose
from gru4rec.model.bit_masks import bytes_of, count_in, with_zeros, without_zeros
from gru4rec.model.pruning import OF_ENCODER, check_sparsity, is_pruned, kept_entries
from gru4rec.untrusted import shown

_SCALE, _BITS = ".scale", ".bits"
_HEAD = "outcome."

Weights = Mapping[str, Tensor]

AS_TRAINED = {"encoder": "float32", "items": "float32", "sparsity": "0"}
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
    "pq": torch.float16,
}
"""How items may be stored: the type of their tables. `sq8` and `pq` are those of the index alone,
whose proposals are scored by float16 vectors."""


def packed(weights: Weights, *, encoder: str, items: str, sparsity: str = "0") -> dict[str, Tensor]:
    """Return the weights of a model as a file stores them.

    `sparsity` is the share of the entries of each encoder matrix that become 0, those of least
    magnitude. Packing what was unpacked gives the same again. Raise ConfigError for unknown names
    and for what is no share.
    """
    pack = choose("precision of encoder weights", encoder, ENCODER)
    dtype = choose("precision of items", items, ITEMS)
    share = share_of(sparsity)
    tensors: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if share and is_pruned(name, weight):
            stored = pack(name, weight * kept_entries(weight, share))
            stored[name], stored[name + _BITS] = without_zeros(stored[name])
            tensors |= stored
        elif name.startswith(OF_ENCODER):
            tensors |= pack(name, weight)
        else:
            is_table = weight.dim() == 2 and not name.startswith(_HEAD)
            tensors[name] = weight.to(dtype) if is_table else weight
    return tensors


def file_layout(
    weights: Weights, stored: Weights, *, encoder: str, items: str, sparsity: str = "0"
) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """Return the shape and the type of each tensor that `packed` makes, without making it.

    `weights` may lie on the device "meta". How many entries of a matrix are not 0, the bits that
    are `stored` say. Raise ConfigError as `packed` does.
    """
    of_encoder = choose("precision of encoder weights", encoder, _TYPES)
    of_items = choose("precision of items", items, ITEMS)
    share = share_of(sparsity)
    tensors: dict[str, tuple[torch.Size, torch.dtype]] = {}
    for name, weight in weights.items():
        shape, dtype = weight.shape, weight.dtype
        if not name.startswith(OF_ENCODER):
            is_table = len(shape) == 2 and not name.startswith(_HEAD)
            tensors[name] = shape, of_items if is_table else dtype
            continue
        if of_encoder != torch.int8:
            tensors[name] = shape, of_encoder
        elif len(shape) < 2:
            tensors[name] = shape, dtype
        else:
            scales = torch.Size([shape[0], 1, *shape[2:]])
            tensors |= {name: (shape, of_encoder), name + _SCALE: (scales, dtype)}
        if share and is_pruned(name, weight):
            size = shape.numel()
            bits = stored.get(name + _BITS)
            count = 0 if bits is None else count_in(bits, size)
            tensors[name] = torch.Size([count]), tensors[name][1]
            tensors[name + _BITS] = torch.Size([bytes_of(size)]), torch.uint8
    return tensors


def unpacked(stored: Weights, weights: Weights) -> dict[str, Tensor]:
    """Return the weights that a file has stored as a model computes with them.

    `weights` are any of the same model, on any device, "meta" too: their shapes count.
    """
    tensors = {}
    for name, like in weights.items():
        weight = stored[name]
        if name + _BITS in stored:
            weight = with_zeros(weight, stored[name + _BITS], like.shape)
        if name + _SCALE in stored:
            weight = weight * stored[name + _SCALE]
        tensors[name] = weight.float() if name.startswith(OF_ENCODER) else weight
    return tensors


def share_of(sparsity: str) -> float:
    """Return the number in a text. Raise ConfigError if it is no share of weights to prune."""
    try:
        share = float(sparsity)
    except ValueError:
        raise ConfigError(f"sparsity must be a number, got {shown(sparsity)}") from None
    check_sparsity(share)
    return share
