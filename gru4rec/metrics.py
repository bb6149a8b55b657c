"""Rank targets among the scores, and make Recall@k, MRR@k and NDCG@k of the ranks."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray, Rows

# M targets, N items of the catalog.

TIES: Mapping[str, float] = {"conservative": 1.0, "median": 0.5, "standard": 0.0}
"""The share of the other items with the target's score that stands before it."""


def ranks(scores_MN: Tensor, targets_M: Tensor, *, ties: str = "conservative") -> Tensor:
    """Return the rank of each row's target among all scores, from 1 [M], float64.

    It is counted within the one score matrix: 1 + the items that score higher + `TIES[ties]` times
    the other items that score the same. A score that is no number stands before the target, and a
    target whose own score is none stands last.
    """
    target_M1 = scores_MN.gather(1, targets_M.unsqueeze(1))
    size, share = scores_MN.shape[1], TIES[ties]
    # A count reads all scores once, and all rules but one need one count only.
    ranks_M = torch.zeros(len(targets_M), dtype=torch.float64, device=scores_MN.device)
    if share < 1:
        ranks_M += (1 - share) * (1 + size - _count(scores_MN <= target_M1))
    if share > 0:
        ranks_M += share * (size - _count(scores_MN < target_M1) + target_M1.squeeze(1).isnan())
    return ranks_M


def ranks_in_pieces(
    scored: Iterable[tuple[Rows, Tensor]], targets: IntArray, *, ties: str = "conservative"
) -> Tensor:
    """Return the rank of each target [M], float64, on the CPU, by scores that come in pieces.

    `scored` are rows of the targets with their scores of all items [n, N], each row once.
    """
    wanted = torch.from_numpy(targets)
    all_ranks = torch.empty(len(targets), dtype=torch.float64)
    for rows, scores in scored:
        if wanted.device != scores.device:  # they are counted there, and come back as one
            wanted = wanted.to(scores.device)
            all_ranks = torch.empty_like(wanted, dtype=torch.float64)
        all_ranks[rows] = ranks(scores, wanted[rows], ties=ties)
    return all_ranks.cpu()


def num_tied(scores_MN: Tensor, targets_M: Tensor) -> Tensor:
    """Count the other items that score as each row's target does [M], int32."""
    target_M1 = scores_MN.gather(1, targets_M.unsqueeze(1))
    return (scores_MN == target_M1).sum(1, dtype=torch.int32) - 1


def hits(k: int, ranks_M: Tensor) -> Tensor:
    """Return 1 for a target that ranks k or better (1-based), else 0 [M]; the mean is Recall@k."""
    return (ranks_M <= k).double()


def reciprocal_ranks(k: int, ranks_M: Tensor) -> Tensor:
    """Return 1/rank, 0 for a target that ranks below k [M]; the mean is MRR@k."""
    return torch.where(ranks_M <= k, 1 / ranks_M.double(), 0.0)


def discounted_gains(k: int, ranks_M: Tensor) -> Tensor:
    """Return 1/log₂(1 + rank), 0 for a target that ranks below k [M].

    As each row has one relevant item, the mean is NDCG@k.
    """
    return torch.where(ranks_M <= k, 1 / torch.log2(1 + ranks_M.double()), 0.0)


GAINS: Mapping[str, Callable[[int, Tensor], Tensor]] = {
    "recall": hits,
    "mrr": reciprocal_ranks,
    "ndcg": discounted_gains,
}
"""What a target adds to a metric, by its rank; the metric is the mean over targets."""


def recall_at(k: int, ranks_M: Tensor) -> float:
    """Return the share of the targets that rank k or better (1-based); 0 if there are none."""
    return hits(k, ranks_M).mean().item() if len(ranks_M) else 0.0


def mrr_at(k: int, ranks_M: Tensor) -> float:
    """Return the mean of 1/rank, 0 for targets that rank below k; 0 if there are none."""
    return reciprocal_ranks(k, ranks_M).mean().item() if len(ranks_M) else 0.0


def recall_plus_mrr(ranks_M: Tensor) -> float:
    """Recall@20 + MRR@20: the measure by which settings and weights are chosen."""
    return recall_at(20, ranks_M) + mrr_at(20, ranks_M)


def _count(hits_MN: Tensor) -> Tensor:
    """Count the true entries of each row [M]; int32 is several times faster than int64."""
    return hits_MN.sum(1, dtype=torch.int32).double()
