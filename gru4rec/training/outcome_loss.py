"""What the outcome of sessions adds to the loss of a window."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from gru4rec.model import OutcomeHead

_UNKNOWN = -1


def with_outcome(
    loss: Tensor,
    head: OutcomeHead,
    vectors_MD: Tensor,
    outcomes_M: Tensor | None,
    *,
    known: float,
    weight: float,
) -> Tensor:
    """Return (1 − weight) · loss + weight · mean cross-entropy of outcomes.

    Every click with a known outcome foretells it by the vector after it; the mean is over as many
    as are `known`. Where outcomes are not told at all, the loss stays as it is.
    """
    # M clicks, D of a session vector
    if outcomes_M is None:
        return loss + 0.0 * sum(part.sum() for part in head.parameters())  # optimisers want one
    surprise = cross_entropy(head(vectors_MD), outcomes_M, ignore_index=_UNKNOWN, reduction="sum")
    return (1 - weight) * loss + weight * surprise / (known or 1.0)
