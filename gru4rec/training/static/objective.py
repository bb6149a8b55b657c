"""The loss of a window of one shape: as `training.objective`, where places may have no click."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.model import kernels_for
from gru4rec.training.losses import Loss, make_loss
from gru4rec.training.objective import PRECISIONS, is_bounded
from gru4rec.training.static.candidates import Columns
from gru4rec.training.static.windows import Window

StaticObjective = Callable[[Tensor, Tensor, Tensor, Columns, Window], Tensor]
"""(vectors [M, D], outputs [C, D], offset [C], columns, window) → mean loss of the clicks []."""

_LOG2_E = 1 / math.log(2)
_SCORES_AT_ONCE = 1 << 28  # half a gigabyte in bf16

# M places, C columns, D width of a session vector, m places of a chunk


def make_objective(training: TrainingConfig) -> StaticObjective:
    """Return the objective of a config. Raise ConfigError for an unknown loss."""
    precision = PRECISIONS[training.precision]
    if training.loss == "cross_entropy":
        return _cross_entropy(precision, bounded=is_bounded(training))
    return _of_scores(make_loss(training), precision)


def _of_scores(loss: Loss, precision: torch.dtype) -> StaticObjective:
    """Return the objective of any loss of the table.

    A place without a click is given no negatives: then it adds 0 to the sum, as losses promise.
    """

    def objective(
        vectors_MD: Tensor, outputs_CD: Tensor, offset_C: Tensor, columns: Columns, window: Window
    ) -> Tensor:
        products_MC = vectors_MD.to(precision) @ outputs_CD.to(precision).t()
        masked_MC = columns.owners == window.sessions.unsqueeze(1)
        masked_MC |= ~window.filled.unsqueeze(1)
        masked_MC.scatter_(1, columns.targets.unsqueeze(1), False)
        scores_MC = products_MC.to(vectors_MD.dtype) + offset_C
        scores_MC = scores_MC.masked_fill(masked_MC, -torch.inf)
        return loss(scores_MC, columns.targets) * (len(vectors_MD) / window.num_clicks).float()

    return objective


def _cross_entropy(precision: torch.dtype, *, bounded: bool) -> StaticObjective:
    """Return the cross-entropy with its gradient, in as few passes; see `CrossEntropy`."""

    def objective(
        vectors_MD: Tensor, outputs_CD: Tensor, offset_C: Tensor, columns: Columns, window: Window
    ) -> Tensor:
        weights_M = (window.filled / window.num_clicks).float()
        owners_m = torch.where(window.filled, window.sessions, -1)
        loss: Tensor = _CrossEntropy.apply(  # type: ignore[no-untyped-call]
            vectors_MD, outputs_CD, offset_C, columns.targets, columns.owners, owners_m, weights_M,
            precision, bounded,
        )  # fmt: skip
        return loss

    return objective


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        vectors_MD: Tensor,
        outputs_CD: Tensor,
        offset_C: Tensor,
        targets_M: Tensor,
        owners_C: Tensor,
        sessions_M: Tensor,
        weights_M: Tensor,
        precision: torch.dtype,
        bounded: bool,
    ) -> Tensor:
        """Return Σ weight · loss over the places."""
        columns_CD = outputs_CD.to(precision)
        shift_C = (offset_C - offset_C.amax() if bounded else offset_C) * _LOG2_E
        scaled_MD = (vectors_MD * _LOG2_E).to(precision)
        d_vectors, d_outputs_CD = [], torch.zeros_like(outputs_CD)
        d_offset_C, losses = torch.zeros_like(offset_C), []
        size = max(1, min(len(vectors_MD), _SCORES_AT_ONCE // len(outputs_CD)))
        for start in range(0, len(vectors_MD), size):
            chunk = slice(start, start + size)
            weights_m1 = weights_M[chunk].unsqueeze(1)
            exponentiated = _exponentiated
            if bounded and kernels_for(scaled_MD):
                exponentiated = _exponentiated_by_kernel
            P_mC, sums_m, of_targets_m = exponentiated(
                scaled_MD[chunk], columns_CD, shift_C, owners_C, sessions_M[chunk],
                targets_M[chunk], bounded=bounded,
            )  # fmt: skip
            losses.append(torch.where(weights_M[chunk] > 0, sums_m.log2() - of_targets_m, 0.0))
            shares_m1 = weights_m1 / sums_m.unsqueeze(1)
            d_vectors.append((P_mC @ columns_CD) * shares_m1)
            d_outputs_CD += P_mC.t() @ (vectors_MD[chunk] * shares_m1).to(precision)
            if ctx.needs_input_grad[2]:
                d_offset_C += (P_mC.t() @ shares_m1.to(precision)).squeeze(1)
        weights_M1 = weights_M.unsqueeze(1)
        d_vectors_MD = torch.cat(d_vectors) - outputs_CD.index_select(0, targets_M) * weights_M1
        d_outputs_CD.index_add_(0, targets_M, vectors_MD * weights_M1, alpha=-1)
        d_offset_C.index_add_(0, targets_M, weights_M, alpha=-1)
        ctx.save_for_backward(d_vectors_MD, d_outputs_CD, d_offset_C)
        return (torch.cat(losses) * weights_M).sum() / _LOG2_E

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        nothing = (None,) * 6
        return *(part * gradients[0] for part in ctx.saved_tensors), *nothing


def _exponentiated(
    vectors_mD: Tensor,
    outputs_CD: Tensor,
    offset_C: Tensor,
    owners_C: Tensor,
    sessions_m: Tensor,
    targets_m: Tensor,
    *,
    bounded: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return P = 2^scores [m, C], its row sums [m], and the scores of targets [m].

    What others of a session brought is left out; of scores that are not bounded the largest of the
    row is subtracted first.
    """
    P_mC = torch.addmm(offset_C.to(outputs_CD.dtype), vectors_mD, outputs_CD.t())
    targets_m1 = targets_m.unsqueeze(1)
    masked_mC = (owners_C == sessions_m.unsqueeze(1)).scatter_(1, targets_m1, False)
    P_mC.masked_fill_(masked_mC, -torch.inf)
    if not bounded:
        P_mC.sub_(P_mC.amax(1, keepdim=True))
    of_targets_m = P_mC.gather(1, targets_m1).squeeze(1).float()
    return P_mC.exp2_(), P_mC.sum(1, dtype=torch.float32), of_targets_m


def _exponentiated_by_kernel(
    vectors_mD: Tensor,
    outputs_CD: Tensor,
    offset_C: Tensor,
    owners_C: Tensor,
    sessions_m: Tensor,
    targets_m: Tensor,
    *,
    bounded: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Do as `_exponentiated`, of bounded scores, in one pass over them."""
    from gru4rec.training.score_kernels import exponentiate_

    P_mC = vectors_mD @ outputs_CD.t()
    return P_mC, *exponentiate_(P_mC, offset_C, owners_C, sessions_m, targets_m)
