"""The loss of a window: session vectors scored against candidates, and its gradient."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.training.losses import Loss, make_loss, mean_of

Objective = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""(vectors [M, D], outputs [C, D], offset [C], target columns [M], masked places, weights [M]) →
mean loss [], of weight · loss if there are weights.

Scores are vectors · outputs + offset; flat places of [M, C] that are `masked` are no candidates.
"""

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}

_LOG2_E = 1 / math.log(2)
_SCORES_AT_ONCE = 1 << 24
_BOUND = 30.0  # sums of thousands of exp(±30) are far from the ends of float32

# M clicks, C candidates, D width of a session vector, m clicks of a chunk


def make_objective(training: TrainingConfig) -> Objective:
    """Return the objective of a config. Raise ConfigError for an unknown loss."""
    precision = PRECISIONS[training.precision]
    if training.loss == "cross_entropy":
        bounded = training.scoring == "cosine" and training.scale <= _BOUND
        return CrossEntropy(precision, bounded=bounded)
    return _of_scores(make_loss(training), precision)


def _of_scores(loss: Loss, precision: torch.dtype) -> Objective:
    """Return the objective of any loss of the table, on scores that autograd sees."""

    def objective(
        vectors_MD: Tensor,
        outputs_CD: Tensor,
        offset_C: Tensor,
        targets_M: Tensor,
        masked: Tensor,
        weights_M: Tensor | None = None,
    ) -> Tensor:
        products_MC = vectors_MD.to(precision) @ outputs_CD.to(precision).t()
        scores_MC = products_MC.to(vectors_MD.dtype) + offset_C
        # A score of −inf takes no gradient from the loss, so autograd need not know of it.
        with torch.no_grad():
            scores_MC.view(-1).index_fill_(0, masked, -torch.inf)
        weighted = {} if weights_M is None else {"weights_M": weights_M}
        return loss(scores_MC, targets_M, **weighted)

    return objective


class CrossEntropy:
    """`losses.cross_entropy` of the scores with its gradient, in few passes over a kept buffer.

    The gradient is made with the loss, while the scores are at hand. Let P = exp(score − largest
    of the row), with row sums Z. Then the gradient of the vectors is (P @ outputs) / Z, that of the
    outputs Pᵀ @ (vectors / Z), each less the targets' part. P itself is never divided. It is made
    as a power of two, in a quarter of the time of a power of e.

    Windows of more than 16 million scores are worked through in chunks of clicks, so that the
    scores of a whole catalog never stand in memory at once. Where |vectors · outputs| is `bounded`
    by 30, as cosines times a scale are, the largest of each row is not looked for. With bf16
    scores, P, Z and the products have eight bits; gradients are summed up in float32.
    """

    def __init__(
        self,
        precision: torch.dtype = torch.float32,
        *,
        bounded: bool = False,
        scores_at_once: int = _SCORES_AT_ONCE,
    ) -> None:
        self._bounded = bounded
        self._buffer = torch.empty(0, dtype=precision)
        self._scores_at_once = scores_at_once

    def __call__(
        self,
        vectors_MD: Tensor,
        outputs_CD: Tensor,
        offset_C: Tensor,
        targets_M: Tensor,
        masked: Tensor,
        weights_M: Tensor | None = None,
    ) -> Tensor:
        """See `Objective`."""
        num_clicks = max(1, min(len(vectors_MD), self._scores_at_once // len(outputs_CD)))
        needed = num_clicks * len(outputs_CD) + 1
        if self._buffer.numel() < needed or self._buffer.device != vectors_MD.device:
            self._buffer = self._buffer.new_empty(needed, device=vectors_MD.device)
        loss: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
            vectors_MD, outputs_CD, offset_C, targets_M, masked, weights_M,
            self._buffer, num_clicks, self._bounded,
        )  # fmt: skip
        return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        vectors_MD: Tensor,
        outputs_CD: Tensor,
        offset_C: Tensor,
        targets_M: Tensor,
        masked: Tensor,
        weights_M: Tensor | None,
        buffer: Tensor,
        num_clicks: int,
        bounded: bool,
    ) -> Tensor:
        """Return the mean loss; `buffer` has room for the scores of `num_clicks` and one more."""
        precision = buffer.dtype
        columns_CD = outputs_CD.to(precision)
        shift_C = offset_C - offset_C.amax() if bounded else offset_C
        scaled_MD, offset2_C = ((x * _LOG2_E).to(precision) for x in (vectors_MD, shift_C))
        d_vectors_MD = torch.empty_like(vectors_MD)
        d_outputs_CD, d_offset_C = torch.zeros_like(outputs_CD), torch.zeros_like(offset_C)
        losses = []
        for start in range(0, len(vectors_MD), num_clicks):
            chunk = slice(start, start + num_clicks)
            vectors_mD, targets_m1 = vectors_MD[chunk], targets_M[chunk].unsqueeze(1)
            masked_here = masked - start * len(outputs_CD)
            P_mC = _scores_in(buffer, scaled_MD[chunk], columns_CD, offset2_C, masked_here)
            if not bounded:
                P_mC.sub_(P_mC.amax(1, keepdim=True))
            of_targets_m = P_mC.gather(1, targets_m1).squeeze(1).to(vectors_mD.dtype)
            sums_m = P_mC.exp2_().sum(1).to(vectors_mD.dtype)
            losses.append(sums_m.log2() - of_targets_m)
            shares_m1 = sums_m.reciprocal().unsqueeze(1)
            if weights_M is not None:
                shares_m1 *= weights_M[chunk].unsqueeze(1)
            d_vectors_MD[chunk] = (P_mC @ columns_CD) * shares_m1
            d_outputs_CD += P_mC.t() @ (vectors_mD * shares_m1).to(precision)
            if ctx.needs_input_grad[2]:
                d_offset_C += (P_mC.t() @ shares_m1.to(precision)).squeeze(1)
        of_targets_MD, given_MD = outputs_CD.index_select(0, targets_M), vectors_MD
        counts_M = d_offset_C.new_ones(len(targets_M)) if weights_M is None else weights_M
        if weights_M is not None:
            of_targets_MD = of_targets_MD * weights_M.unsqueeze(1)
            given_MD = vectors_MD * weights_M.unsqueeze(1)
        d_vectors_MD -= of_targets_MD
        d_outputs_CD.index_add_(0, targets_M, given_MD, alpha=-1)
        d_offset_C.index_add_(0, targets_M, counts_M, alpha=-1)
        ctx.save_for_backward(d_vectors_MD, d_outputs_CD, d_offset_C)
        return mean_of(torch.cat(losses), weights_M) / _LOG2_E

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        per_click = gradients[0] / len(ctx.saved_tensors[0])
        return *(part * per_click for part in ctx.saved_tensors), *[None] * 6


def _scores_in(
    buffer: Tensor, vectors_mD: Tensor, outputs_CD: Tensor, offset_C: Tensor, masked: Tensor
) -> Tensor:
    """Write the scores of a chunk of clicks into a buffer and return them [m, C].

    Those at the flat places `masked` are −inf; places in other chunks are below 0 or too large.
    """
    end = len(vectors_mD) * len(outputs_CD)
    scores_mC = buffer[:end].view(len(vectors_mD), len(outputs_CD))
    torch.addmm(offset_C, vectors_mD, outputs_CD.t(), out=scores_mC)
    # What is masked in other chunks goes to the spare place at the end of the buffer.
    places = torch.where((masked >= 0) & (masked < end), masked, end)
    buffer[: end + 1].index_fill_(0, places, -torch.inf)
    return scores_mC
