"""The kernels of GRU layers against a loop of steps and numbers worked by hand."""

import math
import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # triton reads it when it is imported
pytest.importorskip("triton", reason="Triton is not installed")

from gru4rec.model.encoders.gru_before_kernels import FusedGRUBefore
from gru4rec.model.encoders.gru_kernels import FusedGRU, fits

pytestmark = pytest.mark.kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# steps, lanes, units: neither a multiple of 16 nor a power of two; one step; more than 16 lanes
SHAPES = [(4, 3, 5), (1, 1, 1), (3, 17, 20), (2, 16, 16), (3, 18, 40)]
SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=str)
RESET = pytest.mark.parametrize("before", [False, True], ids=["after", "before"])


class Rounded(torch.autograd.Function):
    """left · rightᵀ of values rounded to bf16, as are the gradients that go back through it."""

    @staticmethod
    def forward(ctx, left, right):
        ctx.save_for_backward(left, right)
        return rounded(left) @ rounded(right).t()

    @staticmethod
    def backward(ctx, gradient):
        left, right = ctx.saved_tensors
        return rounded(gradient) @ rounded(right), gradient.t() @ left


def rounded(x: torch.Tensor) -> torch.Tensor:
    return x.bfloat16().to(x.dtype)


def exact(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return left @ right.t()


def steps(products, initial, weight, bias, starts, before, multiply=exact):
    """The layer as a loop of steps that autograd sees."""
    outputs, state = [], initial
    weight_r, weight_z, weight_n = weight.chunk(3)
    bias_r, bias_z, bias_n = bias.chunk(3)
    for product, start in zip(products, starts, strict=True):
        state = torch.where(start[:, None], torch.zeros_like(state), state)
        product_r, product_z, product_n = product.chunk(3, dim=1)
        if before:
            reset = torch.sigmoid(product_r + multiply(state, weight_r))
            update = torch.sigmoid(product_z + multiply(state, weight_z))
            new = torch.tanh(product_n + multiply(reset * state, weight_n))
            state = (1 - update) * state + update * new
        else:
            reset = torch.sigmoid(product_r + multiply(state, weight_r) + bias_r)
            update = torch.sigmoid(product_z + multiply(state, weight_z) + bias_z)
            new = torch.tanh(product_n + reset * (multiply(state, weight_n) + bias_n))
            state = (1 - update) * new + update * state
        outputs.append(state)
    return torch.stack(outputs)


def fused(products, initial, weight, bias, starts, before):
    if before:
        return FusedGRUBefore.apply(products, initial, weight, starts)
    return FusedGRU.apply(products, initial, weight, bias, starts)


def window(num_steps, num_lanes, num_units):
    """Products, state, weight, bias of a window; no session begins in it."""
    random = torch.Generator().manual_seed(1)

    def draw(*shape, scale=1.0):
        return (torch.randn(*shape, generator=random) * scale).to(DEVICE)

    scale = num_units**-0.5
    return (
        draw(num_steps, num_lanes, 3 * num_units), draw(num_lanes, num_units),
        draw(3 * num_units, num_units, scale=scale), draw(3 * num_units, scale=0.5),
        torch.zeros(num_steps, num_lanes, dtype=torch.bool, device=DEVICE),
    )  # fmt: skip


def some_start(starts: torch.Tensor) -> torch.Tensor:
    """Sessions that begin here and there, at the first step too."""
    places = torch.arange(starts.numel(), device=DEVICE).view(starts.shape)
    return places % 3 == 0


def run(layer, inputs, before, **more):
    """Outputs and the gradients of products, weight and bias under an uneven gradient."""
    products, initial, weight, bias, starts = inputs
    leaves = [x.clone().requires_grad_() for x in (products, weight, bias)]
    outputs = layer(leaves[0], initial, leaves[1], leaves[2], starts, before, **more)
    gradient = torch.linspace(-1, 2, outputs.numel(), device=DEVICE).view(outputs.shape).sin()
    outputs.backward(gradient)
    names = ("products", "weight") if before else ("products", "weight", "bias")
    gradients = {name: x.grad for name, x in zip(names, leaves, strict=False)}
    return {"outputs": outputs.detach(), **gradients}


def assert_near(ours, theirs, tolerance):
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        error = (ours[name] - value).norm()
        assert error <= tolerance * value.norm(), f"{name}: {error:.1e}"


@RESET
@SHAPE
def test_they_equal_a_loop_whose_products_are_rounded_in_the_same_places(shape, before):
    products, initial, weight, bias, starts = window(*shape)
    inputs = (products, initial, weight, bias, some_start(starts))
    theirs = run(steps, inputs, before, multiply=Rounded.apply)
    assert_near(run(fused, inputs, before), theirs, 1e-4)


@RESET
def test_they_are_near_a_loop_in_float32(before):
    inputs = window(4, 5, 20)
    assert_near(run(fused, inputs, before), run(steps, inputs, before), 1e-2)


@RESET
def test_all_128_units_are_multiplied(before):
    inputs = window(2, 1, 128)
    theirs = run(steps, inputs, before, multiply=Rounded.apply)
    assert_near(run(fused, inputs, before), theirs, 1e-4)


@RESET
def test_a_step_after_which_every_session_begins_gives_and_takes_nothing(before):
    products, initial, weight, bias, starts = window(2, 3, 5)
    inputs = (products, initial, weight, bias, ~starts)
    ours = run(fused, inputs, before)
    nothing = torch.zeros_like(initial)
    for step in range(2):
        alone = fused(products[step : step + 1], nothing, weight, bias, starts[:1], before)
        assert torch.equal(ours["outputs"][step], alone[0])
    assert_near(ours, run(steps, inputs, before, multiply=Rounded.apply), 1e-4)


@RESET
def test_a_session_that_begins_later_in_its_lane_does_not_see_the_one_before(before):
    products, initial, weight, bias, starts = window(3, 2, 5)
    starts[1, 0] = True
    other = products.clone()
    other[0, 0] += 1
    ours, theirs = (fused(x, initial, weight, bias, starts, before) for x in (products, other))
    assert not torch.equal(ours[0, 0], theirs[0, 0])
    assert torch.equal(ours[1:], theirs[1:])


def test_one_unit_gives_the_numbers_worked_by_hand():
    # h = 0.5, input products 0.1, 0.2, 0.3 of r, z, n, recurrent weights 1, 2, 3, biases 0, 0, 0.5:
    # bf16 holds all factors of recurrent products
    reset, update = (1 / (1 + math.exp(-x)) for x in (0.1 + 1 * 0.5, 0.2 + 2 * 0.5))
    new = math.tanh(0.3 + reset * (3 * 0.5 + 0.5))
    output = FusedGRU.apply(
        torch.tensor([[[0.1, 0.2, 0.3]]], device=DEVICE),
        torch.tensor([[0.5]], device=DEVICE),
        torch.tensor([[1.0], [2.0], [3.0]], device=DEVICE),
        torch.tensor([0.0, 0.0, 0.5], device=DEVICE),
        torch.tensor([[False]], device=DEVICE),
    )
    assert output.item() == pytest.approx((1 - update) * new + update * 0.5, abs=1e-6)


def test_one_unit_resets_before_the_product_as_worked_by_hand():
    # the same without biases, r∘h rounded to bf16 before its product
    reset, update = (1 / (1 + math.exp(-x)) for x in (0.1 + 1 * 0.5, 0.2 + 2 * 0.5))
    new = math.tanh(0.3 + 3 * rounded(torch.tensor(reset * 0.5)).item())
    output = FusedGRUBefore.apply(
        torch.tensor([[[0.1, 0.2, 0.3]]], device=DEVICE),
        torch.tensor([[0.5]], device=DEVICE),
        torch.tensor([[1.0], [2.0], [3.0]], device=DEVICE),
        torch.tensor([[False]], device=DEVICE),
    )
    assert output.item() == pytest.approx((1 - update) * 0.5 + update * new, abs=1e-6)


def test_weights_that_do_not_fit_on_the_chip_are_refused():
    assert fits(5, DEVICE)
    assert not fits(129, DEVICE)
    with pytest.raises(ValueError, match="with 129 units"):
        FusedGRU.apply(*window(1, 1, 129))
