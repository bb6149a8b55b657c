"""Smoothing leans an item's vector on those of the items clicked beside it."""

import numpy as np
import polars as pl
import pytest
import torch

import gru4rec as g4r
from gru4rec.model import Model
from gru4rec.sessions import SessionArrays, offsets_of
from gru4rec.training.smoothing import Neighbours, smooth, smoothed


def arrays(sessions: list[list[int]]) -> SessionArrays:
    items = np.array([item for session in sessions for item in session], dtype=np.int64)
    ids = pl.Series(range(len(sessions)))
    return SessionArrays(ids, items, offsets_of([len(session) for session in sessions]))


@pytest.fixture
def model() -> Model:
    settings = {"encoder.hidden_size": 2, "training.scoring": "cosine", "training.scale": 1.0}
    model = Model(g4r.Config().replace(settings), 4)
    with torch.no_grad():
        model.output_table.copy_(torch.tensor([[3.0, 0], [0, 2], [0, -1], [5, 0]]))
    return model


SESSIONS = arrays([[0, 1, 1, 0], [2, 0], [3]])


def test_means_are_over_the_clicks_beside_those_on_an_item_within_sessions_by_hand():
    # beside 0: 1, 1 and 2; beside 1: 0 and 0, itself not counted; beside 2: 0; beside 3: nothing
    vectors = torch.tensor([[1.0, 0], [0, 1], [0, -1], [1, 0]])
    means = Neighbours.of(SESSIONS, 4).means(vectors)
    assert means.flatten().tolist() == pytest.approx([0, 1 / 3, 1, 0, 1, 0, 0, 0])


def test_a_vector_turns_and_keeps_its_length_by_hand(model):
    smooth(model, SESSIONS, 1.0)
    turned = np.array([1, 1 / 3]) / np.hypot(1, 1 / 3) * 3
    half = np.sqrt(0.5)
    expected = [*turned, 2 * half, 2 * half, half, -half, 5, 0]
    assert model.output_table.flatten().tolist() == pytest.approx(expected)


def test_after_a_measurement_the_model_is_as_before_to_the_bit(model):
    before = model.output_table.clone()
    with smoothed(model, SESSIONS, 0.3):
        assert not torch.equal(model.output_table, before)
    assert torch.equal(model.output_table, before)
    smooth(model, SESSIONS, 0.0)
    assert torch.equal(model.output_table, before)
