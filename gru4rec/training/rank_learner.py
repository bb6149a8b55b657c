"""One update by the gradients of all ranks, which keeps their replicas equal to the bit."""

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.model import Model, State
from gru4rec.training.batch import TrainingBatch
from gru4rec.training.learner import Learner, RowGradient
from gru4rec.training.placing import Placing
from gru4rec.training.ranks import Ranks


class RankLearner(Learner):
    """A learner whose updates are those of the others too, each by its part of a window.

    The batches of a window have the same `candidates` and `input_rows` on all ranks, so that the
    gradients of these rows and of the dense parameters are summed as they are.
    """

    # M clicks of this rank's part of a window: perhaps none
    def __init__(
        self,
        model: Model,
        config: TrainingConfig,
        device: torch.device,
        ranks: Ranks,
        placing: Placing | None = None,
    ) -> None:
        super().__init__(model, config, device, placing)
        self._ranks = ranks

    def step(
        self, batch: TrainingBatch, state: State, rate_factor: float, *, weight: float = 1.0
    ) -> tuple[Tensor, State]:
        """Update by all ranks' mean losses, each times its `weight`; see `Learner.step`.

        Return the sum of the losses of all clicks of all ranks, on the device, and the own state.
        """
        batch = batch.to(self.device)
        if len(batch.targets):
            gradients, loss, after = self._learned(batch, state, weight)
            loss = loss * len(batch.targets)
        else:
            gradients, loss, after = self._nothing(batch)
        gradients, loss = self._summed(gradients, loss)
        self._move(gradients, rate_factor)
        return loss, after

    def _nothing(self, batch: TrainingBatch) -> tuple[list[RowGradient], Tensor, State]:
        """Return what a part of a window without a click gives: zeros."""
        leaves = self._leaves(batch)
        if self.placing is not None:
            self.placing.placed(batch, *leaves)
        for leaf in leaves:
            if leaf is not None:
                leaf.grad = torch.zeros_like(leaf)
        return self._row_gradients(batch, *leaves), torch.zeros((), device=self.device), ()

    @torch.no_grad()
    def _summed(
        self, gradients: list[RowGradient], loss: Tensor
    ) -> tuple[list[RowGradient], Tensor]:
        """Return the sums over all ranks of gradients and loss; all is sent in one piece.

        The dense parameters, and what places items, keep the sums of theirs.
        """
        dense = self.dense.gradients()
        if self.placing is not None:
            dense += self.placing.gradients()
        own = [*(gradient for _, _, gradient in gradients), *dense, loss]
        *sums, loss = self._ranks.all_sums(own)
        for gradient, total in zip(dense, sums[len(gradients) :], strict=True):
            gradient.copy_(total)
        named = zip(gradients, sums, strict=False)
        return [(name, rows, total) for (name, rows, _), total in named], loss
