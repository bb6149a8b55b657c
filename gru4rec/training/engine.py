"""How the windows of an epoch are learned from, one after the other."""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from gru4rec.model import State
from gru4rec.sessions import prefetch
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.clock import Clock, Due
from gru4rec.training.learner import Learner

RateFactor = Callable[[int], float]
"""Gives the share of the config's rate at which a window is learned from."""


class Engine(Protocol):
    """Learns from windows in order; what one leaves behind, the next goes on from."""

    loss_sum: Tensor
    """Sum of the losses of all clicks of the epoch so far [], float64, on the device."""

    def begin(self) -> None:
        """Forget what the last epoch has left behind."""

    def learn(
        self, epoch: int, windows: range, rate_factor: RateFactor, clock: Clock
    ) -> Iterator[tuple[int, Due]]:
        """Learn from windows; yield the clicks of each, and what is due after it by the clock.

        The device may still be busy with them.
        """

    def carried(self, window: int) -> State:
        """Return the state after the window before, by its segments; () at the start."""

    def carry_on(self, window: int, carried: State) -> None:
        """Take over what `carried` gave, here or in another process, on any device."""

    def end(self) -> None:
        """Let go of what it holds of the device to be fast; what learns on takes it anew."""


class PackedEngine:
    """Packs each window on the host, ahead of its update: for a CPU, and for whatever there is."""

    def __init__(self, learner: Learner, batches: TrainingBatches) -> None:
        self._learner, self._batches = learner, batches
        self._carried: State = ()
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=learner.device)

    def begin(self) -> None:
        """See `Engine.begin`."""
        self._carried = ()
        self.loss_sum.zero_()

    def learn(
        self, epoch: int, windows: range, rate_factor: RateFactor, clock: Clock
    ) -> Iterator[tuple[int, Due]]:
        """See `Engine.learn`."""
        made = prefetch(lambda window: self._batches.make(epoch, window), windows)
        for window, batch in zip(windows, made, strict=True):
            clicks = len(batch.targets)
            loss, self._carried = self._learner.step(
                batch,
                self._carried,
                rate_factor(window),
                weight=clicks / self._batches.clicks_per_window,
            )
            self.loss_sum += loss * clicks
            yield clicks, clock.due()

    def carried(self, window: int) -> State:
        """See `Engine.carried`."""
        return self._carried

    def carry_on(self, window: int, carried: State) -> None:
        """See `Engine.carry_on`."""
        self._carried = carried

    def end(self) -> None:
        """See `Engine.end`: nothing."""
