"""Losses: pure functions of the scores of a window's candidates, and the table of them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""(scores [M, C], target columns [M]) → mean loss []; a score of −inf is no candidate."""


class _CrossEntropy(torch.autograd.Function):
    """Mean of log Σ_j exp(s_j) − s_target, in few passes over the scores."""

    @staticmethod
    def forward(ctx: Any, scores_MC: Tensor, targets_M: Tensor) -> Tensor:
        probabilities_MC = torch.softmax(scores_MC, dim=1)
        # The largest probability is at least 1/C: its log never underflows, whatever the scores.
        log_sum = scores_MC.amax(1) - probabilities_MC.amax(1).log()
        targets_M1 = targets_M.unsqueeze(1)
        ctx.save_for_backward(probabilities_MC, targets_M1)
        return (log_sum - scores_MC.gather(1, targets_M1).squeeze(1)).mean()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        probabilities_MC, targets_M1 = ctx.saved_tensors
        per_row = gradients[0] / len(targets_M1)
        gradient_MC = probabilities_MC * per_row
        gradient_MC.scatter_add_(1, targets_M1, (-per_row).expand_as(targets_M1))
        return gradient_MC, None


def cross_entropy(scores_MC: Tensor, targets_M: Tensor) -> Tensor:
    """−log softmax of the target among the candidates, averaged over the rows."""
    loss: Tensor = _CrossEntropy.apply(scores_MC, targets_M)  # type: ignore[no-untyped-call]
    return loss


LOSSES: Mapping[str, Loss] = {"cross_entropy": cross_entropy}
