"""Dropout by a kernel, against the same in torch by the same draws."""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # triton reads it when it is imported
pytest.importorskip("triton", reason="Triton is not installed")

from gru4rec.model import dropout, use_kernels

pytestmark = pytest.mark.kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def dropped(values: torch.Tensor, probability: float, *, by_kernel: bool) -> torch.Tensor:
    random = torch.Generator(DEVICE).manual_seed(3)
    with use_kernels(on_gpu=by_kernel, on_cpu=by_kernel):
        return dropout(values, probability, random)


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.93])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (41, 130), (2, 3, 100)], ids=str)
def test_it_equals_the_same_in_torch(shape, probability):
    random = torch.Generator().manual_seed(1)
    values, gradient = (torch.randn(*shape, generator=random).to(DEVICE) for _ in range(2))
    ours, theirs = (values.clone().requires_grad_() for _ in range(2))
    by_kernel = dropped(ours, probability, by_kernel=True)
    by_torch = dropped(theirs, probability, by_kernel=False)
    assert torch.equal(by_kernel, by_torch)
    by_kernel.backward(gradient)
    by_torch.backward(gradient)
    assert torch.equal(ours.grad, theirs.grad)


def test_a_view_with_gaps_is_taken():
    values = torch.arange(60.0, device=DEVICE).view(5, 12)[:, ::2]
    ours, theirs = (dropped(values, 0.3, by_kernel=by_kernel) for by_kernel in (True, False))
    assert torch.equal(ours, theirs)
