"""Learn from an epoch's windows together with other ranks, on devices that do all by themselves."""

from collections.abc import Generator
from contextlib import closing
from typing import cast

from torch import Tensor

from gru4rec.config import Config
from gru4rec.training.ahead import Agreement, agree, made_ahead
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.clock import Clock, Due
from gru4rec.training.rank_batches import RankBatches
from gru4rec.training.rank_learner import RankLearner
from gru4rec.training.static.engine import StaticEngine
from gru4rec.training.static.rank_step import RankStep
from gru4rec.training.static.rank_windows import RankLanes
from gru4rec.training.static.step import StaticStep


class StaticRankEngine(StaticEngine):
    """See `StaticEngine`: clicks are those of all ranks, and the same is due on all.

    After a window at which a stop is due there is none.
    """

    def __init__(self, learner: RankLearner, batches: RankBatches, config: Config) -> None:
        self._ranks = batches.ranks
        super().__init__(learner, batches, config)

    def _step_of(self, batches: TrainingBatches, config: Config) -> StaticStep:
        batches = cast(RankBatches, batches)
        return RankStep(
            self._learner,
            RankLanes(self._segments, batches, self._learner.device),
            self._candidates_of(batches),
            config.training,
            batches.clicks_per_window,
            self._ranks,
        )

    def _due(self, windows: range, clock: Clock) -> Generator[Due]:
        def make(window: int, leaves: bool) -> Agreement:
            return agree(self._ranks, clock.due(), leaves=leaves)

        with closing(made_ahead(make, windows)) as made:
            for agreed in made:
                yield agreed.due

    def _of_all_lanes(self, part: Tensor) -> Tensor:
        whole = part.new_zeros(self.windows.lanes, *part.shape[1:])
        own = self.windows.own
        whole[own.start :: own.step] = part
        return self._ranks.all_sum_(whole)
