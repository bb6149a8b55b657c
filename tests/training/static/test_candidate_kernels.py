"""The kernels that make candidates against the operations that make them."""

import os
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
pytest.importorskip("triton", reason="Triton is not installed")
import triton
import triton.language as tl

from gru4rec.model import use_kernels
from gru4rec.training.candidates import CandidateSampler
from gru4rec.training.static.candidate_kernels import _log_complement_of_exp, find
from gru4rec.training.static.candidates import Columns, DeviceCandidates, Rows
from gru4rec.training.static.windows import Window

pytestmark = pytest.mark.kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def candidates_of(*, num_items: int = 300, shared: bool = True, **how: Any) -> DeviceCandidates:
    random = np.random.default_rng(num_items)
    support = random.geometric(0.02, num_items) - 1
    support[0] = 3
    sampler = CandidateSampler(
        support, support, **{"alpha": 0.5, "draws": 40, "whole_below": 0, **how}
    )
    return DeviceCandidates(sampler, DEVICE, shared=shared)


def window_of(num_places: int, num_items: int, seed: int, filled: float = 0.8) -> Window:
    """A window of what a window need not have: only its places count for candidates."""
    random = torch.Generator().manual_seed(seed)
    items = (torch.rand(2, num_places, generator=random) ** 2 * num_items).long()
    is_filled = torch.rand(num_places, generator=random) < filled
    sessions = torch.randint(0, num_places // 3 + 1, (num_places,), generator=random)
    nothing = torch.empty(0)
    num_clicks = is_filled.sum().double()
    others = num_clicks * (1 - 1 / len(sessions[is_filled].unique().tolist() or [0]))
    parts = (items[0], nothing, items[1], is_filled, nothing, nothing, sessions)
    figures = (num_clicks, others, torch.ones(()))
    return Window(*(part.to(DEVICE) for part in (*parts, *figures)))


def assert_joined_as_by_torch(candidates: DeviceCandidates, window: Window) -> Columns:
    random = torch.Generator(DEVICE)
    made: list[tuple[torch.Tensor, Columns, Rows]] = []
    for switch in ({}, {"on_gpu": True, "on_cpu": True}):
        with use_kernels(**switch):
            draws = candidates.draw(random.manual_seed(len(window.targets)))
            made.append((draws, *candidates.sampled(window, draws)))
    (plain_draws, plain, plain_rows), (draws, columns, rows) = made
    assert torch.equal(draws, plain_draws)
    for one, other in ((columns, plain), (rows, plain_rows)):
        for name in ("items", "count", "targets", "places"):
            if hasattr(other, name):
                torch.testing.assert_close(getattr(one, name), getattr(other, name), msg=name)
    assert torch.equal(columns.owners[: plain.count], plain.owners[: plain.count])
    assert (columns.owners[plain.count :] < 0).all()
    torch.testing.assert_close(columns.correction, plain.correction, rtol=1e-6, atol=1e-6)
    return columns


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"logq": 0.4},
        {"logq": 0.0},
        {"draws": 0},
        {"draws": 1},
        {"draws": 700},
        {"by_support": True},
        {"by_support": True, "logq": 0.3, "alpha": 0.7},
        {"by_support": True, "logq": 0.0},
        {"by_support": True, "draws": 0},
        {"num_items": 256},
        {"num_items": 20},
        {"num_items": 1},
    ],
    ids=str,
)
def test_every_setting(how: dict[str, Any], shared: bool) -> None:
    candidates = candidates_of(shared=shared, **how)
    for seed, num_places in enumerate((96, 300, 1)):
        window = window_of(num_places, how.get("num_items", 300), seed)
        assert_joined_as_by_torch(candidates, window)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("draws", [0, 5])
def test_a_window_without_a_click_has_its_draws_only(draws: int, shared: bool) -> None:
    candidates = candidates_of(draws=draws, shared=shared)
    columns = assert_joined_as_by_torch(candidates, window_of(30, 300, 0, filled=0.0))
    assert int(columns.count) <= draws
    assert columns.correction[columns.count :].isinf().all()


def test_a_click_that_has_no_negatives_has_nothing_to_correct() -> None:
    window = window_of(12, 300, 0, filled=1.0)
    window.others.zero_()
    columns = assert_joined_as_by_torch(candidates_of(draws=0), window)
    assert (columns.correction[: columns.count] == 0).all()


def test_points_between_two_items_are_those_of_the_second() -> None:
    cumulative = torch.tensor([0.0, 1.0, 1.0, 3.0, 4.0], dtype=torch.float64, device=DEVICE)
    points = torch.tensor([0.0, 0.24, 0.25, 0.5, 0.75, 0.99, 1.0], dtype=torch.float64)
    assert find(points.to(DEVICE), cumulative).tolist() == [1, 1, 3, 3, 4, 4, 4]


@given(
    num_places=st.integers(1, 60),
    num_items=st.integers(1, 80),
    draws=st.integers(0, 90),
    shared=st.booleans(),
    by_support=st.booleans(),
    filled=st.sampled_from([0.1, 0.9, 1.0]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_any_window(
    num_places: int, num_items: int, draws: int, shared: bool, by_support: bool, filled: float,
    seed: int,
) -> None:  # fmt: skip
    candidates = candidates_of(
        num_items=num_items, shared=shared, draws=draws, by_support=by_support
    )
    assert_joined_as_by_torch(candidates, window_of(num_places, num_items, seed, filled))


@triton.jit
def _complements(values, out, BLOCK: tl.constexpr):
    place = tl.arange(0, BLOCK)
    tl.store(out + place, _log_complement_of_exp(tl.load(values + place)))


def test_the_log_of_a_complement_is_exact_near_0_and_far_from_it() -> None:
    values = -torch.logspace(-12, np.log10(700), 1024, dtype=torch.float64, device=DEVICE)
    values[-3:] = torch.tensor([-0.01, -0.010000001, -0.009999999], dtype=torch.float64)
    found = torch.empty_like(values)
    _complements[(1,)](values, found, BLOCK=1024)
    expected = torch.log(-torch.expm1(values))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-15)
