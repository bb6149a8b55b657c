"""Losses against hand-computed values and numeric gradients; every loss of the table."""

import math

import pytest
import torch

from gru4rec.losses import LOSSES, cross_entropy


def test_cross_entropy_of_two_candidates_is_worked_by_hand():
    scores = torch.tensor([[math.log(3), 0.0]])
    assert cross_entropy(scores, torch.tensor([0])).item() == pytest.approx(-math.log(3 / 4))
    assert cross_entropy(scores, torch.tensor([1])).item() == pytest.approx(-math.log(1 / 4))


def test_cross_entropy_is_the_mean_over_rows_of_one_softmax():
    scores = torch.randn(5, 7, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([0, 6, 3, 3, 1])
    expected = torch.nn.functional.cross_entropy(scores, targets)
    assert cross_entropy(scores, targets).item() == pytest.approx(expected.item(), abs=1e-6)


def test_a_candidate_at_minus_infinity_does_not_count():
    scores = torch.tensor([[1.0, -torch.inf, 2.0]])
    expected = cross_entropy(torch.tensor([[1.0, 2.0]]), torch.tensor([0]))
    assert cross_entropy(scores, torch.tensor([0])).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_passes_gradcheck(name):
    scores = torch.randn(
        4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
    ).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: LOSSES[name](s, torch.tensor([0, 4, 2, 2])), scores)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_every_loss_is_finite_and_right_for_extreme_scores(name, size):
    scores = torch.tensor([[size, 0.0]], requires_grad=True)
    loss = LOSSES[name](scores, torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(max(0.0, -size))
    assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_a_single_candidate_is_finite(name):
    scores = torch.tensor([[2.0]], requires_grad=True)
    loss = LOSSES[name](scores, torch.tensor([0]))
    loss.backward()
    assert math.isfinite(loss.item())
    assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_takes_minus_infinity_without_a_gradient(name):
    scores = torch.tensor([[1.0, -torch.inf, 0.5]], requires_grad=True)
    LOSSES[name](scores, torch.tensor([0])).backward()
    assert scores.grad[0, 1].item() == 0
