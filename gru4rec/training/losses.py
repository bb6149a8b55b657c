"""Losses: pure functions of the scores of a window's candidates, and the table of them."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import elu as elu_of
from torch.nn.functional import logsigmoid

from gru4rec.config import TrainingConfig
from gru4rec.errors import choose

Loss = Callable[..., Tensor]
"""(scores [M, C], target columns [M]) → mean loss []; a score of −inf is no candidate.

With `weights_M`, what each click counts [M], it is the mean of weight · loss.
"""

# M clicks, C candidates. For each click r_i is the score of its target and r_j that of a negative:
# any other candidate. A click without a negative has nothing to rank and adds 0 to the mean.


def mean_of(losses_M: Tensor, weights_M: Tensor | None) -> Tensor:
    """Return the mean of the losses of clicks, each times its weight if there are weights []."""
    return losses_M.mean() if weights_M is None else (losses_M * weights_M).mean()


def cross_entropy(
    scores_MC: Tensor, targets_M: Tensor, *, weights_M: Tensor | None = None
) -> Tensor:
    """log Σ_j exp(r_j) − r_i, over the target and its negatives: −log softmax of the target.

    Training computes it in `objective.CrossEntropy`, from session vectors in place of scores.
    """
    if weights_M is None:
        return torch.nn.functional.cross_entropy(scores_MC, targets_M)
    losses_M = torch.nn.functional.cross_entropy(scores_MC, targets_M, reduction="none")
    return mean_of(losses_M, weights_M)


def bpr_max(
    scores_MC: Tensor,
    targets_M: Tensor,
    *,
    bpreg: float = 1.0,
    elu: float = 0.0,
    weights_M: Tensor | None = None,
) -> Tensor:
    """−log(Σ_j s_j σ(r_i − r_j) + 1e-24) + bpreg · Σ_j s_j r_j², s = softmax over the negatives.

    Hidasi & Karatzoglou, arXiv 1706.03847. With `elu` = α > 0 all scores pass through ELU(α) first:
    r where r > 0, else α (e^r − 1), as the authors' code does; with 0 they stay as they are.
    """
    if elu > 0:
        scores_MC = elu_of(scores_MC, alpha=elu).masked_fill(scores_MC.isneginf(), -torch.inf)
    target_M1, negatives_MC, share_MC = _against_negatives(scores_MC, targets_M)
    ahead_M = (share_MC * torch.sigmoid(target_M1 - negatives_MC)).sum(1)
    penalty_M = (share_MC * negatives_MC * negatives_MC).sum(1)
    ranked_M = share_MC.sum(1) > 0
    return mean_of((-torch.log(ahead_M + 1e-24) + bpreg * penalty_M) * ranked_M, weights_M)


def top1_max(scores_MC: Tensor, targets_M: Tensor, *, weights_M: Tensor | None = None) -> Tensor:
    """Σ_j s_j (σ(r_j − r_i) + σ(r_j²)), s = softmax over the negatives (arXiv 1706.03847)."""
    target_M1, negatives_MC, share_MC = _against_negatives(scores_MC, targets_M)
    return mean_of((share_MC * _top1(target_M1, negatives_MC)).sum(1), weights_M)


def bpr(scores_MC: Tensor, targets_M: Tensor, *, weights_M: Tensor | None = None) -> Tensor:
    """−mean_j log σ(r_i − r_j) (Rendle et al. 2009, as in arXiv 1511.06939)."""
    target_M1, negatives_MC, share_MC = _against_negatives(scores_MC, targets_M, evenly=True)
    return mean_of((share_MC * -logsigmoid(target_M1 - negatives_MC)).sum(1), weights_M)


def top1(scores_MC: Tensor, targets_M: Tensor, *, weights_M: Tensor | None = None) -> Tensor:
    """mean_j σ(r_j − r_i) + σ(r_j²) (arXiv 1511.06939)."""
    target_M1, negatives_MC, share_MC = _against_negatives(scores_MC, targets_M, evenly=True)
    return mean_of((share_MC * _top1(target_M1, negatives_MC)).sum(1), weights_M)


def _top1(target_M1: Tensor, negatives_MC: Tensor) -> Tensor:
    return torch.sigmoid(negatives_MC - target_M1) + torch.sigmoid(negatives_MC * negatives_MC)


def _against_negatives(
    scores_MC: Tensor, targets_M: Tensor, *, evenly: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Return r_i [M, 1], r_j [M, C] and the share of each negative in its row [M, C].

    Shares are the softmax of the negatives' scores, or `evenly` equal. What is no negative has
    score 0 and share 0; the shares of a row without a negative are all 0.
    """
    targets_M1 = targets_M.unsqueeze(1)
    target_M1 = scores_MC.gather(1, targets_M1)
    absent_MC = scores_MC.isneginf().scatter(1, targets_M1, True)
    negatives_MC = scores_MC.masked_fill(absent_MC, 0.0)
    weights_MC = torch.zeros_like(negatives_MC) if evenly else negatives_MC
    # The least finite number in place of −inf: a row without a negative has no NaN.
    least = torch.finfo(scores_MC.dtype).min
    share_MC = torch.softmax(weights_MC.masked_fill(absent_MC, least), dim=1)
    return target_M1, negatives_MC, share_MC.masked_fill(absent_MC, 0.0)


LOSSES: Mapping[str, Loss] = {
    "cross_entropy": cross_entropy,
    "bpr_max": bpr_max,
    "top1_max": top1_max,
    "bpr": bpr,
    "top1": top1,
}

_SETTINGS = {"bpr_max": ("bpreg", "elu")}


def make_loss(training: TrainingConfig) -> Loss:
    """Return the loss of that name with its settings. Raise ConfigError for an unknown name."""
    loss = choose("loss", training.loss, LOSSES)
    settings = _SETTINGS.get(training.loss, ())
    return partial(loss, **{name: getattr(training, name) for name in settings})
