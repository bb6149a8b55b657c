"""LSTM and RNN layers against numbers worked by hand."""

import math

import numpy as np
import pytest
import torch

from gru4rec.model.encoders import Packing
from gru4rec.model.encoders.lstm import LSTMLayer, RNNLayer


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def fill(layer: torch.nn.Module, **weights: list[float]) -> None:
    for name, values in weights.items():
        parameter = layer.get_parameter(name)
        parameter.data.copy_(torch.tensor(values).view(parameter.shape))


def test_two_clicks_of_one_lstm_unit_give_the_numbers_worked_by_hand():
    layer = LSTMLayer(1, 1)
    fill(
        layer,
        weight_ih=[0.1, 0.2, 0.3, 0.4],
        weight_hh=[0.5, 0.6, 0.7, 0.8],
        bias_ih=[0.0, 1.0, 0.0, 0.0],
        bias_hh=[0.0, 0.0, 0.0, 0.1],
    )
    hidden, cell, expected = 0.5, -0.25, []
    for click in (1.0, 2.0):
        into, forget = sigmoid(0.1 * click + 0.5 * hidden), sigmoid(0.2 * click + 0.6 * hidden + 1)
        new, out = math.tanh(0.3 * click + 0.7 * hidden), sigmoid(0.4 * click + 0.8 * hidden + 0.1)
        cell = forget * cell + into * new
        hidden = out * math.tanh(cell)
        expected.append(hidden)
    packing = Packing.of_lengths(np.array([2]))
    state = torch.tensor([[0.5]]), torch.tensor([[-0.25]])
    outputs, (cells,) = layer(torch.tensor([[1.0], [2.0]]), packing, *state)
    assert outputs.flatten().tolist() == pytest.approx(expected, abs=1e-6)
    assert cells.item() == pytest.approx(cell, abs=1e-6)


def test_two_clicks_of_one_plain_unit_give_the_numbers_worked_by_hand():
    layer = RNNLayer(1, 1)
    fill(layer, weight_ih=[0.3], weight_hh=[-0.6], bias_ih=[0.1], bias_hh=[0.2])
    first = math.tanh(0.3 * 1 - 0.6 * 0.5 + 0.3)
    second = math.tanh(0.3 * 2 - 0.6 * first + 0.3)
    packing = Packing.of_lengths(np.array([2]))
    outputs, rest = layer(torch.tensor([[1.0], [2.0]]), packing, torch.tensor([[0.5]]))
    assert outputs.flatten().tolist() == pytest.approx([first, second], abs=1e-6)
    assert rest == ()
