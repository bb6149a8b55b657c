"""Record a step on a GPU once for each shape of window; then the host only replays it.

A recording holds addresses, not values. So all that a step reads and changes stays where it is: the
plan of windows, weights, the state of optimisers and lanes.

Before that the window is learned from twice, with kernels of our own and without, and both are
taken back. Kernels that a GPU or its compiler does not take, or that move weights otherwise, are
left out. What cannot be recorded is done anew for each window.

Where several ranks learn together, their exchanges are in the recording. Each tries its kernels on
its own part of a window, without a word to the others; then what one leaves out, all do.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from gru4rec.errors import LostRankError
from gru4rec.model import distrust_kernels, kernels_for, use_kernels
from gru4rec.training.learner import Learner
from gru4rec.training.ranks import ONE
from gru4rec.training.static.step import StaticStep
from gru4rec.untrusted import brief

logger = logging.getLogger(__name__)

_DIFFER, _LOSSES_DIFFER, _NOISE = 0.5, 0.05, 1e-5
_LOSS = "sum of losses"

Moves = Mapping[str, Tensor]
"""What a step moves, by name."""


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
        if self._step.ranks.any(places != self._places):
            self.forget()
        self._places = places

    def forget(self) -> None:
        """Let go of the recordings. Connections to other ranks cannot close while one has them."""
        self._runs.clear()

    def replay(self, height: int) -> None:
        """Do the step. The draws are those of the state that its generator is in."""
        if height not in self._runs:
            seed = self._step.random.initial_seed()
            with _tf32(on=self._step.in_bf16), use_kernels(on_gpu=True):
                self._check_kernels(height)
                self._runs[height] = self._recorded(height)
            self._step.seed(seed)
        self._runs[height]()

    def _check_kernels(self, height: int) -> None:
        """Let go of kernels that do not serve on this GPU, or on that of another rank."""
        serve = self._serve(height)
        if self._step.ranks.any(not serve) and kernels_for(self._step.loss_sum):
            distrust_kernels()

    def _serve(self, height: int) -> bool:
        """Learn from the window by kernels and without; return whether they do the same."""
        before, plain = self._tried(height)
        if not kernels_for(self._step.loss_sum):
            return False
        try:
            _, ours = self._tried(height, on_gpu=True)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a compiler says
            logger.warning("kernels of our own do not run on this GPU: %s", brief(str(error)))
            return False
        name = other_move(before, plain, ours)
        if name is not None:
            logger.warning("kernels of our own make another %s than torch: they are left out", name)
        return name is None

    def _tried(self, height: int, *, on_gpu: bool = False) -> tuple[Moves, Moves]:
        """Learn from the window and take it back; return what it moves, before and after.

        Not on the stream that others use: so libraries set themselves up for a recording.
        """
        seed = self._step.random.initial_seed()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        with (
            _as_before(self._step, self._learner) as before,
            use_kernels(on_gpu=on_gpu),
            _alone(self._step),
        ):
            self._step.loss_sum.zero_()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                self._step(height)
            torch.cuda.current_stream().wait_stream(aside)
            self._step.seed(seed)
            return before, moves_of(self._step, self._learner)

    def _recorded(self, height: int) -> Callable[[], None]:
        """Return what replays the step; what does it anew where a GPU cannot record it."""
        graph, ranks, fails = torch.cuda.CUDAGraph(), self._step.ranks, False
        for generator in self._step.generators:
            graph.register_generator_state(generator)
        ranks.all_sum_(torch.zeros(1, device=self._learner.device))  # connected before, not within
        try:
            # the threads of NCCL may go on meanwhile
            with torch.cuda.graph(
                graph, capture_error_mode="global" if ranks.size == 1 else "thread_local"
            ):
                self._step(height)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, LostRankError) as error:
            logger.warning("a step cannot be recorded on this GPU: %s", brief(str(error)))
            fails = True
        if ranks.any(fails):
            self._learner.model.zero_grad()
            return partial(self._step, height)
        return graph.replay


def moves_of(step: StaticStep, learner: Learner) -> Moves:
    """Return what a step moves, by name, on the host: weights, squares of gradients, states."""
    state = {f"state {number}": part for number, part in enumerate(step.state)}
    tensors = {**learner.tensors(), **state, _LOSS: step.loss_sum}
    return {name: part.detach().to("cpu", copy=True) for name, part in tensors.items()}


def other_move(before: Moves, plain: Moves, ours: Moves) -> str | None:
    """Return the name of what two steps from the same values move otherwise, None if nothing is.

    Where rounding to bf16 decides the direction of small moves they differ by a tenth or two. A
    wrong sign, other rows or a part that is left out differ by all of it.
    """
    loss = plain[_LOSS].abs()
    if not (ours[_LOSS] - plain[_LOSS]).abs() <= _LOSSES_DIFFER * (1 + loss):
        return _LOSS
    if loss < 1:  # nothing to learn, so that all that moves is noise
        return None
    for name, own in ours.items():
        if name == _LOSS or "velocity" in name or "exp_avg" in name:  # what they move is compared
            continue
        start = before[name].double() if name in before else torch.zeros(())
        moved, apart = (plain[name].double() - start).norm(), (own.double() - plain[name]).norm()
        if not apart <= _DIFFER * moved + _NOISE * (1 + start.norm()):
            return name
    return None


@contextmanager
def _alone(step: StaticStep) -> Iterator[None]:
    """Let a step have nothing from other ranks meanwhile."""
    ranks, step.ranks = step.ranks, ONE
    try:
        yield
    finally:
        step.ranks = ranks


@contextmanager
def _as_before(step: StaticStep, learner: Learner) -> Iterator[Moves]:
    """Take back in the end what steps have changed, all in its place; yield what it was."""
    moves, window = moves_of(step, learner), step.windows.next.clone()
    weights = {name: moves[name] for name in learner.tensors()}
    others = (*step.state, step.loss_sum, step.windows.next)
    before = [part.clone() for part in others[:-1]] + [window]
    try:
        yield moves
    finally:
        if window.is_cuda:
            torch.cuda.synchronize()  # what failed may still be at it
        learner.model.zero_grad()
        learner.restore(weights)
        for part, as_it_was in zip(others, before, strict=True):
            part.copy_(as_it_was)


@contextmanager
def _tf32(*, on: bool) -> Iterator[None]:
    """Let float32 matrix products be rounded to TF32 meanwhile, or not; a recording keeps it."""
    products = torch.backends.cuda.matmul
    before = products.fp32_precision
    products.fp32_precision = "tf32" if on else "ieee"
    try:
        yield
    finally:
        products.fp32_precision = before
