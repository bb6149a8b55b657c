"""Items placed by their attributes: sums worked by hand, a model that is folded and undone."""

import numpy as np
import polars as pl
import pytest
import torch

import gru4rec as g4r
from gru4rec.model import Model, Placement, fold, folded, item_tables
from gru4rec.sessions import Attributes, CodedItems

TABLE = pl.DataFrame(
    {
        "item_id": [1, 2, 3],
        "kind": ["x", "x", None],
        "text": [[0.0, 1.0], [1.0, 0.0], None],
    }
)
SETTINGS = {
    "encoder.hidden_size": 2, "training.scoring": "cosine", "training.scale": 8.0,
}  # fmt: skip


def model_of(**settings: object) -> Model:
    model = Model(g4r.Config().replace({**SETTINGS, **settings}), 3)
    model.initialize(torch.Generator().manual_seed(1))
    return model


def placement_of(model: Model) -> tuple[Placement, CodedItems]:
    attributes = Attributes.of(TABLE)
    placement = Placement.of(attributes, model)
    placement.initialize(3, torch.Generator().manual_seed(2))
    return placement, attributes.coded(TABLE)


def test_a_row_is_the_sum_of_the_vectors_of_values_and_of_numbers_through_a_matrix():
    placement, items = placement_of(model_of())
    with torch.no_grad():
        placement.values["output"][1] = torch.tensor([1.0, 2.0])
        placement.matrices["output"].copy_(torch.tensor([[3.0, 0.0], [0.0, 5.0]]))
    # means (½, ½), lengths √½: the numbers of items 1 and 2 are (∓√½, ±√½)
    root = 0.5**0.5
    expected = [[1 - 3 * root, 2 + 5 * root], [1 + 3 * root, 2 - 5 * root], [0, 0]]
    assert torch.allclose(placement.rows("output", items), torch.tensor(expected))


@pytest.mark.parametrize(
    ("settings", "tables"),
    [
        ({}, {"output"}),
        ({"encoder.embedding": "separate", "encoder.embedding_size": 5}, {"output", "input"}),
        ({"encoder.embedding": "onehot"}, {"output", "input"}),
        ({"training.scoring": "dot"}, {"output", "bias"}),
    ],
)
def test_folding_adds_to_every_table_and_is_undone_to_the_bit(settings, tables):
    model = model_of(**settings)
    placement, items = placement_of(model)
    assert set(placement.placed(items)) == set(item_tables(model)) == tables
    before = {name: table.clone() for name, table in item_tables(model).items()}
    with folded(model, placement, items):
        for name, table in item_tables(model).items():
            added = placement.rows(name, items).view_as(table)
            assert torch.equal(table, before[name] + added)
            assert not torch.equal(table[:2], before[name][:2])
            assert torch.equal(table[2], before[name][2])  # nothing is known of it
    assert all(torch.equal(table, before[name]) for name, table in item_tables(model).items())
    fold(model, placement, items)
    assert not torch.equal(model.output_table, before["output"])


def test_many_items_are_placed_as_few_are(monkeypatch):
    placement, items = placement_of(model_of())
    expected = placement.rows("output", items)
    monkeypatch.setattr("gru4rec.model.placement._AT_ONCE", 2)
    assert torch.equal(placement.rows("output", items), expected)
    none = items.take(np.array([], dtype=np.int64))
    assert placement.rows("output", none).shape == (0, 2)


@pytest.mark.parametrize("change", ["shape", "nan", "type", "missing", "more"])
def test_weights_of_another_placement_are_refused(change):
    placement, _ = placement_of(model_of())
    weights = dict(placement.state_dict())
    name = "values.output"
    if change == "shape":
        weights[name] = weights[name][:1]
    elif change == "nan":
        weights[name] = torch.full_like(weights[name], torch.nan)
    elif change == "type":
        weights[name] = weights[name].double()
    elif change == "missing":
        del weights[name]
    else:
        weights["values.more"] = torch.zeros(1)
    with pytest.raises(g4r.CheckpointError, match="does not fit its attributes"):
        placement.load(weights)
