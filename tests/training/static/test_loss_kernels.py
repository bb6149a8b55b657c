"""The kernel of cross-entropy against the same in torch and numbers worked by hand."""

import math
import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # triton reads it when it is imported
pytest.importorskip("triton", reason="Triton is not installed")

from gru4rec.training.static.loss_kernels import differentiate_

pytestmark = pytest.mark.kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PRECISION = pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
INF = torch.inf


def window(num_clicks, num_candidates, precision, spread=3.0):
    """What the kernel takes; some columns are none, some places are not filled."""
    random = torch.Generator().manual_seed(5)
    scores = torch.randn(num_clicks, num_candidates, generator=random) * spread
    bias, correction = (torch.randn(num_candidates, generator=random) for _ in range(2))
    owners = torch.randint(-2, 3, (num_candidates,), generator=random)
    sessions = torch.randint(0, 3, (num_clicks,), generator=random)
    targets = torch.randint(0, num_candidates, (num_clicks,), generator=random)
    filled = torch.rand(num_clicks, generator=random) < 0.8
    filled[0] = True
    is_none = torch.rand(num_candidates, generator=random) < 0.1
    is_none[targets[filled]] = False
    correction[is_none] = INF
    parts = (scores.to(precision), bias, correction, owners, sessions, targets, filled)
    return tuple(part.to(DEVICE) for part in parts)


def differentiated(scores, *others, weight):
    """The sum of losses; their gradient is written over the scores."""
    loss_sum = torch.tensor(2.5, dtype=torch.float64, device=DEVICE)
    differentiate_(scores, *others, loss_sum, weight=weight)
    return loss_sum - 2.5


def in_torch(scores, bias, correction, owners, sessions, targets, filled, weight):
    """The sum of losses and its gradient, by autograd."""
    scores = scores.float().clone().requires_grad_()
    masked = owners[None, :] == sessions[:, None]
    masked.scatter_(1, targets[:, None], False)
    offset = -correction if bias is None else bias - correction
    of_candidates = (scores + offset).masked_fill(masked, -INF)[filled]
    loss = -of_candidates.log_softmax(1).gather(1, targets[filled, None]).sum()
    loss.mul(weight).backward()
    return loss.detach().double(), scores.grad


@PRECISION
@pytest.mark.parametrize("spread", [3.0, 200.0])
# fewer candidates than a program takes at once, as many, more; one of each
@pytest.mark.parametrize("shape", [(1, 1), (7, 20), (2, 1024), (5, 2500)], ids=str)
def test_it_equals_the_same_in_torch(shape, spread, precision):
    scores, bias, *others = window(*shape, precision, spread)
    for bias_or_none in (bias, None):
        own = scores.clone()
        loss, gradient = in_torch(scores, bias_or_none, *others, weight=0.1)
        found = differentiated(own, bias_or_none, *others, weight=0.1)
        torch.testing.assert_close(found, loss, rtol=1e-5, atol=1e-5)
        # The interpreter cuts off the bits that bf16 lacks; a GPU rounds.
        tolerance = 1e-5 if precision is torch.float32 else 2**-7
        torch.testing.assert_close(own.float(), gradient, rtol=tolerance, atol=1e-7)


@PRECISION
def test_a_session_is_not_scored_against_what_it_alone_brought_but_its_target(precision):
    # Column 0 was drawn, 1 and 2 session 7 alone brought, 3 session 8, 4 is not used.
    scores = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]] * 4, device=DEVICE).mul(math.log(2))
    scores = scores.to(precision)
    loss = differentiated(
        scores,
        torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0], device=DEVICE).mul(math.log(2)),
        torch.tensor([0.0, 0.0, 0.0, 0.0, INF], device=DEVICE),
        torch.tensor([-2, 7, 7, 8, -2], device=DEVICE),
        torch.tensor([7, 8, 9, 7], device=DEVICE),
        torch.tensor([2, 3, 0, 4], device=DEVICE),
        torch.tensor([True, True, True, False], device=DEVICE),
        weight=16.0,
    )
    tolerance = {"rel": 0.03 if precision is torch.bfloat16 else 1e-5, "abs": 1e-5}
    powers = [[2, 0, 4, 8, 0], [2, 2, 4, 8, 0], [2, 2, 4, 8, 0]]
    for row, target, found in zip(powers, (2, 3, 0), scores.tolist(), strict=False):
        expected = [16 * power / sum(row) for power in row]
        expected[target] -= 16
        assert found == pytest.approx(expected, **tolerance)
    expected = math.log(14 / 4) + math.log(2) + math.log(8)
    assert loss.item() == pytest.approx(expected, **tolerance)


def test_a_place_that_is_not_filled_is_zero_whatever_stands_there():
    scores = torch.full((1, 3), torch.nan, device=DEVICE)
    ones = torch.ones(3, device=DEVICE)
    own = torch.zeros(1, dtype=torch.int64, device=DEVICE)
    owners = torch.zeros(3, dtype=torch.int64, device=DEVICE)
    for values in (torch.nan, 0.0):
        scores.fill_(values)
        filled = torch.tensor([False], device=DEVICE)
        others = (ones * INF, owners, own, own + 1, filled)
        assert differentiated(scores, None, *others, weight=1.0) == 0
        assert scores.tolist() == [[0, 0, 0]]


def test_rows_may_have_room_between_them_which_is_not_touched():
    scores, *others = window(3, 6, torch.float32)
    _, gradient = in_torch(scores, *others, weight=1.0)
    room = torch.full((3, 8), 9.0, device=DEVICE)
    room[:, :6] = scores
    differentiated(room[:, :6], *others, weight=1.0)
    torch.testing.assert_close(room[:, :6], gradient, rtol=1e-5, atol=1e-6)
    assert (room[:, 6:] == 9).all()


def test_columns_with_room_between_them_are_refused():
    scores, *others = window(3, 6, torch.float32)
    with pytest.raises(ValueError, match="contiguous"):
        differentiated(scores.t().contiguous().t(), *others, weight=1.0)
