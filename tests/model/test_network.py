"""The model's tables, first weights and scores."""

import math

import pytest
import torch

import gru4rec as g4r
from gru4rec.model.network import Model, unit


def model_of(**settings: object) -> Model:
    base = {"encoder.hidden_size": 8, "training.scoring": "dot", "training.scale": 10.0}
    model = Model(g4r.Config().replace({**base, **settings}), 50)
    model.initialize(torch.Generator().manual_seed(0))
    return model


def test_shared_embedding_is_one_tensor():
    model = model_of()
    assert model.input_table is model.output_table
    assert model.output_table.shape == (50, 8)


def test_separate_embeddings_are_two_tensors_of_their_own_sizes():
    model = model_of(**{"encoder.embedding": "separate", "encoder.embedding_size": 5})
    assert model.input_table.shape == (50, 5)
    assert model.output_table.shape == (50, 8)


def test_onehot_has_input_weights_of_all_gates_and_no_embedding():
    model = model_of(**{"encoder.embedding": "onehot"})
    assert model.input_table.shape == (50, 24)
    assert all("weight_ih" not in name for name, _ in model.encoder.named_parameters())


@pytest.mark.parametrize(
    ("mode", "name", "bound"),
    [
        ("shared", "output_table", math.sqrt(6 / 58)),
        ("shared", "encoder.layers.0.weight_ih", math.sqrt(6 / 16)),
        ("shared", "encoder.layers.0.weight_hh", math.sqrt(6 / 16)),
        ("separate", "encoder.layers.0.weight_ih", math.sqrt(6 / 13)),
        ("onehot", "_input_table", math.sqrt(6 / 58)),
    ],
)
def test_first_weights_fill_their_bounds_gate_by_gate(mode, name, bound):
    size = {"encoder.embedding_size": 5} if mode == "separate" else {}
    model = model_of(**{"encoder.embedding": mode, **size})
    weight = dict(model.named_parameters())[name]
    assert weight.abs().max().item() <= bound
    assert weight.abs().max().item() > 0.85 * bound
    assert abs(weight.mean().item()) < 0.15 * bound


def test_biases_start_at_zero():
    model = model_of()
    assert all(not p.any() for name, p in model.named_parameters() if "bias" in name)


def scores_of(model: Model, vectors: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    queries, items = model.comparable(vectors, outputs)
    return queries @ items.t()


def test_a_dot_score_is_the_product():
    vector, item = torch.ones(1, 8), torch.full((1, 8), 0.5)
    assert scores_of(model_of(), vector, item).item() == pytest.approx(4)


def test_a_cosine_score_is_the_scaled_cosine_whatever_the_lengths():
    model = model_of(**{"training.scoring": "cosine"})
    vector = torch.zeros(1, 8)
    vector[0, 0] = 3
    items = torch.zeros(2, 8)
    items[0, 0], items[1, :2] = 7, 1
    assert scores_of(model, vector, items).tolist() == [pytest.approx([10, 10 / math.sqrt(2)])]
    assert model.bias is None


@pytest.mark.parametrize("scoring", ["dot", "cosine"])
def test_queries_times_item_vectors_are_the_scores(scoring):
    model = model_of(**{"training.scoring": scoring})
    if model.bias is not None:
        model.bias.data.uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
    vectors = torch.randn(4, 8, generator=torch.Generator().manual_seed(2))
    expected = scores_of(model, vectors, model.output_table)
    if model.bias is not None:
        expected += model.bias
    found = model.query_vectors(vectors) @ model.item_vectors().t()
    assert torch.allclose(found, expected, atol=1e-5)


def test_unit_rows_pass_gradcheck_and_zeros_stay_zeros():
    rows = torch.randn(
        3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)
    ).requires_grad_()
    assert torch.autograd.gradcheck(unit, rows)
    assert not unit(torch.zeros(2, 3)).any()
