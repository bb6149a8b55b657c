"""Adagrad with momentum against a row-by-row reference."""

import math

import pytest
import torch

from gru4rec.training.optimizers import Adagrad, DenseOptimizer


def test_the_first_step_has_the_length_of_the_rate_whatever_the_gradient():
    weight = torch.tensor([1.0, 1.0])
    Adagrad(weight, 0.0).update(torch.tensor([0.5, -20.0]), 0.1)
    assert weight.tolist() == pytest.approx(
        [1 - 0.05 / math.sqrt(0.25 + 1e-6), 1 + 2 / math.sqrt(400 + 1e-6)], abs=1e-6
    )


@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_rows_equal_a_per_row_reference_step_by_step(momentum):
    random = torch.Generator().manual_seed(3)
    weight = torch.randn(6, 2, generator=random)
    reference = weight.tolist()
    accumulated = [[0.0, 0.0] for _ in range(6)]
    velocity = [[0.0, 0.0] for _ in range(6)]
    optimizer = Adagrad(weight, momentum)
    for rows in ([0, 3], [3, 5], [0, 1, 5], [3]):
        gradient = torch.randn(len(rows), 2, generator=random)
        optimizer.update_rows(torch.tensor(rows), gradient, 0.1)
        for row, g in zip(rows, gradient.tolist(), strict=True):
            for i in range(2):
                accumulated[row][i] += g[i] ** 2
                step = 0.1 * g[i] / math.sqrt(accumulated[row][i] + 1e-6)
                velocity[row][i] = momentum * velocity[row][i] - step
                reference[row][i] += velocity[row][i]
        assert torch.allclose(weight, torch.tensor(reference), atol=1e-5)


def test_untouched_rows_keep_their_momentum_and_do_not_move():
    weight = torch.zeros(2, 1)
    optimizer = Adagrad(weight, 0.5)
    optimizer.update_rows(torch.tensor([0]), torch.tensor([[1.0]]), 0.1)
    moved = weight[0].item()
    optimizer.update_rows(torch.tensor([1]), torch.tensor([[1.0]]), 0.1)
    assert weight[0].item() == moved
    optimizer.update_rows(torch.tensor([0]), torch.tensor([[0.0]]), 0.1)
    assert weight[0].item() == pytest.approx(1.5 * moved)  # half of the first step once more


def test_all_rows_at_once_equal_the_whole_weight():
    random = torch.Generator().manual_seed(4)
    by_rows = torch.randn(4, 3, generator=random)
    whole = by_rows.clone()
    gradient = torch.randn(4, 3, generator=random)
    one, other = Adagrad(by_rows, 0.2), Adagrad(whole, 0.2)
    for _ in range(3):
        one.update_rows(torch.arange(4), gradient, 0.1)
        other.update(gradient, 0.1)
    assert torch.allclose(by_rows, whole)


@pytest.mark.parametrize("name", ["adagrad", "adamw"])
def test_dense_parameters_move_against_their_gradient_and_it_is_cleared(name):
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = DenseOptimizer([parameter], name=name, momentum=0.0, adamw_rate=0.01)
    (3 * parameter).sum().backward()
    optimizer.update(0.1, 1.0)
    assert parameter.item() < 1.0
    assert parameter.grad is None


def test_the_schedule_reaches_adamw():
    steps = []
    for left in (1.0, 0.1):
        parameter = torch.nn.Parameter(torch.tensor([1.0]))
        optimizer = DenseOptimizer([parameter], name="adamw", momentum=0.0, adamw_rate=0.01)
        parameter.sum().backward()
        optimizer.update(0.1, left)
        steps.append(1 - parameter.item())
    assert steps[1] == pytest.approx(0.1 * steps[0], rel=1e-3)
