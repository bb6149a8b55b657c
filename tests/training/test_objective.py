"""The objective equals the loss of the table on plain scores, gradients included."""

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.config import TrainingConfig
from gru4rec.errors import ConfigError
from gru4rec.training.losses import LOSSES, cross_entropy, make_loss
from gru4rec.training.objective import CrossEntropy, make_objective

NONE = torch.empty(0, dtype=torch.int64)  # masked places

# M clicks, C candidates, D width


def window(
    clicks: int = 7, candidates: int = 9, width: int = 4, *, scale: float = 1.0, seed: int = 0
) -> tuple[torch.Tensor, ...]:
    """(vectors, outputs, offset, targets, masked), none of the masked a target."""
    random = torch.Generator().manual_seed(seed)
    vectors, outputs, offset = (
        (scale * torch.randn(*shape, generator=random, dtype=torch.float64)).requires_grad_()
        for shape in ((clicks, width), (candidates, width), (candidates,))
    )
    targets = torch.randint(candidates, (clicks,), generator=random)
    places = torch.randint(clicks * candidates, (clicks,), generator=random)
    masked = places[places % candidates != targets[places // candidates]]
    return vectors, outputs, offset, targets, masked


def plain(loss, vectors, outputs, offset, targets, masked) -> torch.Tensor:
    scores = vectors @ outputs.t() + offset
    flat = scores.reshape(-1).index_fill(0, masked, -torch.inf)
    return loss(flat.view(scores.shape), targets)


def gradients(loss: torch.Tensor, parts: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    return list(torch.autograd.grad(3 * loss, parts))


@given(
    clicks=st.integers(1, 12),
    candidates=st.integers(1, 12),
    scores_at_once=st.integers(1, 200),
    bounded=st.booleans(),
    seed=st.integers(0, 100),
)
def test_loss_and_gradients_equal_those_of_plain_scores_in_chunks_of_any_size(
    clicks, candidates, scores_at_once, bounded, seed
):
    parts = window(clicks, candidates, seed=seed)
    objective = CrossEntropy(torch.float64, bounded=bounded, scores_at_once=scores_at_once)
    found, expected = objective(*parts), plain(cross_entropy, *parts)
    assert found.item() == pytest.approx(expected.item(), abs=1e-9)
    pairs = zip(gradients(found, parts[:3]), gradients(expected, parts[:3]), strict=True)
    assert all(torch.allclose(mine, theirs, atol=1e-9) for mine, theirs in pairs)


def test_two_candidates_give_the_loss_worked_by_hand():
    # scores log 3 and 0: −log(3/4); the gradient of each score is its probability less the target's
    vectors = torch.tensor([[math.log(3)]], requires_grad=True)
    outputs = torch.tensor([[1.0], [0.0]], requires_grad=True)
    loss = CrossEntropy()(vectors, outputs, torch.zeros(2), torch.tensor([0]), NONE)
    assert loss.item() == pytest.approx(-math.log(3 / 4))
    loss.backward()
    assert vectors.grad.flatten().tolist() == pytest.approx([-1 / 4])
    assert outputs.grad.flatten().tolist() == pytest.approx([-math.log(3) / 4, math.log(3) / 4])


def test_its_gradients_pass_gradcheck():
    *parts, targets, masked = window()
    objective = CrossEntropy(torch.float64)
    assert torch.autograd.gradcheck(lambda v, o, b: objective(v, o, b, targets, masked), parts)


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_it_is_finite_at_the_edges_of_what_it_promises(bounded, precision):
    # ±30 where bounded; ±10 000 else, with offsets as large
    size = 30.0 if bounded else 1e4
    vectors = torch.tensor([[size], [-size], [0.0]], requires_grad=True)
    outputs = torch.tensor([[1.0], [-1.0], [0.0]], requires_grad=True)
    offset = torch.tensor([0.0, size, -size], requires_grad=True)
    targets = torch.tensor([1, 0, 2])
    objective = CrossEntropy(precision, bounded=bounded)
    loss = objective(vectors, outputs, offset, targets, NONE)
    for part in (loss, *gradients(loss, (vectors, outputs, offset))):
        assert part.isfinite().all()


def test_one_candidate_costs_nothing():
    parts = window(3, 1)
    loss = CrossEntropy(torch.float64)(*parts)
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert not any(gradient.abs().max() > 1e-12 for gradient in gradients(loss, parts[:3]))


def test_bf16_scores_give_nearly_the_same_gradients():
    parts = tuple(
        part.detach().float().requires_grad_() if part.is_floating_point() else part
        for part in window(64, 200, 32, scale=0.5)
    )
    exact = gradients(CrossEntropy()(*parts), parts[:2])
    rough = gradients(CrossEntropy(torch.bfloat16)(*parts), parts[:2])
    for mine, theirs in zip(rough, exact, strict=True):
        assert mine.dtype == torch.float32
        assert (mine - theirs).norm() < 0.02 * theirs.norm()
        assert not torch.equal(mine, theirs)


def test_windows_of_growing_and_shrinking_size_share_one_buffer_and_do_not_disturb_each_other():
    objective = CrossEntropy(torch.float64)
    for clicks, candidates in ((3, 5), (9, 11), (2, 4)):
        parts = window(clicks, candidates, seed=clicks)
        assert objective(*parts).item() == pytest.approx(plain(cross_entropy, *parts).item())


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_of_the_table_has_its_objective(name, precision):
    training = TrainingConfig(loss=name, precision=precision, scoring="dot")
    parts = tuple(
        part.detach().float().requires_grad_() if part.is_floating_point() else part
        for part in window()
    )
    found, expected = make_objective(training)(*parts), plain(make_loss(training), *parts)
    assert found.item() == pytest.approx(expected.item(), rel=0.05 if precision == "bf16" else 1e-5)
    found.backward()
    assert parts[0].grad.abs().max() > 0


def test_an_unknown_loss_lists_the_table():
    with pytest.raises(ConfigError, match="cross_entropy, bpr_max"):
        make_objective(TrainingConfig(loss="nonesuch", precision="float32"))


@given(
    clicks=st.integers(1, 12),
    candidates=st.integers(1, 12),
    scores_at_once=st.integers(1, 200),
    seed=st.integers(0, 100),
)
def test_weighted_loss_and_gradients_equal_those_of_plain_scores(
    clicks, candidates, scores_at_once, seed
):
    parts = window(clicks, candidates, seed=seed)
    weights = torch.rand(clicks, generator=torch.Generator().manual_seed(seed)).double()
    objective = CrossEntropy(torch.float64, scores_at_once=scores_at_once)
    found = objective(*parts, weights)
    expected = plain(partial(cross_entropy, weights_M=weights), *parts)
    assert found.item() == pytest.approx(expected.item(), abs=1e-9)
    pairs = zip(gradients(found, parts[:3]), gradients(expected, parts[:3]), strict=True)
    assert all(torch.allclose(mine, theirs, atol=1e-9) for mine, theirs in pairs)
