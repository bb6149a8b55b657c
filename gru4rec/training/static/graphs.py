"""Record a step on a GPU once for each shape of window; then the host only replays it.

A recording holds addresses, not values. So all that a step reads and changes stays where it is: the
plan of windows, weights, the state of optimisers and lanes.

Before that the window is learned from twice, with kernels of our own and without, and both are
taken back. Kernels that a GPU or its compiler does not take, or whose loss or gradients are others,
are left.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from gru4rec.model import distrust_kernels, kernels_for, use_kernels
from gru4rec.training.learner import Learner
from gru4rec.training.static.step import StaticStep

logger = logging.getLogger(__name__)

_DIFFER = 0.05  # as a share: rounding to bf16 is within a tenth of that


class Graphs:
    """The recordings of a step, by the height of the window."""

    def __init__(self, step: StaticStep, learner: Learner) -> None:
        self._step, self._learner = step, learner
        self._runs: dict[int, Callable[[], None]] = {}
        self._places: list[int] = []

    def check_places(self) -> None:
        """Forget the recordings if something that they read lies elsewhere now."""
        tensors = (*self._learner.tensors().values(), *self._step.tensors())
        places = [tensor.data_ptr() for tensor in tensors]
        if places != self._places:
            self._runs.clear()
        self._places = places

    def replay(self, height: int) -> None:
        """Do the step. The draws are those of the state that its generator is in."""
        if height not in self._runs:
            seed = self._step.random.initial_seed()
            with _tf32(on=self._step.in_bf16), use_kernels(on_gpu=True):
                self._check_kernels(height)
                self._runs[height] = self._recorded(height)
            self._step.random.manual_seed(seed)
        self._runs[height]()

    def _check_kernels(self, height: int) -> None:
        """Learn from the window by kernels and without; let go of them if they do otherwise."""
        plain = self._tried(height)
        if not kernels_for(self._step.loss_sum):
            return
        try:
            ours = self._tried(height, on_gpu=True)
        except Exception as error:  # noqa: BLE001 - whatever a compiler says
            logger.warning("kernels of our own do not run on this GPU, and are left out: %s", error)
            distrust_kernels()
            return
        for name, own in ours.items():
            if not abs(own - plain[name]) <= _DIFFER * abs(plain[name]):
                logger.warning(
                    "kernels of our own give a %s of %g, torch %g: they are left out",
                    name, own, plain[name],
                )  # fmt: skip
                distrust_kernels()
                return

    def _tried(self, height: int, *, on_gpu: bool = False) -> dict[str, float]:
        """Learn from the window, take it back, and return its loss and the size of its gradients.

        Not on the stream that others use: so libraries set themselves up for a recording.
        """
        seed = self._step.random.initial_seed()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with _as_before(self._step, self._learner), use_kernels(on_gpu=on_gpu):
            self._step.loss_sum.zero_()
            before = self._size_of_state()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                self._step(height)
            torch.cuda.current_stream().wait_stream(aside)
            self._step.random.manual_seed(seed)
            return {
                "loss": self._step.loss_sum.item(),
                "gradient": self._size_of_state() - before,
            }

    def _size_of_state(self) -> float:
        """Return the sum of what the optimisers have added up of gradients."""
        state = self._learner.optimizer_tensors().values()
        return sum(part.abs().sum(dtype=torch.float64).item() for part in state)

    def _recorded(self, height: int) -> Callable[[], None]:
        """Return what replays the step."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._step.random)
        with torch.cuda.graph(graph):
            self._step(height)
        return graph.replay


@contextmanager
def _as_before(step: StaticStep, learner: Learner) -> Iterator[None]:
    """Take back in the end what steps have changed, all in its place. The host keeps weights."""
    weights = {name: part.to("cpu", copy=True) for name, part in learner.tensors().items()}
    others = (*step.state, step.loss_sum, step.windows.next)
    before = [part.clone() for part in others]
    try:
        yield
    finally:
        learner.model.zero_grad()
        learner.restore(weights)
        for part, as_it_was in zip(others, before, strict=True):
            part.copy_(as_it_was)


@contextmanager
def _tf32(*, on: bool) -> Iterator[None]:
    """Let float32 matrix products be rounded to TF32 meanwhile, as a recording then keeps them."""
    products = torch.backends.cuda.matmul
    before = products.fp32_precision
    products.fp32_precision = "tf32" if on else before
    try:
        yield
    finally:
        products.fp32_precision = before
