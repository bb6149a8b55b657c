"""Make the model of a checkpoint, once its settings, side inputs and weights fit together."""

from collections.abc import Mapping

import polars as pl
import torch
from torch import Tensor

from gru4rec.config import Config
from gru4rec.errors import CheckpointError
from gru4rec.model import AS_TRAINED, Model, Placement, file_layout, unpacked
from gru4rec.recommenders.checkpoint import Checkpoint
from gru4rec.schema import ITEM_ID
from gru4rec.sessions import OF_TIME, Attributes, SideInputs
from gru4rec.untrusted import shown

_DECIDED = ("encoder.hidden_size", "training.scoring", "training.scale")  # the last: of a cosine


def model_of(config: Config, saved: Checkpoint) -> Model:
    """Return the model of a checkpoint whose settings are `config`.

    Nothing is built before the names, shapes and types of all weights are those that the settings
    imply. Raise CheckpointError if they are not, or if a weight is no number.
    """
    decided = config.flat()
    needed = _DECIDED if decided.get("training.scoring") == "cosine" else _DECIDED[:-1]
    if missing := [name for name in needed if name not in decided]:
        raise CheckpointError(f"the settings of the checkpoint lack {missing[0]}; train again")
    if saved.weights is None:
        raise CheckpointError("the checkpoint has no weights; train again")
    side_inputs, classes = _side_inputs_of(config, saved), saved.meta.outcome_classes
    if classes.column != config.training.outcome:
        raise CheckpointError(
            f"the outcome of the checkpoint, {shown(classes.column)}, is not that of its settings; "
            "train again"
        )
    with torch.device("meta"):  # shapes without memory
        shapes = Model(config, len(saved.catalog), side_inputs, len(classes)).state_dict()
    stored_as = saved.meta.stored_as or AS_TRAINED
    _compare(saved.weights, file_layout(shapes, saved.weights, **stored_as))
    for name, weight in saved.weights.items():
        if weight.numel() and not all(torch.isfinite(end) for end in torch.aminmax(weight)):
            raise CheckpointError(f"{name} of the checkpoint has weights that are no numbers")
    model = Model(config, len(saved.catalog), side_inputs, len(classes))
    model.load(unpacked(saved.weights, shapes))
    return model


def placement_of(model: Model, saved: Checkpoint) -> Placement | None:
    """Return what places items by their attributes, if the checkpoint has it.

    Raise CheckpointError if it does not fit the attributes or the model.
    """
    if (saved.placement is None) != (saved.meta.attributes is None):
        raise CheckpointError("the checkpoint has attributes or their weights alone; train again")
    if saved.placement is None or saved.meta.attributes is None:
        return None
    attributes = Attributes.from_dict(saved.meta.attributes)
    with torch.device("meta"):  # shapes without memory
        shapes = Placement.of(attributes, model).state_dict()
    if {name: part.shape for name, part in saved.placement.items()} != {
        name: part.shape for name, part in shapes.items()
    }:
        raise CheckpointError(
            "what the checkpoint places items by does not fit its attributes; train again"
        )
    placement = Placement.of(attributes, model)
    placement.load(saved.placement)
    return placement.to(model.output_table.device)


def items_of(saved: Checkpoint) -> pl.DataFrame | None:
    """Return what a checkpoint keeps of its table of items.

    Raise CheckpointError if it is no such table.
    """
    items = saved.items
    if items is not None and (
        items.schema.get(ITEM_ID) != saved.catalog.item_ids.dtype
        or items[ITEM_ID].is_duplicated().any()
        or items[ITEM_ID].null_count()
    ):
        raise CheckpointError(
            "the items of the checkpoint are not those of its catalog; train again"
        )
    return items


def _side_inputs_of(config: Config, saved: Checkpoint) -> SideInputs:
    """Return the side inputs of a checkpoint. Raise CheckpointError if they do not fit `config`."""
    values = saved.meta.inputs or {}
    fit = list(values) == list(config.encoder.inputs) and all(
        len(set(texts)) == len(texts) < 2**16 and not (texts and name in OF_TIME)
        for name, texts in values.items()
    )
    if not fit:
        raise CheckpointError(
            f"the side inputs of the checkpoint, {shown(dict(values))}, are not those of its "
            "settings, or have a value twice; train again"
        )
    return SideInputs(values)


def _compare(
    weights: Mapping[str, Tensor], needed: Mapping[str, tuple[torch.Size, torch.dtype]]
) -> None:
    given = {name: (weight.shape, weight.dtype) for name, weight in weights.items()}
    for name in sorted(given.keys() | needed.keys()):
        if given.get(name) != needed.get(name):
            raise CheckpointError(
                f"the weights of the checkpoint do not fit its config: {shown(name)} is "
                f"{_said(given.get(name))}, and should be {_said(needed.get(name))}; train again"
            )


def _said(kind: tuple[torch.Size, torch.dtype] | None) -> str:
    return "not there" if kind is None else f"{list(kind[0])} of {kind[1]}"
