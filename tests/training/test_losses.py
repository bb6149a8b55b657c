"""Losses against hand-computed values and numeric gradients; every loss of the table."""

import math

import pytest
import torch

from gru4rec.config import TrainingConfig
from gru4rec.errors import ConfigError
from gru4rec.training.losses import LOSSES, bpr, bpr_max, cross_entropy, make_loss, top1, top1_max


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


# loss: its value where the target is 10⁴ above its one negative, and where it is 10⁴ below
EXTREMES = {
    "cross_entropy": (0.0, 1e4),
    "bpr_max": (0.0, -math.log(1e-24)),
    "top1_max": (0.0 + 0.5, 1.0 + 0.5),
    "bpr": (0.0, 1e4),
    "top1": (0.0 + 0.5, 1.0 + 0.5),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("place", [0, 1])
def test_every_loss_is_finite_and_right_for_extreme_scores(name, place):
    scores = torch.tensor([[(1e4, -1e4)[place], 0.0]], requires_grad=True)
    loss = LOSSES[name](scores, torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx(EXTREMES[name][place], abs=1e-6)
    assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_every_loss_is_finite_where_negatives_are_extreme(name, size):
    scores = torch.tensor([[0.0, size, size / 2, -size]], requires_grad=True)
    loss = LOSSES[name](scores, torch.tensor([0]))
    loss.backward()
    assert math.isfinite(loss.item())
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


# Two negatives: the target's score is 1, theirs are 0 and ln 3, so that their softmax is 1/4, 3/4.
SCORES = torch.tensor([[0.0, 1.0, math.log(3)]], dtype=torch.float64)
TARGET = torch.tensor([1])
LOW, HIGH = 0.0, math.log(3)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_bpr_max_is_worked_by_hand():
    ahead = sigmoid(1 - LOW) / 4 + sigmoid(1 - HIGH) * 3 / 4
    expected = -math.log(ahead) + 0.7 * HIGH**2 * 3 / 4
    assert bpr_max(SCORES, TARGET, bpreg=0.7).item() == pytest.approx(expected)


def test_bpr_max_passes_scores_through_elu():
    # ELU(½) of −1 is ½ (e⁻¹ − 1); scores above 0 stay
    low = 0.5 * (math.exp(-1) - 1)
    share = math.exp(low) / (math.exp(low) + math.exp(2))
    ahead = share * sigmoid(1 - low) + (1 - share) * sigmoid(1 - 2)
    expected = -math.log(ahead) + 0.3 * (share * low**2 + (1 - share) * 4)
    scores = torch.tensor([[-1.0, 1.0, 2.0]], dtype=torch.float64)
    assert bpr_max(scores, TARGET, bpreg=0.3, elu=0.5).item() == pytest.approx(expected)


def test_top1_max_is_worked_by_hand():
    expected = (sigmoid(LOW - 1) + sigmoid(LOW**2)) / 4
    expected += (sigmoid(HIGH - 1) + sigmoid(HIGH**2)) * 3 / 4
    assert top1_max(SCORES, TARGET).item() == pytest.approx(expected)


def test_bpr_is_worked_by_hand():
    expected = -(math.log(sigmoid(1 - LOW)) + math.log(sigmoid(1 - HIGH))) / 2
    assert bpr(SCORES, TARGET).item() == pytest.approx(expected)


def test_top1_is_worked_by_hand():
    expected = sigmoid(LOW - 1) + sigmoid(LOW**2) + sigmoid(HIGH - 1) + sigmoid(HIGH**2)
    assert top1(SCORES, TARGET).item() == pytest.approx(expected / 2)


@pytest.mark.parametrize("name", ["bpr_max", "top1_max", "bpr", "top1"])
def test_a_click_without_negatives_adds_nothing_to_the_mean(name):
    alone = torch.tensor([[0.0, 1.0, math.log(3)], [-torch.inf, 2.0, -torch.inf]])
    both = LOSSES[name](alone, torch.tensor([1, 1]))
    assert both.item() == pytest.approx(LOSSES[name](alone[:1], TARGET).item() / 2)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("elu", [0.0, 1.0])
def test_a_candidate_at_minus_infinity_is_as_good_as_absent(name, elu):
    loss = make_loss(TrainingConfig(loss=name, elu=elu))
    with_it = torch.tensor([[-torch.inf, 0.5, -1.0, 2.0]])
    without = with_it[:, 1:]
    expected = loss(without, torch.tensor([1])).item()
    assert loss(with_it, torch.tensor([2])).item() == pytest.approx(expected)


def test_a_loss_takes_its_settings_from_the_config():
    made = make_loss(TrainingConfig(loss="bpr_max", bpreg=0.7, elu=0.5))
    assert made(SCORES, TARGET).item() == bpr_max(SCORES, TARGET, bpreg=0.7, elu=0.5).item()


def test_an_unknown_loss_lists_the_table():
    with pytest.raises(ConfigError, match=r"no loss 'brp_max'; choose from .*bpr_max"):
        make_loss(TrainingConfig(loss="brp_max"))


@pytest.mark.parametrize("name", LOSSES)
def test_with_weights_it_is_the_mean_of_weight_times_loss(name):
    scores = torch.randn(4, 5, generator=torch.Generator().manual_seed(3))
    targets, weights = torch.tensor([0, 4, 2, 2]), torch.tensor([0.0, 1.0, 2.5, 10.0])
    alone = [LOSSES[name](scores[row : row + 1], targets[row : row + 1]).item() for row in range(4)]
    expected = (alone[1] + 2.5 * alone[2] + 10 * alone[3]) / 4
    found = LOSSES[name](scores, targets, weights_M=weights).item()
    assert found == pytest.approx(expected, rel=1e-5)
