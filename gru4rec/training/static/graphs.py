"""Record a step on a GPU once for each shape of window; then the host only replays it.

A recording holds addresses, not values. So all that a step reads and changes stays where it is: the
plan of windows, weights, the state of optimisers and lanes.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gru4rec.training.learner import Learner
from gru4rec.training.static.step import StaticStep

_WARM_UPS = 3  # libraries choose their algorithms and set up their workspaces


class Graphs:
    """The recordings of a step, by the height of the window."""

    def __init__(self, step: StaticStep, learner: Learner) -> None:
        self._step, self._learner = step, learner
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def clear(self) -> None:
        """Forget the recordings; the plan of windows lies elsewhere now."""
        self._graphs.clear()

    def replay(self, height: int) -> None:
        """Do the step. The draws are those of the state that its generator is in."""
        graph = self._graphs.get(height)
        if graph is None:
            graph = self._graphs[height] = self._recorded(height)
        graph.replay()

    def _recorded(self, height: int) -> torch.cuda.CUDAGraph:
        """Record the step; what it learns on the way is taken back."""
        seed = self._step.random.initial_seed()
        with _as_before(self._step, self._learner), _tf32(on=self._step.in_bf16):
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UPS):
                    self._step(height)
                    self._step.windows.step_back()
            torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._step.random)
        with _tf32(on=self._step.in_bf16), torch.cuda.graph(graph):
            self._step(height)
        self._step.random.manual_seed(seed)
        return graph


@contextmanager
def _as_before(step: StaticStep, learner: Learner) -> Iterator[None]:
    """Take back in the end what steps have changed, all in its place. The host keeps weights."""
    weights = {name: part.to("cpu", copy=True) for name, part in learner.tensors().items()}
    state, loss_sum = [part.clone() for part in step.state], step.loss_sum.clone()
    yield
    learner.restore(weights)
    for part, before in zip(step.state, state, strict=True):
        part.copy_(before)
    step.loss_sum.copy_(loss_sum)


@contextmanager
def _tf32(*, on: bool) -> Iterator[None]:
    """Let float32 matrix products be rounded to TF32 meanwhile, as a recording then keeps them."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = on or before
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
