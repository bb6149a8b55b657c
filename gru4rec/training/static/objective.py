"""The loss of a window of one shape and its gradients: places may have no click."""

from collections.abc import Callable

import torch
from torch import Tensor

from gru4rec.config import TrainingConfig
from gru4rec.model import kernels_for
from gru4rec.training.losses import Loss, make_loss
from gru4rec.training.objective import PRECISIONS
from gru4rec.training.static.candidates import Columns
from gru4rec.training.static.windows import Window

StaticObjective = Callable[[Tensor, Tensor, Tensor | None, Columns, Window, Tensor], None]
"""(vectors [M, D], outputs [C, D], bias [C], columns, window, sum of losses []) → None.

It adds the losses of the clicks to the sum, and leaves on vectors, outputs and bias the gradient of
what it added over the clicks that windows have on average.
"""

_SCORES_AT_ONCE = 1 << 28  # half a gigabyte in bf16

# M places, C columns, D width of a session vector, m places of a chunk


def make_objective(training: TrainingConfig, clicks_per_window: float) -> StaticObjective:
    """Return the objective of a config. Raise ConfigError for an unknown loss."""
    precision = PRECISIONS[training.precision]
    if training.loss == "cross_entropy":
        return _cross_entropy(precision, clicks_per_window)
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
        scores_MC = products_MC.float() + _offset(bias_C, columns.correction)
        scores_MC = scores_MC.masked_fill(masked_MC, -torch.inf)
        mean = loss(scores_MC, columns.targets) * (len(vectors_MD) / window.num_clicks).float()
        weight = window.num_clicks / clicks_per_window
        (mean * weight.float()).backward()  # type: ignore[no-untyped-call]
        loss_sum += mean.detach() * window.num_clicks

    return objective


def _cross_entropy(precision: torch.dtype, clicks_per_window: float) -> StaticObjective:
    """Return the cross-entropy: the gradient of the scores is written over them."""

    def objective(
        vectors_MD: Tensor,
        outputs_CD: Tensor,
        bias_C: Tensor | None,
        columns: Columns,
        window: Window,
        loss_sum: Tensor,
    ) -> None:
        differentiate_ = _differentiate_
        if kernels_for(vectors_MD):
            from gru4rec.training.static.loss_kernels import differentiate_
        given = [vectors_MD, outputs_CD] if bias_C is None else [vectors_MD, outputs_CD, bias_C]
        d_vectors, d_outputs, d_bias = [], [], []
        with torch.no_grad():
            left_MD, right_CD = vectors_MD.to(precision), outputs_CD.to(precision)
            for chunk in _chunks(len(left_MD), len(right_CD)):
                scores_mC = left_MD[chunk] @ right_CD.t()
                differentiate_(
                    scores_mC, bias_C, columns.correction, columns.owners, window.sessions[chunk],
                    columns.targets[chunk], window.filled[chunk], loss_sum,
                    weight=1 / clicks_per_window,
                )  # fmt: skip
                d_vectors.append(scores_mC @ right_CD)
                d_outputs.append(scores_mC.t() @ left_MD[chunk])
                if bias_C is not None:
                    d_bias.append(scores_mC.sum(0, dtype=torch.float32))
            d_vectors_MD = d_vectors[0] if len(d_vectors) == 1 else torch.cat(d_vectors)
            gradients = [d_vectors_MD, *(_total(parts) for parts in (d_outputs, d_bias) if parts)]
            of_given = zip(gradients, given, strict=True)
            gradients = [gradient.to(leaf.dtype) for gradient, leaf in of_given]
        torch.autograd.backward(given, gradients)

    return objective


def _differentiate_(
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
    """Do as `loss_kernels.differentiate_`, which says what, by operations of torch."""
    targets_M1, filled_M1 = targets_M.unsqueeze(1), filled_M.unsqueeze(1)
    masked_MC = (owners_C == sessions_M.unsqueeze(1)).scatter_(1, targets_M1, False)
    exponents_MC = scores_MC.float() + _offset(bias_C, correction_C)
    log_MC = torch.log_softmax(exponents_MC.masked_fill_(masked_MC, -torch.inf), dim=1)
    losses_M1 = torch.where(filled_M1, -log_MC.gather(1, targets_M1), 0.0)
    loss_sum += losses_M1.sum(dtype=torch.float64)
    gradient_MC = log_MC.exp_().scatter_add_(1, targets_M1, -torch.ones_like(losses_M1))
    scores_MC.copy_(torch.where(filled_M1, gradient_MC * weight, 0.0))


def _offset(bias_C: Tensor | None, correction_C: Tensor) -> Tensor:
    return -correction_C if bias_C is None else bias_C - correction_C


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
