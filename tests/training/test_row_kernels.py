"""The kernel of Adagrad's rows against `Adagrad.update_rows`."""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # triton reads it when it is imported
pytest.importorskip("triton", reason="Triton is not installed")

from gru4rec.training.optimizers import Adagrad
from gru4rec.training.row_kernels import update_rows

pytestmark = pytest.mark.kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
MOMENTUM = pytest.mark.parametrize("momentum", [0.0, 0.3])


def table(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def update(ours: Adagrad, rows: torch.Tensor, gradient: torch.Tensor, used: int) -> None:
    update_rows(
        ours.weight, ours.accumulated, ours.velocity, rows, gradient,
        torch.tensor(used, device=DEVICE), torch.tensor(0.1, device=DEVICE), ours.momentum,
    )  # fmt: skip


@MOMENTUM
# of a bias, of fewer and of more columns than a program takes, of rows for two programs
@pytest.mark.parametrize("shape", [(40,), (40, 1), (30, 5), (30, 130), (600, 3)], ids=str)
def test_it_moves_the_rows_as_adagrad_does(shape, momentum):
    ours, theirs = (Adagrad(table(*shape), momentum) for _ in range(2))
    random = torch.Generator().manual_seed(1)
    for seed in range(3):
        rows = torch.randperm(shape[0], generator=random)[: shape[0] // 2 + 1].to(DEVICE)
        gradient = table(len(rows), *shape[1:], seed=seed)
        update(ours, rows, gradient, len(rows))
        theirs.update_rows(rows, gradient, 0.1)
    torch.testing.assert_close(ours.weight, theirs.weight, atol=1e-6, rtol=1e-6)
    for name, part in theirs.tensors().items():
        torch.testing.assert_close(ours.tensors()[name], part, atol=1e-6, rtol=1e-6)


@MOMENTUM
def test_the_first_step_has_the_length_of_the_rate(momentum):
    ours = Adagrad(torch.zeros(2, 1, device=DEVICE), momentum)
    update(ours, torch.tensor([1], device=DEVICE), torch.tensor([[3.0]], device=DEVICE), 1)
    assert ours.weight.view(-1).tolist() == pytest.approx([0, -0.1], abs=1e-6)
    assert ours.accumulated.view(-1).tolist() == [0, 9]


@MOMENTUM
@pytest.mark.parametrize("used", [0, 1, 3])
def test_padding_touches_nothing(used, momentum):
    ours = Adagrad(table(9, 4), momentum)
    ours.accumulated.fill_(0.5)
    if ours.velocity is not None:
        ours.velocity.fill_(0.25)
    tables = {"weight": ours.weight, **ours.tensors()}
    before = {name: part.clone() for name, part in tables.items()}
    # Padding names a used row again, others, and rows that are none; its gradients are no numbers.
    rows = torch.tensor([3, 0, 7, 3, 5, 5, -1, 10**12], device=DEVICE)
    gradient = table(8, 4, seed=1)
    gradient[used:] = torch.nan
    update(ours, rows, gradient, used)
    touched = torch.isin(torch.arange(9, device=DEVICE), rows[:used])
    for name, part in tables.items():
        assert torch.equal(part[~touched], before[name][~touched])
        assert (part[touched] != before[name][touched]).all()


def test_a_table_that_is_a_view_with_gaps_is_refused():
    ours = Adagrad(table(4, 6)[:, :3], 0.0)
    with pytest.raises(ValueError, match="contiguous"):
        update(ours, torch.tensor([0], device=DEVICE), table(1, 3), 1)
