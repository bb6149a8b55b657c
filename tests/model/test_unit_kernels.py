"""Rows divided by their length by a kernel, against the same in torch."""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # triton reads it when it is imported
pytest.importorskip("triton", reason="Triton is not installed")

from gru4rec.model import dropout, dropout_bits, unit, use_kernels
from gru4rec.model.unit_kernels import unit_rows

pytestmark = pytest.mark.kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def random_rows(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


# one row, more rows than a program takes, widths that are no power of two, a row for each program
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (300, 16), (41, 100), (9, 130), (2, 3000)])
@pytest.mark.parametrize("scale", [1.0, 16.0])
def test_it_equals_the_same_in_torch(shape, scale):
    rows = random_rows(*shape)
    rows[0] = 0  # stays so, and its gradient is finite
    gradient = random_rows(*shape, seed=1)
    ours, theirs = (rows.clone().requires_grad_() for _ in range(2))
    by_kernel, by_torch = unit_rows(ours, scale=scale), unit(theirs) * scale
    torch.testing.assert_close(by_kernel, by_torch, rtol=1e-6, atol=1e-6 * scale)
    assert not by_kernel[0].any()
    by_kernel.backward(gradient)
    by_torch.backward(gradient)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6 * scale)
    assert ours.grad.isfinite().all()


@pytest.mark.parametrize("count", [0, 1, 7])
def test_the_first_rows_may_be_enough(count):
    ours, theirs = (random_rows(7, 20).requires_grad_() for _ in range(2))
    by_kernel, by_torch = unit_rows(ours, count=count), unit(theirs[:count])
    torch.testing.assert_close(by_kernel, by_torch, rtol=1e-6, atol=1e-6)
    gradient = random_rows(count, 20, seed=1)
    by_kernel.backward(gradient)
    by_torch.backward(gradient)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)
    assert not ours.grad[count:].any()


def test_components_may_be_dropped_before():
    ours, theirs = (random_rows(6, 100).requires_grad_() for _ in range(2))
    bits = dropout_bits(600, torch.Generator(DEVICE).manual_seed(1), DEVICE)
    by_kernel = unit_rows(ours, scale=3.0, bits=bits, probability=0.3)
    by_torch = unit(dropout(theirs, 0.3, torch.Generator(DEVICE).manual_seed(1))) * 3
    torch.testing.assert_close(by_kernel, by_torch, rtol=1e-5, atol=1e-6)
    gradient = random_rows(6, 100, seed=1)
    by_kernel.backward(gradient)
    by_torch.backward(gradient)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


def test_in_bf16_it_is_rounded_to_the_nearest():
    ours, theirs = (random_rows(6, 100).requires_grad_() for _ in range(2))
    by_kernel, by_torch = unit_rows(ours, scale=16.0, precision=torch.bfloat16), unit(theirs) * 16
    torch.testing.assert_close(by_kernel.float(), by_torch, rtol=2**-8, atol=0)
    assert (by_kernel == by_torch.bfloat16()).float().mean() > 0.95
    gradient = random_rows(6, 100, seed=1).bfloat16()
    by_kernel.backward(gradient)
    by_torch.backward(gradient.float())
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-4)
    assert ours.grad.dtype == torch.float32


def test_rows_that_are_a_view_with_gaps_are_taken():
    rows = random_rows(5, 12)[:, ::2]
    torch.testing.assert_close(unit_rows(rows), unit(rows))


def test_where_kernels_serve_the_function_is_by_kernel():
    rows = random_rows(5, 12).requires_grad_()
    with use_kernels(on_gpu=True, on_cpu=True):
        assert type(unit(rows).grad_fn).__name__ == "_UnitRowsBackward"
    assert type(unit(rows).grad_fn).__name__ == "_UnitBackward"


def test_other_types_are_refused():
    with pytest.raises(ValueError, match="float32"):
        unit_rows(random_rows(2, 3).half())
