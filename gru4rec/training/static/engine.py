"""Learn from an epoch's windows on a device that does all by itself."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import cast

import numpy as np
import torch
from torch import Tensor

from gru4rec.config import Config
from gru4rec.model import State
from gru4rec.sessions import RankWindows, SessionParallelWindows
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.clock import Clock, Due
from gru4rec.training.engine import RateFactor
from gru4rec.training.learner import Learner
from gru4rec.training.static.candidates import DeviceCandidates
from gru4rec.training.static.graphs import Graphs
from gru4rec.training.static.step import StaticStep
from gru4rec.training.static.windows import DeviceWindows


class StaticEngine:
    """See `Engine`. On a GPU a step is recorded once for each shape, then replayed."""

    def __init__(self, learner: Learner, batches: TrainingBatches, config: Config) -> None:
        if not self.runs(learner, batches):
            raise ValueError("these batches cannot be learned from in windows of one shape")
        self._learner, self._seed, device = learner, config.seed, learner.device
        self._segments = cast(SessionParallelWindows, _laned(batches))
        self.step = self._step_of(batches, config)
        self.windows = self.step.windows
        self.loss_sum = self.step.loss_sum
        self._graphs = Graphs(self.step, learner) if device.type == "cuda" else None

    @staticmethod
    def runs(learner: Learner, batches: TrainingBatches) -> bool:
        """Whether it can learn from these: not by what others say of them, nor by attributes.

        And neither with weights, nor outcomes, nor an encoder that reads whole sessions.
        """
        return (
            learner.placing is None
            and learner.model.outcome is None
            and not batches.are_taught
            and not batches.are_weighted
            and isinstance(_laned(batches), SessionParallelWindows)
            and bool(vars(type(learner.model.encoder)).get("takes_lanes"))
        )

    def _step_of(self, batches: TrainingBatches, config: Config) -> StaticStep:
        device = self._learner.device
        windows = DeviceWindows(self._segments, batches.items, batches.sides, device)
        return StaticStep(
            self._learner,
            windows,
            self._candidates_of(batches),
            config.training,
            batches.clicks_per_window,
        )

    def _candidates_of(self, batches: TrainingBatches) -> DeviceCandidates:
        shared = self._learner.model.shared
        return DeviceCandidates(batches.sampler, self._learner.device, shared=shared)

    def begin(self) -> None:
        """See `Engine.begin`."""
        self.step.begin()

    def learn(
        self, epoch: int, windows: range, rate_factor: RateFactor, clock: Clock
    ) -> Iterator[tuple[int, Due]]:
        """See `Engine.learn`. Random draws are keyed by (seed, epoch, window)."""
        with closing(self._due(windows, clock)) as dues:
            for part in self.windows.parts(windows):
                self.windows.place(part, rate_factor)
                if self._graphs is not None:
                    self._graphs.check_places()
                run = self.step if self._graphs is None else self._graphs.replay
                shapes = zip(part, self.windows.heights, self.windows.num_clicks, strict=True)
                for window, height, clicks in shapes:
                    self.step.seed(_key(self._seed, epoch, window))
                    run(height)
                    due = next(dues)
                    yield clicks, due
                    if due.stop:
                        return

    def _due(self, windows: range, clock: Clock) -> Generator[Due]:
        """Yield what is due after each window."""
        for _ in windows:
            yield clock.due()

    def carried(self, window: int) -> State:
        """See `Engine.carried`."""
        if window == 0:
            return ()
        lanes_S = torch.from_numpy(self._segments.lanes_of(window - 1)).to(self._learner.device)
        return tuple(self._of_all_lanes(part).index_select(0, lanes_S) for part in self.step.state)

    def _of_all_lanes(self, part: Tensor) -> Tensor:
        """Return a part of the state of all lanes, given that of own ones."""
        return part

    def carry_on(self, window: int, carried: State) -> None:
        """See `Engine.carry_on`."""
        self.step.begin()
        if not carried:
            return
        segments, own = self._segments[window], self.windows.own
        lanes_K = self._segments.lanes_of(window)[segments.carried]
        is_own = np.isin(lanes_K, own)
        device = self._learner.device
        own_K = torch.from_numpy((lanes_K[is_own] - own.start) // own.step).to(device)
        from_K = torch.from_numpy(segments.carried_from[is_own]).to(device)
        for part, before in zip(self.step.state, carried, strict=True):
            part.index_copy_(0, own_K, before.index_select(0, from_K))

    def end(self) -> None:
        """See `Engine.end`."""
        if self._graphs is not None:
            self._graphs.forget()


def _laned(batches: TrainingBatches) -> object:
    """Return the windows of a training: of those dealt to ranks, the whole ones."""
    return batches.windows.all if isinstance(batches.windows, RankWindows) else batches.windows


def _key(seed: int, epoch: int, window: int) -> int:
    """Return a number that is another for each window of a training, in every one of its bits.

    The mixing is that of SplitMix64 (Steele et al. 2014): torch's CPU reads the lower half alone.
    """
    key = (seed * 0x9E3779B97F4A7C15 + (epoch << 40) + window) % 2**64
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        key = (key ^ (key >> shift)) * factor % 2**64
    return (key ^ (key >> 31)) % 2**63
