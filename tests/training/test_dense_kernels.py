"""The kernel of Adagrad for whole parameters against `Adagrad.update`."""

import os

import pytest
import torch
from torch import nn

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # triton reads it when it is imported
pytest.importorskip("triton", reason="Triton is not installed")

from gru4rec.model import use_kernels
from gru4rec.training.dense_kernels import update_whole
from gru4rec.training.optimizers import DenseOptimizer

pytestmark = pytest.mark.kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# one value, as many as a program takes, more; and more parameters than one kernel takes
SHAPES = [(1,), (32, 32), (300, 5), (7,), (130,), (3, 2, 2), (5,), (6,), (9,), (1100,)]


def values(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def moved(momentum: float, rate: torch.Tensor, *, by_kernel: bool) -> dict[str, torch.Tensor]:
    """Weights and state after three updates."""
    parameters = [nn.Parameter(values(shape, seed=0)) for shape in SHAPES]
    optimizer = DenseOptimizer(parameters, name="adagrad", momentum=momentum, adamw_rate=0.0)
    for seed in range(3):
        for parameter in parameters:
            parameter.grad = values(parameter.shape, seed=seed + 1)
        with use_kernels(on_gpu=by_kernel, on_cpu=by_kernel):
            optimizer.update(rate, 1.0)
        assert all(parameter.grad is None for parameter in parameters)
    weights = {f"{number}.weight": part.detach() for number, part in enumerate(parameters)}
    return {**weights, **optimizer.tensors()}


@pytest.mark.parametrize("momentum", [0.0, 0.3])
@pytest.mark.parametrize("type_", [torch.float32, torch.float64], ids=str)
def test_it_moves_parameters_as_adagrad_does(momentum, type_):
    rate = torch.tensor(0.1, dtype=type_, device=DEVICE)
    ours, theirs = (moved(momentum, rate, by_kernel=by_kernel) for by_kernel in (True, False))
    for name, part in theirs.items():
        torch.testing.assert_close(ours[name], part, rtol=1e-6, atol=1e-6, msg=name)


def test_a_parameter_that_is_a_view_with_gaps_is_refused():
    weight, gradient = values((4, 6), seed=0)[:, :3], values((4, 3), seed=0)
    rate = torch.tensor(0.1, device=DEVICE)
    with pytest.raises(ValueError, match="contiguous"):
        update_whole([weight], [torch.zeros_like(gradient)], [None], [gradient], rate, 0.0)
