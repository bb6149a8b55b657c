"""Put items without clicks into a trained model, placed by their attributes."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor

from gru4rec.clicks import ClickSource
from gru4rec.config import Config
from gru4rec.errors import DataError
from gru4rec.model import Model, Placement
from gru4rec.schema import ITEM_ID
from gru4rec.sessions import Catalog, CodedItems, SideInputs, read_item_table, rows_by_item

logger = logging.getLogger(__name__)

_WEIGHTS = {"output": "output_table", "input": "_input_table", "bias": "bias"}


@dataclass(frozen=True)
class NewItems:
    """Items that a catalog does not have, as far as something is known of them."""

    catalog: Catalog
    """The one that has them too, behind the others."""
    attributes: CodedItems
    """What is known of each new one."""

    @classmethod
    def of(cls, table: pl.DataFrame, catalog: Catalog, placement: Placement | None) -> "NewItems":
        """Take those of a table of items that are new.

        Log how many are left out because nothing is known of them. Raise DataError if that is all,
        for ids of another type, and if the model has learned no attributes.
        """
        placement = _there(placement)
        new = table.filter(~catalog.has(table[ITEM_ID]))
        if new.is_empty():
            logger.warning("the catalog has all items of the table: none is new")
            return cls(catalog, placement.attributes.coded(new))
        coded = placement.attributes.coded(new)
        known = np.flatnonzero(coded.are_known)
        if len(known) < new.height:
            logger.warning(
                "%d of %d new items have no attribute that the model knows: left out",
                new.height - len(known), new.height,
            )  # fmt: skip
            if not len(known):
                raise DataError("no new item has an attribute that the model knows; none is added")
        return cls(catalog.extended(new[ITEM_ID].gather(known)), coded.take(known))


def placed_rows(
    item_features: ClickSource, catalog: Catalog, placement: Placement | None
) -> dict[str, Tensor]:
    """Return rows for the items of a catalog by a table of items, by the name of the model's table.

    They are zeros where nothing is known. Raise DataError if the model has learned no attributes.
    """
    placement = _there(placement)
    rows = rows_by_item(read_item_table(item_features), catalog)
    return _sound(placement.placed(placement.attributes.coded(rows)))


def model_with(
    items: NewItems, model: Model, placement: Placement, config: Config, side_inputs: SideInputs
) -> Model:
    """Return a model that has rows for new items too, in the precision of its tables."""
    weights, placed = model.state_dict(), placement.placed(items.attributes)
    for table, rows in placed.items():
        weight = weights[_WEIGHTS[table]]
        added = rows.to(weight).reshape(-1, *weight.shape[1:])
        _sound({table: added})
        weights[_WEIGHTS[table]] = torch.cat((weight, added))
    grown = Model(config, len(items.catalog), side_inputs, model.num_classes)
    grown.load(weights)
    return grown.to(model.output_table.device)


def optimizer_with(
    items: NewItems, optimizer: Mapping[str, Tensor] | None
) -> dict[str, Tensor] | None:
    """Return the state of optimisers with rows for new items, that have not moved yet."""
    if optimizer is None:
        return None
    count = len(items.attributes)
    return {
        name: torch.cat((state, state.new_zeros(count, *state.shape[1:])))
        if name.partition(".")[0] in _WEIGHTS
        else state
        for name, state in optimizer.items()
    }


def _there(placement: Placement | None) -> Placement:
    if placement is None:
        raise DataError(
            "the model has learned no attributes of items, so it cannot place new ones by them; "
            "train it with item_features",
            mend_with=["item_features"],
        )
    return placement


def _sound(placed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return placed rows. Raise DataError if they are no numbers in the precision of a table."""
    if not all(bool(rows.isfinite().all()) for rows in placed.values()):
        raise DataError(
            "an item has a list of numbers that is far from all that were learned; check the table",
            mend_with=["item_features"],
        )
    return placed
