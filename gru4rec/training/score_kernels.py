"""The pass over the scores of cross-entropy, as one Triton kernel."""

import torch
import triton
import triton.language as tl
from torch import Tensor

# M clicks, C candidates
_COLUMNS = 1024  # at once: eight bf16 values for each thread of four warps


@torch.no_grad()
def exponentiate_(
    scores_MC: Tensor, offset_C: Tensor, owners_C: Tensor, own_M: Tensor, targets_M: Tensor
) -> tuple[Tensor, Tensor]:
    """Write P = 2^(score + offset) over the scores; return row sums of P, exponents of targets.

    Scores and offsets come times log₂ e. An offset of −∞ says that a column is no candidate; so is
    one whose owner is the session of the click (`owners_C[c] == own_M[m]`), unless it is its
    target. P = 0 there. Nothing is subtracted before, so scores must be bounded. P is rounded to
    the type of the scores, and it is the rounded values that are summed, in float32.
    """
    if scores_MC.stride(1) != 1:
        raise ValueError("scores are overwritten in place and their rows must be contiguous")
    sums_M = scores_MC.new_empty(len(scores_MC), dtype=torch.float32)
    of_targets_M = torch.empty_like(sums_M)
    _exponentiate[(len(scores_MC),)](
        scores_MC, scores_MC.stride(0), offset_C.contiguous(), owners_C.contiguous(),
        own_M.contiguous(), targets_M.contiguous(), sums_M, of_targets_M, scores_MC.shape[1],
        COLUMNS=_COLUMNS, num_warps=4,
    )  # fmt: skip
    return sums_M, of_targets_M


@triton.jit  # type: ignore[untyped-decorator]
def _exponentiate(
    scores: tl.tensor,
    stride: tl.tensor,
    offset: tl.tensor,
    owners: tl.tensor,
    own: tl.tensor,
    targets: tl.tensor,
    sums: tl.tensor,
    of_targets: tl.tensor,
    C: tl.tensor,
    COLUMNS: tl.constexpr,
) -> None:
    """Work through the row of one click, so that its sums need no other program."""
    click = tl.program_id(0)
    row = scores + click.to(tl.int64) * stride  # 64 bits: there may be more than 2³¹ scores
    session, target = tl.load(own + click), tl.load(targets + click)
    sum_ = tl.zeros((COLUMNS,), tl.float32)
    of_target = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, C, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        is_column = columns < C
        score = tl.load(row + columns, mask=is_column, other=0.0).to(tl.float32)
        exponent = score + tl.load(offset + columns, mask=is_column, other=float("-inf"))
        is_target = columns == target
        # Here and not by a load of its own, which another thread's store could be ahead of.
        of_target += tl.where(is_target, exponent, 0.0)
        owner = tl.load(owners + columns, mask=is_column, other=-2)
        exponent = tl.where((owner == session) & ~is_target, float("-inf"), exponent)
        weight = tl.exp2(exponent).to(scores.dtype.element_ty)
        tl.store(row + columns, weight, mask=is_column)
        sum_ += weight.to(tl.float32)
    tl.store(sums + click, tl.sum(sum_))
    tl.store(of_targets + click, tl.sum(of_target))
