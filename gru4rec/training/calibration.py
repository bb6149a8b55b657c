"""Fit how sure a head of outcomes may be, on sessions that a model has not learned from.

The probabilities of a trained head are too sure of themselves. Of what is left of a model's logits
z, held-out sessions decide: slope · z + shifts is fitted by maximum likelihood, one slope and a
shift for each class. With two classes that is Platt's scaling (1999); with more, temperature
scaling (Guo et al. 2017) with a bias besides.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gru4rec.arraytypes import IntArray
from gru4rec.model import Model, outcome_logits
from gru4rec.sessions import SessionArrays
from gru4rec.training.training_log import OUTCOME_CLICKS, TrainingLog
from gru4rec.untrusted import fits, shown

logger = logging.getLogger(__name__)

_RIDGE = 1.0  # weight of ½ · (slope − 1)² + ½ · shifts², against clicks that count 1 each
_FLATTEST = 1e-3  # slope: no head is turned round


# M clicks, K classes
@dataclass(frozen=True)
class Calibration:
    """What turns the logits of a head into those of calibrated probabilities."""

    slope: float
    shifts: tuple[float, ...]
    """One for each class."""
    means: tuple[float, ...]
    """The mean logit of each class after clicks that were learned."""
    spread: float
    """How far apart these logits were: the root of their mean variance over the clicks."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`. Raise ValueError for what is none."""
        slope, shifts, means, spread = (
            values.get(name) for name in ("slope", "shifts", "means", "spread")
        )
        lists = fits(shifts, Sequence[float]) and fits(means, Sequence[float])
        if not (fits(slope, float) and lists and fits(spread, float)):
            raise ValueError(f"a calibration cannot be {shown(dict(values))}")
        each = tuple(cast(list[float], shifts)), tuple(cast(list[float], means))
        return cls(cast(float, slope), *each, cast(float, spread))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values by the names of the fields."""
        lists = {"shifts": list(self.shifts), "means": list(self.means)}
        return {"slope": self.slope, **lists, "spread": self.spread}

    def fold_into(self, model: Model, log: TrainingLog) -> None:
        """Fold it into the head of a model that has learned from a log.

        Its logits are brought first to the mean and the spread of those that this was fitted with,
        on sessions that both models have learned: how far apart a model's logits are, and where
        their middle lies, hangs on how long it learned, and on the last windows.
        """
        if model.outcome is None:
            raise ValueError("the model has no head for outcomes")
        means, spread = _place_of(model, log)
        means_K = torch.tensor(means, dtype=torch.float64)
        ratio = self.spread / spread if spread > 0 else 1.0
        shifts_K = torch.tensor(self.shifts, dtype=torch.float64)
        before_K = torch.tensor(self.means, dtype=torch.float64)
        shifts_K = shifts_K + self.slope * (before_K - ratio * means_K)
        model.outcome.fold(self.slope * ratio, shifts_K)


def fit_calibration(
    model: Model, learned: TrainingLog, held_out: SessionArrays
) -> Calibration | None:
    """Return the calibration of a model's head; None if no outcome is known of what is `held_out`.

    Every click of a held-out session counts. The model has `learned` the other sessions. Of several
    ranks the first has what is held out, and fits.
    """

    def fit() -> tuple[float, list[float]] | None:
        clicks, outcomes = known_outcomes(held_out, most=OUTCOME_CLICKS)
        if not len(clicks):
            logger.warning("no session held out has an outcome: probabilities are not calibrated")
            return None
        logits_MK = outcome_logits(model, held_out, clicks).clone()  # one that may be learned by
        slope, shifts = fitted(logits_MK, torch.from_numpy(outcomes))
        logger.info("fitted on held-out sessions: outcome, slope %.3g", slope)
        return slope, shifts

    found = learned.ranks.found_by_first(fit)
    if found is None:
        return None
    slope, shifts = found
    means, spread = _place_of(model, learned)
    return Calibration(slope, tuple(shifts), tuple(means), spread)


def fitted(logits_MK: Tensor, outcomes_M: Tensor) -> tuple[float, list[float]]:
    """Return the slope and the shifts that make outcomes most likely; the problem is convex.

    A ridge holds them near 1 and 0, which counts only where there are few clicks.
    """
    values = torch.zeros(1 + logits_MK.shape[1], dtype=torch.float64)
    values[0] = 1.0
    start = values.clone()
    values.requires_grad_()
    solver = torch.optim.LBFGS(
        [values], max_iter=200, tolerance_change=1e-10, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        surprise = cross_entropy(values[0] * logits_MK + values[1:], outcomes_M, reduction="sum")
        total = surprise + 0.5 * _RIDGE * (values - start).square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    solver.step(loss)  # type: ignore[no-untyped-call]
    slope, *shifts = values.detach().tolist()
    return max(_FLATTEST, slope), shifts


def known_outcomes(
    sessions: SessionArrays, *, most: int | None = None
) -> tuple[IntArray, IntArray]:
    """Return the places of the clicks of sessions with a known outcome, and its class [n].

    Of more than `most` every so-manieth is taken.
    """
    outcomes = sessions.click_outcomes
    clicks = np.flatnonzero(outcomes >= 0)
    if most is not None and len(clicks) > most:
        clicks = clicks[np.linspace(0, len(clicks) - 1, most).round().astype(np.int64)]
    return clicks, outcomes[clicks]


def _place_of(model: Model, log: TrainingLog) -> tuple[list[float], float]:
    """Return the mean logits [K] after learned clicks, and the root of their mean variance."""

    def place() -> tuple[list[float], float]:
        logits_MK = outcome_logits(model, *log.in_both_runs(OUTCOME_CLICKS))
        variance_K = logits_MK.var(0, correction=0)
        return logits_MK.mean(0).tolist(), float(variance_K.mean().sqrt())

    means, spread = log.ranks.found_by_first(place)
    return means, spread
