"""A GRU with the reset gate before the product: hand-worked numbers, gradients, a reference."""

import math

import numpy as np
import pytest
import torch

from gru4rec.model.encoders import Packing
from gru4rec.model.encoders.gru import GRULayer
from gru4rec.model.encoders.packed_gru_before import PackedGRUBefore


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def random_tensor(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_two_clicks_of_one_unit_give_the_numbers_worked_by_hand():
    # input products 0.1, 0.2, 0.3 of r, z, n at both clicks, recurrent weights 1, 2, 3, h₀ = 0.5
    expected, hidden = [], 0.5
    for _ in range(2):
        reset = sigmoid(0.1 + 1 * hidden)
        update = sigmoid(0.2 + 2 * hidden)
        new = math.tanh(0.3 + 3 * (reset * hidden))
        hidden = (1 - update) * hidden + update * new
        expected.append(hidden)
    outputs = PackedGRUBefore.apply(
        torch.tensor([[0.1, 0.2, 0.3]] * 2, dtype=torch.float64),
        torch.tensor([[0.5]], dtype=torch.float64),
        torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64),
        [1, 1],
    )
    assert outputs.flatten().tolist() == pytest.approx(expected)


def test_its_gradients_pass_gradcheck():
    inputs = (
        random_tensor(9, 12, seed=1).requires_grad_(),
        random_tensor(3, 4, seed=2),
        random_tensor(12, 4, seed=3).requires_grad_(),
        [3, 3, 2, 1],
    )
    assert torch.autograd.gradcheck(PackedGRUBefore.apply, inputs)


def test_a_layer_equals_the_equations_click_by_click():
    layer = GRULayer(5, 6, reset_before=True).double()
    for seed, parameter in enumerate(layer.parameters()):
        parameter.data.copy_(random_tensor(*parameter.shape, seed=seed))
    assert layer.bias_hh is None
    inputs, initial = random_tensor(9, 5, seed=9), random_tensor(4, 6, seed=10)
    sizes = [4, 3, 1, 1]
    reset_x, update_x, new_x = (inputs @ layer.weight_ih.t() + layer.bias_ih).chunk(3, 1)
    reset_h, update_h, new_h = layer.weight_hh.chunk(3)
    expected, hidden, start = [], initial, 0
    for size in sizes:
        rows, hidden = slice(start, start + size), hidden[:size]
        reset = torch.sigmoid(reset_x[rows] + hidden @ reset_h.t())
        update = torch.sigmoid(update_x[rows] + hidden @ update_h.t())
        new = torch.tanh(new_x[rows] + (reset * hidden) @ new_h.t())
        hidden = (1 - update) * hidden + update * new
        expected.append(hidden)
        start += size
    found, _ = layer(inputs, Packing.of_lengths(np.array([4, 2, 2, 1])), initial)
    assert torch.allclose(found, torch.cat(expected), atol=1e-12)
