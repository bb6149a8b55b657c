"""Fit the repeat head on sessions that a model has not learned from.

Of each target the competitors are its session's own items and the best others, where a list is
decided. Among them the head is fitted by maximum likelihood, together with a temperature of the
model's scores: on sessions that it has not learned from a model is surer than it should be, of the
others too, and without a temperature own items would pay for that.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gru4rec.model import Model
from gru4rec.serving import INDICATORS, RepeatHead, top_k
from gru4rec.sessions import ItemLinks, SessionArrays, sent
from gru4rec.training.model_scores import scores_after

_OTHERS = 20  # best other items that compete (benchmarks/LOG.md, 2026-11-27)
_RIDGE = 1.0  # weight of ½ · numbers²
_COOLEST = 0.05  # temperature of a model whose scores say next to nothing of the next click
_NEVER = -1e6  # a score of no other item; −∞ has no gradient
_SURE = 1.0  # standard errors that the likelihood must gain
_FOLDS = 4

# M targets, K other items, e own items of all targets, P numbers of the head's terms


@dataclass(frozen=True)
class Evidence:
    """What a model says of targets that it has not learned from, where a list is decided."""

    num_targets: int
    """Targets in all: those not among these stand behind the best items whatever the head."""
    others: Tensor
    """Scores of the best other items [M, K]."""
    target: Tensor
    """The column of the target there, −1 for an own item [M]."""
    rows: Tensor
    """The target that each own item competes for [e]."""
    scores: Tensor
    """Its score [e]."""
    cells: Tensor
    """How it was clicked, see `sessions.own_items` [e]."""
    is_target: Tensor
    """Whether it is the target [e]."""
    session: Tensor
    """The session of each target [M]."""

    def measured(self, head: RepeatHead) -> tuple[float, float]:
        """Return Recall@20 and MRR@20 with a head; a tie counts against the target."""
        own = head.slope * self.scores + torch.from_numpy(head.bonuses)[self.cells]
        of_target = self.others.gather(1, self.target.clamp_min(0).unsqueeze(1)).squeeze(1)
        of_target[self.rows[self.is_target]] = own[self.is_target]
        ranks = (self.others >= of_target.unsqueeze(1)).sum(1)
        ranks.index_add_(0, self.rows, (own >= of_target[self.rows]).long())
        first = ranks <= _OTHERS
        recall, mrr = int(first.sum()), float((first / ranks.clamp_min(1)).sum())
        return recall / max(1, self.num_targets), mrr / max(1, self.num_targets)

    def of_sessions(self, keep: Tensor) -> "Evidence":
        """Return the evidence of some of the sessions [S]."""
        kept = keep[self.session]
        place, own = kept.cumsum(0) - 1, kept[self.rows]
        return Evidence(
            int(kept.sum()),
            self.others[kept],
            self.target[kept],
            place[self.rows[own]],
            self.scores[own],
            self.cells[own],
            self.is_target[own],
            self.session[kept],
        )


def evidence_of(model: Model, sessions: SessionArrays, *, most: int) -> Evidence:
    """Score the targets of sessions, a sample of so many at most, and keep what the fit reads."""
    num_targets, pieces = _pieces(model, sessions, most)
    return Evidence(num_targets, *(torch.cat(part) for part in zip(*pieces, strict=True)))


@torch.inference_mode()
def _pieces(
    model: Model, sessions: SessionArrays, most: int
) -> tuple[int, list[tuple[Tensor, ...]]]:
    """Return how many targets there are, and the evidence piece by piece."""
    clicks, links = sessions.prefixes(most=most), ItemLinks.of(sessions)
    session = np.searchsorted(sessions.offsets, clicks, side="right") - 1
    pieces: list[tuple[Tensor, ...]] = []
    count = 0
    for rows, scores in scores_after(model, sessions, clicks):
        own = links.own_items(clicks[rows])
        at = sent(own.rows, scores.device), sent(own.items, scores.device)
        of_own = scores[at].cpu()
        scores[at] = _NEVER
        best = top_k(scores, min(_OTHERS, scores.shape[1]))
        others, items = scores.gather(1, best).cpu(), best.cpu()
        own_rows, own_items = torch.from_numpy(own.rows), torch.from_numpy(own.items)
        targets = torch.from_numpy(sessions.items[clicks[rows] + 1])
        is_target = own_items == targets[own_rows]
        found = (items == targets.unsqueeze(1)) & (others > _NEVER)  # own ones are no others
        column = torch.where(found.any(1), found.int().argmax(1), -1)
        decided = found.any(1).index_fill(0, own_rows[is_target], True)
        place, kept = decided.cumsum(0) - 1 + count, decided[own_rows]
        pieces.append(
            (
                others[decided].double(),
                column[decided],
                place[own_rows[kept]],
                of_own[kept].double(),
                torch.from_numpy(own.cells)[kept],
                is_target[kept],
                torch.from_numpy(session[rows])[decided],
            )
        )
        count += int(decided.sum())
    return len(clicks), pieces


@dataclass(frozen=True)
class _Fit:
    """Scores as they are where they compete: temperature · score of others, slope · score + terms
    of own items."""

    temperature: Tensor
    slope: Tensor
    numbers: Tensor
    """Of all terms, one after the other [P]."""

    def surprise(self, evidence: Evidence) -> Tensor:
        """Return −log of the probability of each target among its competitors [M]."""
        bonuses = torch.from_numpy(INDICATORS) @ self.numbers
        own = self.slope * evidence.scores + bonuses[evidence.cells]
        others = self.temperature * evidence.others
        of_others = torch.logsumexp(others, dim=1)
        highest = of_others.detach().clone()
        np.maximum.at(highest.numpy(), evidence.rows.numpy(), own.detach().numpy())
        total = (of_others - highest).exp()
        total = total.index_add(0, evidence.rows, (own - highest[evidence.rows]).exp())
        of_target = others.gather(1, evidence.target.clamp_min(0).unsqueeze(1)).squeeze(1)
        of_target = torch.where(evidence.target < 0, 0.0, of_target)
        of_target = of_target.index_add(0, evidence.rows, torch.where(evidence.is_target, own, 0.0))
        return highest + total.log() - of_target


def _fit(evidence: Evidence, *, terms: bool, temperature: float | None = None) -> _Fit:
    """Return the most likely temperature, slope and terms; without `terms` one temperature of all.

    The problem is convex. The terms are held near 0 by a ridge, the temperature at the one given.
    """
    values = torch.zeros(2 + INDICATORS.shape[1], dtype=torch.float64)
    values[:2] = 1.0
    values.requires_grad_()
    solver = torch.optim.LBFGS(
        [values], max_iter=200, tolerance_change=1e-10, line_search_fn="strong_wolfe"
    )

    def now() -> _Fit:
        if terms:
            held = None if temperature is None else values.new_tensor(temperature)
            return _Fit(values[0] if held is None else held, values[1], values[2:])
        return _Fit(values[0], values[0], torch.zeros_like(values[2:]))

    def loss() -> Tensor:
        solver.zero_grad()
        fit = now()
        total = fit.surprise(evidence).sum() + 0.5 * _RIDGE * fit.numbers.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    solver.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        fit = now()
        return _Fit(*(part.detach().clone() for part in (fit.temperature, fit.slope, fit.numbers)))


def fit_repeats(evidence: Evidence) -> RepeatHead:
    """Return the head that makes targets most likely.

    Its numbers are in the scale of the model's scores, so a temperature of 0 is none: where the
    scores of other items say next to nothing, it is held at a small one.
    """
    fit = _fit(evidence, terms=True)
    if fit.temperature < _COOLEST:
        fit = _fit(evidence, terms=True, temperature=_COOLEST)
    slope, numbers = fit.slope / fit.temperature, fit.numbers / fit.temperature
    return RepeatHead.of(float(slope), numbers.numpy())


def repeats_matter(evidence: Evidence) -> bool:
    """Whether heads make sessions surely more likely that they were not fitted on.

    They are fitted on all but a quarter of the sessions, in turn. If not, returns say nothing that
    the model does not know.
    """
    num_sessions = int(evidence.session.max()) + 1 if len(evidence.session) else 0
    fold = torch.arange(num_sessions) % _FOLDS
    gains = torch.zeros(num_sessions, dtype=torch.float64)
    for number in range(_FOLDS):
        fitted, asked = (evidence.of_sessions(keep) for keep in (fold != number, fold == number))
        if not len(fitted.target) or not len(asked.target):
            return False
        gain = _fit(fitted, terms=False).surprise(asked) - _fit(fitted, terms=True).surprise(asked)
        gains.index_add_(0, asked.session, gain)
    error = gains.std() * math.sqrt(num_sessions)
    return bool(gains.isfinite().all() and gains.sum() > _SURE * error)
