"""The kernel of the scores against the same in torch and numbers worked by hand."""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # triton reads it when it is imported
pytest.importorskip("triton", reason="Triton is not installed")

from gru4rec.training.score_kernels import exponentiate_

pytestmark = pytest.mark.kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PRECISION = pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
INF = torch.inf


def window(num_clicks, num_candidates, precision):
    """Scores, offsets, owners, sessions and targets; some columns are none, some rows padded."""
    random = torch.Generator().manual_seed(5)
    scores = torch.randn(num_clicks, num_candidates, generator=random) * 3
    offset = torch.randn(num_candidates, generator=random)
    owners = torch.randint(-2, 3, (num_candidates,), generator=random)
    owners[owners == -1] = -2
    own = torch.randint(-1, 3, (num_clicks,), generator=random)
    targets = torch.randint(0, num_candidates, (num_clicks,), generator=random)
    offset[torch.rand(num_candidates, generator=random) < 0.1] = -INF
    return tuple(x.to(DEVICE) for x in (scores.to(precision), offset, owners, own, targets))


def in_torch(scores, offset, owners, own, targets):
    exponents = scores.float() + offset
    of_targets = exponents.gather(1, targets[:, None]).squeeze(1)
    masked = owners[None, :] == own[:, None]
    masked.scatter_(1, targets[:, None], False)
    return exponents.masked_fill(masked, -INF).exp2(), of_targets


@PRECISION
# fewer candidates than a program takes at once, as many, more; one of each
@pytest.mark.parametrize("shape", [(1, 1), (7, 20), (2, 1024), (3, 2500)], ids=str)
def test_it_equals_the_same_in_torch(shape, precision):
    scores, *others = window(*shape, precision)
    weights, of_targets = in_torch(scores, *others)
    ours_sums, ours_of_targets = exponentiate_(scores, *others)
    # The interpreter cuts off the bits that bf16 lacks; a GPU rounds.
    tolerance = 1e-5 if precision is torch.float32 else 2**-7
    torch.testing.assert_close(scores.float(), weights, rtol=tolerance, atol=0)
    torch.testing.assert_close(ours_sums, scores.float().sum(1), rtol=1e-5, atol=0)
    torch.testing.assert_close(ours_of_targets, of_targets, rtol=1e-5, atol=1e-6)
    assert ours_sums.dtype == ours_of_targets.dtype == torch.float32


@PRECISION
def test_a_session_is_not_scored_against_what_it_alone_brought_but_its_target(precision):
    # Column 0 was drawn, 1 and 2 session 7 alone brought, 3 session 8, 4 is not used.
    scores = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]] * 3, device=DEVICE).to(precision)
    sums, of_targets = exponentiate_(
        scores,
        torch.tensor([1.0, 0.0, 0.0, 0.0, -INF], device=DEVICE),
        torch.tensor([-2, 7, 7, 8, -2], device=DEVICE),
        torch.tensor([7, 8, -1], device=DEVICE),  # the last row is padded
        torch.tensor([2, 3, 4], device=DEVICE),
    )
    assert scores.tolist() == [[2, 0, 4, 8, 0], [2, 2, 4, 8, 0], [2, 2, 4, 8, 0]]
    assert sums.tolist() == [14, 16, 16]
    assert of_targets.tolist() == [2, 3, -INF]


def test_rows_may_have_room_between_them_which_is_not_touched():
    scores, *others = window(3, 6, torch.float32)
    weights, _ = in_torch(scores, *others)
    room = torch.full((3, 8), 9.0, device=DEVICE)
    room[:, :6] = scores
    exponentiate_(room[:, :6], *others)
    torch.testing.assert_close(room[:, :6], weights)
    assert (room[:, 6:] == 9).all()


def test_columns_with_room_between_them_are_refused():
    scores, *others = window(3, 6, torch.float32)
    with pytest.raises(ValueError, match="contiguous"):
        exponentiate_(scores.t().contiguous().t(), *others)
