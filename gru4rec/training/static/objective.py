"""The loss of a window of one shape and its gradients: places may have no click."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.model import kernels_for
from gru4rec.training.losses import Loss, make_loss
from gru4rec.training.objective import PRECISIONS, is_bounded
from gru4rec.training.static.candidates import Columns
from gru4rec.training.static.windows import Window

StaticObjective = Callable[[Tensor, Tensor, Tensor | None, Columns, Window, Tensor], None]
"""(vectors [M, D], outputs [C, D], bias [C], columns, window, sum of losses []) → None.

It adds the losses of the clicks to the sum, and leaves on vectors, outputs and bias the gradient of
what it added over the clicks that windows have on average.
"""

_LOG2_E = 1 / math.log(2)
_SCORES_AT_ONCE = 1 << 28  # half a gigabyte in bf16

# M places, C columns, D width of a session vector, m places of a chunk


def make_objective(training: TrainingConfig, clicks_per_window: float) -> StaticObjective:
    """Return the objective of a config. Raise ConfigError for an unknown loss."""
    precision = PRECISIONS[training.precision]
    if training.loss == "cross_entropy":
        return _CrossEntropy(precision, clicks_per_window, bounded=is_bounded(training))
    return _of_scores(make_loss(training), precision, clicks_per_window)


def _of_scores(loss: Loss, precision: torch.dtype, clicks_per_window: float) -> StaticObjective:
    """Return the objective of any loss of the table.

    A place without a click is given no negatives: then it adds 0 to the sum, as losses promise.
    """

    def objective(
        vectors_MD: Tensor,
        outputs_CD: Tensor,
        bias_C: Tensor | None,
        columns: Columns,
        window: Window,
        loss_sum: Tensor,
    ) -> None:
        products_MC = vectors_MD.to(precision) @ outputs_CD.to(precision).t()
        masked_MC = columns.owners == window.sessions.unsqueeze(1)
        masked_MC |= ~window.filled.unsqueeze(1)
        masked_MC.scatter_(1, columns.targets.unsqueeze(1), False)
        scores_MC = products_MC.float() + _offset(bias_C, columns)
        scores_MC = scores_MC.masked_fill(masked_MC, -torch.inf)
        mean = loss(scores_MC, columns.targets) * (len(vectors_MD) / window.num_clicks).float()
        weight = window.num_clicks / clicks_per_window
        (mean * weight.float()).backward()  # type: ignore[no-untyped-call]
        loss_sum += mean.detach() * window.num_clicks

    return objective


def _offset(bias_C: Tensor | None, columns: Columns) -> Tensor:
    return -columns.correction if bias_C is None else bias_C - columns.correction


class _CrossEntropy:
    """Cross-entropy with its gradient, in as few passes; see `training.objective.CrossEntropy`."""

    def __init__(self, precision: torch.dtype, clicks_per_window: float, *, bounded: bool) -> None:
        self._precision, self._bounded = precision, bounded
        self._clicks_per_window = clicks_per_window

    def __call__(
        self,
        vectors_MD: Tensor,
        outputs_CD: Tensor,
        bias_C: Tensor | None,
        columns: Columns,
        window: Window,
        loss_sum: Tensor,
    ) -> None:
        """See `StaticObjective`."""
        given = [vectors_MD, outputs_CD] if bias_C is None else [vectors_MD, outputs_CD, bias_C]
        differentiated = self._by_kernel if kernels_for(vectors_MD) else self._differentiated
        with torch.no_grad():
            gradients = differentiated(vectors_MD, outputs_CD, bias_C, columns, window, loss_sum)
        torch.autograd.backward(given, gradients[: len(given)])

    def _differentiated(
        self,
        vectors_MD: Tensor,
        outputs_CD: Tensor,
        bias_C: Tensor | None,
        columns: Columns,
        window: Window,
        loss_sum: Tensor,
    ) -> list[Tensor]:
        """Add the losses to the sum; return the gradients of vectors, outputs and the bias."""
        columns_CD, offset_C = outputs_CD.to(self._precision), _offset(bias_C, columns)
        shift_C = (offset_C - offset_C.amax() if self._bounded else offset_C) * _LOG2_E
        scaled_MD = (vectors_MD * _LOG2_E).to(self._precision)
        weights_M = (window.filled / window.num_clicks).float()
        sessions_M = torch.where(window.filled, window.sessions, -1)
        d_vectors, d_outputs_CD = [], torch.zeros_like(outputs_CD)
        d_bias_C, losses = torch.zeros_like(offset_C), []
        for chunk in _chunks(len(vectors_MD), len(outputs_CD)):
            weights_m1 = weights_M[chunk].unsqueeze(1)
            P_mC, sums_m, of_targets_m = _exponentiated(
                scaled_MD[chunk], columns_CD, shift_C, columns.owners, sessions_M[chunk],
                columns.targets[chunk], bounded=self._bounded,
            )  # fmt: skip
            losses.append(torch.where(weights_M[chunk] > 0, sums_m.log2() - of_targets_m, 0.0))
            shares_m1 = weights_m1 / sums_m.unsqueeze(1)
            d_vectors.append((P_mC @ columns_CD) * shares_m1)
            d_outputs_CD += P_mC.t() @ (vectors_MD[chunk] * shares_m1).to(self._precision)
            if bias_C is not None:
                d_bias_C += (P_mC.t() @ shares_m1.to(self._precision)).squeeze(1)
        weights_M1, targets_M = weights_M.unsqueeze(1), columns.targets
        d_vectors_MD = torch.cat(d_vectors) - outputs_CD.index_select(0, targets_M) * weights_M1
        d_outputs_CD.index_add_(0, targets_M, vectors_MD * weights_M1, alpha=-1)
        if bias_C is not None:
            d_bias_C.index_add_(0, targets_M, weights_M, alpha=-1)
        weight = (window.num_clicks / self._clicks_per_window).float()
        loss_sum += (torch.cat(losses) * weights_M).sum() / _LOG2_E * window.num_clicks
        return [part * weight for part in (d_vectors_MD, d_outputs_CD, d_bias_C)]

    def _by_kernel(
        self,
        vectors_MD: Tensor,
        outputs_CD: Tensor,
        bias_C: Tensor | None,
        columns: Columns,
        window: Window,
        loss_sum: Tensor,
    ) -> list[Tensor]:
        """Do the same by the gradient of the scores, which a kernel writes over them."""
        from gru4rec.training.static.loss_kernels import differentiate_

        vectors_MD, columns_CD = vectors_MD.to(self._precision), outputs_CD.to(self._precision)
        d_vectors, d_outputs, d_bias = [], [], []
        for chunk in _chunks(len(vectors_MD), len(outputs_CD)):
            scores_mC = vectors_MD[chunk] @ columns_CD.t()
            differentiate_(
                scores_mC, bias_C, columns.correction, columns.owners, window.sessions[chunk],
                columns.targets[chunk], window.filled[chunk], loss_sum,
                weight=1 / self._clicks_per_window,
            )  # fmt: skip
            d_vectors.append(scores_mC @ columns_CD)
            d_outputs.append(scores_mC.t() @ vectors_MD[chunk])
            if bias_C is not None:
                d_bias.append(scores_mC.sum(0, dtype=torch.float32))
        d_vectors_MD = d_vectors[0] if len(d_vectors) == 1 else torch.cat(d_vectors)
        return [d_vectors_MD, *(_total(parts) for parts in (d_outputs, d_bias) if parts)]


def _chunks(num_places: int, num_columns: int) -> list[slice]:
    """Return all places, in parts whose scores are not too many at once."""
    size = max(1, min(num_places, _SCORES_AT_ONCE // num_columns))
    return [slice(start, start + size) for start in range(0, num_places, size)]


def _total(parts: list[Tensor]) -> Tensor:
    """Return the sum of parts; of several in float32."""
    total = parts[0]
    for part in parts[1:]:
        total = total.float() + part
    return total


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
