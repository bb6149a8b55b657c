"""Ranks of targets, and Recall@k and MRR@k from them."""

from collections.abc import Mapping

import torch
from torch import Tensor

TIES: Mapping[str, float] = {"conservative": 1.0, "median": 0.5, "standard": 0.0}
"""The share of equally scored other items that stands before the target."""


def ranks(scores_MN: Tensor, targets_M: Tensor, *, ties: str = "conservative") -> Tensor:
    """The rank of each row's target among all scores, from 1 [M], float64.

    Counted within the one score matrix: 1 + the items that score higher + `TIES[ties]` of those
    that score the same. A score that is no number stands before the target, and a target whose own
    score is none stands last.
    """
    target_M1 = scores_MN.gather(1, targets_M.unsqueeze(1))
    higher = scores_MN.shape[1] - _count(scores_MN <= target_M1)
    equal = (_count(scores_MN == target_M1) - 1).clamp_min_(0)
    return 1 + higher + TIES[ties] * equal


def recall_at(k: int, ranks_M: Tensor) -> float:
    """Share of the targets that rank k or better (1-based); 0 where there are none."""
    return (ranks_M <= k).double().mean().item() if len(ranks_M) else 0.0


def mrr_at(k: int, ranks_M: Tensor) -> float:
    """Mean of 1/rank, 0 for targets that rank below k; 0 where there are none."""
    return torch.where(ranks_M <= k, 1 / ranks_M, 0.0).mean().item() if len(ranks_M) else 0.0


METRICS = {"recall": recall_at, "mrr": mrr_at}


def _count(hits_MN: Tensor) -> Tensor:
    """True entries of each row [M]; a sum to int32 is several times faster than to int64."""
    return hits_MN.sum(1, dtype=torch.int32).double()
