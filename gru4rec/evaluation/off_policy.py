"""What the best k would have earned, estimated from clicks on what others had shown."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from gru4rec.arraytypes import BoolArray, Float64Array
from gru4rec.evaluation.list_metrics import ItemFacts
from gru4rec.evaluation.outcomes import Outcomes

_MOST = 100.0  # times the mean weight of all targets: what one may count

# M targets


@dataclass(frozen=True)
class Importance:
    """How much each target counts in the self-normalised estimate (SNIPS).

    Swaminathan & Joachims, NeurIPS 2015: Σ w r / Σ w, with w = π(a | s) / β(a | s). π shows the
    best k alike, so w is 0 for a target that is not among them. β is what led to the clicks; it is
    not known, and estimated by the items' shares of the training clicks, whatever the session. An
    item that nobody clicked counts as one with one click.
    """

    weights: Float64Array
    """What each target counts [M]."""
    clipped: BoolArray
    """Where it would count more, and is clipped [M]."""

    @classmethod
    def of(cls, outcomes: Outcomes, facts: ItemFacts, k: int) -> Self:
        """Return the weights of all targets, clipped at 100 times the mean over all, π aside."""
        inverse = 1.0 / np.maximum(facts.support, 1)[outcomes.item]
        most = _MOST * inverse.mean() if len(inverse) else 0.0
        shown = (outcomes.ranks <= k).numpy()
        return cls(np.minimum(inverse, most) * shown, (inverse > most) & shown)

    def effective_size(self, mask: BoolArray) -> float:
        """Return (Σ w)² / Σ w² of some targets: how many that count alike would say as much."""
        weights = self.weights[mask]
        total = float(np.square(weights).sum())
        return float(weights.sum()) ** 2 / total if total else 0.0

    def share_clipped(self, mask: BoolArray) -> float:
        """Return the share of the targets that count whose weight is clipped; 0 if none counts."""
        counting = self.weights[mask] > 0
        return float(self.clipped[mask][counting].mean()) if counting.any() else 0.0
