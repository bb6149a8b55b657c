"""Learn from the windows of an epoch together with other ranks."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gru4rec.model import State
from gru4rec.training.ahead import made_ahead
from gru4rec.training.clock import Clock, Due
from gru4rec.training.engine import PackedEngine, RateFactor
from gru4rec.training.rank_batches import RankBatch, RankBatches
from gru4rec.training.rank_learner import RankLearner


class RankEngine(PackedEngine):
    """Packs this rank's part of each window ahead of its update; see `PackedEngine`."""

    def __init__(self, learner: RankLearner, batches: RankBatches) -> None:
        super().__init__(learner, batches)
        self._together = batches

    def learn(
        self, epoch: int, windows: range, rate_factor: RateFactor, clock: Clock
    ) -> Iterator[tuple[int, Due]]:
        """See `Engine.learn`: clicks are those of all ranks, and the same is due on all.

        After a window at which a stop is due there is none.
        """

        def make(window: int, leaves: bool) -> RankBatch:
            return self._together.together(epoch, window, clock.due(), leaves=leaves)

        made = made_ahead(make, windows)
        for window, batch in zip(windows, made, strict=False):
            loss_sum, self._carried = self._learner.step(
                batch.own,
                self._carried,
                rate_factor(window),
                weight=len(batch.own.targets) / self._batches.clicks_per_window,
            )
            self.loss_sum += loss_sum
            yield batch.clicks, batch.due

    def carried(self, window: int) -> State:
        """See `Engine.carried`: the state of all ranks."""
        if window == 0:
            return ()
        part = self._together.windows.part(window - 1)
        encoder = self._learner.model.encoder
        own = self._carried or encoder.initial_state(len(part.segments))
        segments = torch.from_numpy(part.segments).to(self._learner.device)
        return tuple(self._of_all(values, segments, len(part.owners_S)) for values in own)

    def carry_on(self, window: int, carried: State) -> None:
        """See `Engine.carry_on`: of the state of all, take what is this rank's."""
        self._carried = ()
        if window and carried:
            part = self._together.windows.part(window - 1)
            segments = torch.from_numpy(part.segments).to(self._learner.device)
            self._carried = tuple(values.index_select(0, segments) for values in carried)

    def _of_all(self, values: Tensor, segments: Tensor, count: int) -> Tensor:
        """Return the rows of all ranks' segments, of which `values` are those of this one."""
        whole = values.new_zeros(count, *values.shape[1:])
        return self._together.ranks.all_sum_(whole.index_copy_(0, segments, values))
