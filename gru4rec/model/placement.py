"""Place items by their attributes: the part of their rows that items alike have in common.

    row = own row + Σ vectors of the attributes' values + numbers · matrix

While a model learns, its item tables hold the own rows alone. Then both are added up, once for all
(`fold`). What is left is an ordinary model, and a placement that says where an item without clicks
would lie.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from gru4rec.errors import CheckpointError
from gru4rec.model.encoders import glorot
from gru4rec.model.network import Model
from gru4rec.sessions import Attributes, CodedItems

_AT_ONCE = 1 << 16  # items


# R items, J columns of codes, L numbers, W width of a row, V values
class Placement(nn.Module):
    """Vectors of the values of attributes, and a matrix for numbers, for each table of a model."""

    def __init__(self, attributes: Attributes, tables: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.attributes = attributes
        widths = {name: table.shape[1] if table.dim() > 1 else 1 for name, table in tables.items()}
        rows, numbers = 1 + attributes.num_codes, attributes.num_numbers
        self.values = nn.ParameterDict(
            {name: _zeros(rows, width, dense=False) for name, width in widths.items()}
        )
        self.matrices = nn.ParameterDict(
            {name: _zeros(numbers, width, dense=True) for name, width in widths.items()}
        )

    @classmethod
    def of(cls, attributes: Attributes, model: Model) -> Self:
        """Make one for the tables of a model."""
        return cls(attributes, item_tables(model))

    def initialize(self, num_items: int, random: torch.Generator) -> None:
        """Draw all as the rows of that many items are drawn; nothing known adds nothing."""
        with torch.no_grad():
            for part in (self.values, self.matrices):
                for weight in part.values():
                    glorot(weight, num_items, weight.shape[1], random)
            for weight in self.values.values():
                weight[0] = 0.0

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take over weights. Raise CheckpointError if they are of another placement."""
        own = self.state_dict()
        fit = own.keys() == weights.keys() and all(
            (weights[name].shape, weights[name].dtype) == (part.shape, part.dtype)
            and bool(weights[name].isfinite().all())
            for name, part in own.items()
        )
        if not fit:
            raise CheckpointError(
                "what the checkpoint places items by does not fit its attributes; train again"
            )
        self.load_state_dict(weights)

    def learned_densely(self) -> list[nn.Parameter]:
        """Return the parameters that every update moves: the matrices, if there are numbers."""
        return [weight for weight in self.matrices.values() if len(weight)]

    @torch.no_grad()
    def rows(self, name: str, items: CodedItems) -> Tensor:
        """Return what attributes add to the rows of items in a table [R, W]."""
        values, matrix = self.values[name], self.matrices[name]
        added = []
        for start in range(0, len(items), _AT_ONCE):
            codes = torch.from_numpy(items.codes[start : start + _AT_ONCE]).to(values.device)
            numbers = torch.from_numpy(items.numbers[start : start + _AT_ONCE]).to(values.device)
            added.append(sum_of(codes, values) + numbers @ matrix)
        return torch.cat(added) if added else values[:0]

    def placed(self, items: CodedItems) -> dict[str, Tensor]:
        """Return the rows of items that have no own ones, by the name of the table."""
        return {name: self.rows(name, items) for name in self.values}


def sum_of(places: Tensor, vectors: Tensor) -> Tensor:
    """Return the sum of the vectors at the places of each item [R, W], from [R, J] and [V, W]."""
    if not places.shape[1]:
        return vectors.new_zeros(len(places), vectors.shape[1])
    return embedding_bag(places, vectors, mode="sum")


def item_tables(model: Model) -> dict[str, Tensor]:
    """Return the tables of a model that have a row for each item: by name, each once."""
    tables: dict[str, Tensor] = {"output": model.output_table, "input": model.input_table}
    if model.shared:
        del tables["input"]
    if model.bias is not None:
        tables["bias"] = model.bias
    return tables


@torch.no_grad()
def fold(model: Model, placement: Placement, items: CodedItems) -> None:
    """Add to the own rows of a model what the attributes of its items add."""
    for name, table in item_tables(model).items():
        table += placement.rows(name, items).view_as(table)


@contextmanager
def folded(model: Model, placement: Placement, items: CodedItems) -> Iterator[None]:
    """Fold while this lasts; then the model is as before, to the bit."""
    tables = item_tables(model)
    before = {name: table.detach().clone() for name, table in tables.items()}
    fold(model, placement, items)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, table in tables.items():
                table.copy_(before[name])


def _zeros(rows: int, width: int, *, dense: bool) -> nn.Parameter:
    return nn.Parameter(torch.zeros(rows, width), requires_grad=dense)
