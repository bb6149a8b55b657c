"""One update from a window by several ranks, each of which learns from its own lanes."""

from dataclasses import replace

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.training.learner import Learner
from gru4rec.training.ranks import RANK_SEEDS, Ranks
from gru4rec.training.static.candidates import Columns, DeviceCandidates, Rows
from gru4rec.training.static.rank_windows import RankLanes
from gru4rec.training.static.step import RowGradients, StaticStep
from gru4rec.training.static.windows import Clicks, Window


class RankStep(StaticStep):
    """Scores the same columns as the other ranks, and moves all weights by the sum of gradients.

    So the replicas stay equal to the bit. What is learned is what one process learns, but for the
    order of sums and what is dropped.
    """

    windows: RankLanes

    def __init__(
        self,
        learner: Learner,
        windows: RankLanes,
        candidates: DeviceCandidates,
        config: TrainingConfig,
        clicks_per_window: float,
        ranks: Ranks,
    ) -> None:
        super().__init__(learner, windows, candidates, config, clicks_per_window)
        self.ranks, self._rank = ranks, ranks.rank
        self._dropping = torch.Generator(learner.device)

    @property
    def generators(self) -> tuple[torch.Generator, ...]:
        """See `StaticStep.generators`: all ranks draw the same negatives, each drops others."""
        return self.random, self._dropping

    def seed(self, key: int) -> None:
        """See `StaticStep.seed`."""
        super().seed(key)
        self._dropping.manual_seed((key + (self._rank + 1) * RANK_SEEDS) % 2**63)

    def _learn(self, window: Window) -> None:
        window = self.windows.complete(window, self.ranks)
        clicks = self.clicks_of(window)
        columns, rows = self.candidates.of(clicks.window if clicks else window, self.random)
        self.learn(*self._own(window, columns, rows, clicks))

    def learn(
        self, window: Window, columns: Columns, rows: Rows, clicks: Clicks | None = None
    ) -> None:
        """See `StaticStep.learn`: all is the own part of a window, of which others have theirs."""
        loss_sum = torch.zeros_like(self.loss_sum)
        gradients, after = self._differentiated(
            window, columns, rows, clicks, self._dropping, loss_sum
        )
        gradients, loss = self._summed(gradients, loss_sum)
        self.loss_sum += loss
        self._move(gradients, after, window.rate_factor)

    def _own(
        self, window: Window, columns: Columns, rows: Rows, clicks: Clicks | None
    ) -> tuple[Window, Columns, Rows, Clicks | None]:
        """Return the own part of what `learn` takes."""
        targets, places = columns.targets, rows.places
        if clicks is not None:
            targets, places = targets[clicks.ranks], places[clicks.ranks]
        targets, places = self.windows.of_own(targets), self.windows.of_own(places)
        own = self.windows.part_of(window)
        own_clicks = self.clicks_of(own)
        if own_clicks is not None:
            targets, places = targets[own_clicks.places], places[own_clicks.places]
        return own, replace(columns, targets=targets), replace(rows, places=places), own_clicks

    @torch.no_grad()
    def _summed(
        self, gradients: list[RowGradients], loss_sum: Tensor
    ) -> tuple[list[RowGradients], Tensor]:
        """Return the sums over all ranks of gradients and loss; all is sent in one piece.

        The dense parameters keep the sums of theirs.
        """
        dense = self._learner.dense.gradients()
        own = [*(rows.values for rows in gradients), *dense, loss_sum.float()]
        *sums, loss = self.ranks.all_sums(own)
        for gradient, total in zip(dense, sums[len(gradients) :], strict=True):
            gradient.copy_(total)
        named = zip(gradients, sums, strict=False)
        return [replace(rows, values=total) for rows, total in named], loss
