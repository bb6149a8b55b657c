"""Cross-entropy and its gradient from the scores of a window, as one Triton kernel."""

import torch
import triton
import triton.language as tl
from torch import Tensor

# M clicks, C candidates
_COLUMNS = 1024  # at once: eight bf16 values for each thread of four warps
_LOWEST = tl.constexpr(-1e30)  # stands for −∞, less which it would be no number
_LOG2_E = tl.constexpr(1.4426950408889634)


@torch.no_grad()
def differentiate_(
    scores_MC: Tensor,
    bias_C: Tensor | None,
    correction_C: Tensor,
    owners_C: Tensor,
    sessions_M: Tensor,
    targets_M: Tensor,
    filled_M: Tensor,
    loss_sum: Tensor,
    *,
    weight: float,
) -> None:
    """Write weight · (p − 1 of the target) over the scores; add the losses to `loss_sum` [].

    p = softmax(score + bias − correction) over the candidates of a click: not those whose
    correction is ∞, nor those whose owner is its session (`owners_C[c] == sessions_M[m]`), unless
    it is its target. Losses are −log p of targets. Where a place is not filled, all is 0. It is
    reckoned in float32 and rounded to the type of the scores. Losses are summed in float64, in any
    order, so that the last digits may vary.
    """
    if scores_MC.stride(1) != 1:
        raise ValueError("scores are overwritten in place and their rows must be contiguous")
    _differentiate[(len(scores_MC),)](
        scores_MC, scores_MC.stride(0), None if bias_C is None else bias_C.contiguous(),
        correction_C.contiguous(), owners_C.contiguous(), sessions_M.contiguous(),
        targets_M.contiguous(), filled_M.contiguous(), weight, loss_sum, scores_MC.shape[1],
        COLUMNS=_COLUMNS, num_warps=4,
    )  # fmt: skip


@triton.jit  # type: ignore[untyped-decorator]
def _exponents(
    row: tl.tensor,
    bias: tl.tensor,
    correction: tl.tensor,
    owners: tl.tensor,
    session: tl.tensor,
    target: tl.tensor,
    columns: tl.tensor,
    C: tl.tensor,
) -> tl.tensor:
    """Return log₂ of what p is proportional to, of some columns; −∞ where they are none."""
    is_column = columns < C
    score = tl.load(row + columns, mask=is_column, other=0.0).to(tl.float32)
    if bias is not None:
        score += tl.load(bias + columns, mask=is_column, other=0.0)
    score -= tl.load(correction + columns, mask=is_column, other=float("inf"))
    owner = tl.load(owners + columns, mask=is_column, other=-2)
    is_own = (owner == session) & (columns != target)
    return tl.where(is_own, float("-inf"), score * _LOG2_E)


@triton.jit  # type: ignore[untyped-decorator]
def _differentiate(
    scores: tl.tensor,
    stride: tl.tensor,
    bias: tl.tensor,
    correction: tl.tensor,
    owners: tl.tensor,
    sessions: tl.tensor,
    targets: tl.tensor,
    filled: tl.tensor,
    weight: tl.tensor,
    loss_sum: tl.tensor,
    C: tl.tensor,
    COLUMNS: tl.constexpr,
) -> None:
    """Work through the row of one click twice: for the sum of its powers, then for p.

    Every column has a largest exponent and a sum of its own until the end.
    """
    click = tl.program_id(0)
    row = scores + click.to(tl.int64) * stride  # 64 bits: there may be more than 2³¹ scores
    session, target = tl.load(sessions + click), tl.load(targets + click)
    is_filled = tl.load(filled + click).to(tl.int1)
    largest = tl.full((COLUMNS,), _LOWEST, tl.float32)
    sum_ = tl.zeros((COLUMNS,), tl.float32)
    of_target = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, C, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        exponent = _exponents(row, bias, correction, owners, session, target, columns, C)
        # Here and not by a load of its own, which another thread's store could be ahead of.
        of_target += tl.where(columns == target, exponent, 0.0)
        before = largest
        largest = tl.maximum(before, exponent)
        sum_ = sum_ * tl.exp2(before - largest) + tl.exp2(exponent - largest)
    top = tl.max(largest)
    total = tl.where(is_filled, tl.sum(sum_ * tl.exp2(largest - top)), 1.0)
    loss = (top + tl.log2(total) - tl.sum(of_target)) / _LOG2_E
    tl.atomic_add(loss_sum, loss.to(tl.float64), mask=is_filled, sem="relaxed")
    share = weight / total
    for start in range(0, C, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        exponent = _exponents(row, bias, correction, owners, session, target, columns, C)
        gradient = tl.exp2(exponent - top) * share - tl.where(columns == target, weight, 0.0)
        gradient = tl.where(is_filled, gradient, 0.0)
        tl.store(row + columns, gradient.to(scores.dtype.element_ty), mask=columns < C)
