"""The GRU layer against numbers worked by hand, torch's GRU, and its numeric gradient."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from gru4rec.model.encoders import Packing
from gru4rec.model.encoders.gru import GRULayer
from gru4rec.model.encoders.packed_gru import PackedGRU


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def random_tensor(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_one_unit_gives_the_numbers_worked_by_hand():
    # h = 0.5, input products 0.1, 0.2, 0.3 of r, z, n, recurrent weights 1, 2, 3, biases 0, 0, 0.5
    reset = sigmoid(0.1 + 1 * 0.5)
    update = sigmoid(0.2 + 2 * 0.5)
    new = math.tanh(0.3 + reset * (3 * 0.5 + 0.5))
    expected = (1 - update) * new + update * 0.5
    output = PackedGRU.apply(
        torch.tensor([[0.1, 0.2, 0.3]]),
        torch.tensor([[0.5]]),
        torch.tensor([[1.0], [2.0], [3.0]]),
        torch.tensor([0.0, 0.0, 0.5]),
        [1],
    )
    assert output.item() == pytest.approx(expected, abs=1e-6)


def test_its_gradients_pass_gradcheck():
    sizes = [3, 3, 2, 1]
    inputs = (
        random_tensor(9, 12, seed=1).requires_grad_(),
        random_tensor(3, 4, seed=2),
        random_tensor(12, 4, seed=3).requires_grad_(),
        random_tensor(12, seed=4).requires_grad_(),
        sizes,
    )
    assert torch.autograd.gradcheck(PackedGRU.apply, inputs)


def test_its_gradients_pass_gradcheck_where_sessions_begin_within_segments():
    kept = torch.ones(9, 1, dtype=torch.float64)
    kept[[0, 4, 5]] = 0
    inputs = (
        random_tensor(9, 12, seed=1).requires_grad_(),
        random_tensor(3, 4, seed=2),
        random_tensor(12, 4, seed=3).requires_grad_(),
        random_tensor(12, seed=4).requires_grad_(),
        [3, 3, 3],
        kept,
    )
    assert torch.autograd.gradcheck(PackedGRU.apply, inputs)


def test_it_equals_torchs_gru_forward_and_backward():
    sizes = torch.tensor([4, 3, 1, 1])
    packing = Packing.of_lengths(np.array([4, 2, 2, 1]))
    torchs = nn.GRU(5, 6).double()
    ours = GRULayer(5, 6).double()
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    for seed, name in enumerate(names):
        weight = random_tensor(*getattr(ours, name).shape, seed=seed)
        ours.get_parameter(name).data.copy_(weight)
        torchs.get_parameter(f"{name}_l0").data.copy_(weight)
    inputs, initial = random_tensor(9, 5, seed=9), random_tensor(4, 6, seed=10)
    reference = nn.utils.rnn.PackedSequence(inputs, sizes)
    expected = torchs(reference, initial.unsqueeze(0))[0].data
    found, _ = ours(inputs, packing, initial)
    assert torch.allclose(found, expected, atol=1e-12)
    assert torch.allclose(ours.fused(inputs, packing, initial), expected, atol=1e-12)
    direction = random_tensor(*expected.shape, seed=11)
    (expected * direction).sum().backward()
    (found * direction).sum().backward()
    for name in names:
        theirs = torchs.get_parameter(f"{name}_l0").grad
        assert torch.allclose(ours.get_parameter(name).grad, theirs, atol=1e-12)


def test_ready_made_products_take_the_place_of_inputs():
    layer = GRULayer(None, 4)
    for name, parameter in layer.named_parameters():
        parameter.data.copy_(random_tensor(*parameter.shape, seed=len(name)))
    packing = Packing.of_lengths(np.array([2, 1]))
    products = random_tensor(3, 12, dtype=torch.float32)
    with_inputs = GRULayer(12, 4)
    with_inputs.weight_ih.data.copy_(torch.eye(12))
    for name in ("weight_hh", "bias_ih", "bias_hh"):
        with_inputs.get_parameter(name).data.copy_(layer.get_parameter(name))
    initial = torch.zeros(2, 4)
    expected, _ = with_inputs(products, packing, initial)
    found, _ = layer(products, packing, initial)
    assert torch.allclose(found, expected, atol=1e-6)
