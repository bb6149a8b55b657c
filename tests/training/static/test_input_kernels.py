"""Inputs read by a kernel, and their gradient, against the same in torch by the same draws."""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # triton reads it when it is imported
pytest.importorskip("triton", reason="Triton is not installed")

from gru4rec.model import use_kernels
from gru4rec.training.static.input_kernels import add_rows_
from gru4rec.training.static.inputs import Inputs

pytestmark = pytest.mark.kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def read(rows_UE, places_M, gradient_ME, probability, *, by_kernel):
    """What is read, and the gradient of the rows, which also the sum of all asks for."""
    rows_UE = rows_UE.clone().requires_grad_()
    with use_kernels(on_gpu=by_kernel, on_cpu=by_kernel):
        inputs = Inputs(rows_UE, places_M, probability, torch.Generator(DEVICE).manual_seed(2))
        torch.autograd.backward((inputs.read, rows_UE.sum()), (gradient_ME, None))
        inputs.backward()
    return inputs.read.detach(), rows_UE.grad


@pytest.mark.parametrize("probability", [0.0, 0.2])
@pytest.mark.parametrize("width", [1, 5, 100, 130])
@pytest.mark.parametrize("num_places", [1, 7, 40])
def test_it_equals_the_same_in_torch(num_places, width, probability):
    places = torch.randint(0, 6, (num_places,), generator=torch.Generator().manual_seed(1))
    given = values(6, width), places.to(DEVICE), values(num_places, width, seed=3), probability
    ours, theirs = (read(*given, by_kernel=by_kernel) for by_kernel in (True, False))
    assert torch.equal(ours[0], theirs[0])
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-5, atol=1e-6)


def test_rows_that_nothing_else_asked_for_begin_at_zero():
    rows = values(4, 3).requires_grad_()
    places = torch.tensor([2, 0, 2], device=DEVICE)
    with use_kernels(on_gpu=True, on_cpu=True):
        inputs = Inputs(rows, places, 0.0, torch.Generator(DEVICE))
        inputs.read.sum().backward()
        inputs.backward()
    assert rows.grad.tolist() == [[1] * 3, [0] * 3, [2] * 3, [0] * 3]


def test_a_gradient_that_is_a_view_with_gaps_is_refused():
    places = torch.tensor([1], device=DEVICE)
    with pytest.raises(ValueError, match="contiguous"):
        add_rows_(values(4, 6)[:, :3], places, values(1, 3), None, 0.0)
