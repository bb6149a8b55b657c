"""What sessions say that a model has not learned from: smoothing, repeats, who is to teach it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Self, cast

import torch

from gru4rec.config import Config
from gru4rec.metrics import ranks_in_pieces, recall_at
from gru4rec.model import Model
from gru4rec.serving import RepeatHead
from gru4rec.sessions import SessionArrays
from gru4rec.training.calibration import Calibration
from gru4rec.training.model_scores import measured, scores_after
from gru4rec.training.ranks import ONE, Ranks
from gru4rec.training.repeats import Evidence, evidence_of, fit_repeats, repeats_matter
from gru4rec.training.smoothing import smoothed
from gru4rec.training.teaching import SessionNeighbours
from gru4rec.training.training_log import SPREAD_CLICKS, TrainingLog
from gru4rec.untrusted import fits, shown

logger = logging.getLogger(__name__)

_STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.8)
_SPEAK = 30_000  # clicks: bounds the time; more do no better (LOG, 2026-11-27)
_WORTH = 0.96  # of the model's recall; those that find less teach it what is worse


@dataclass(frozen=True)
class Finish:
    """What a model gets once it has learned, and who teaches it."""

    smoothing: float = 0.0
    """Strength of the smoothing of its item vectors."""
    repeats: RepeatHead | None = None
    """The head that scores a session's own items."""
    neighbours: int = 0
    """Clicks after which session neighbours teach it."""
    spread: float = 0.0
    """How far apart the scores were that the head was fitted with (`spread_of`); 0: unknown."""
    outcome: Calibration | None = None
    """What the head of outcomes is calibrated by."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`. Raise ValueError for what is none."""
        smoothing, repeats = (values.get(name) for name in ("smoothing", "repeats"))
        neighbours, spread = values.get("neighbours", 0), values.get("spread", 0.0)
        outcome = values.get("outcome")
        if not (
            fits(smoothing, float)
            and fits(repeats, Mapping[str, Any] | None)
            and fits(neighbours, int)
            and fits(spread, float)
            and fits(outcome, Mapping[str, Any] | None)
        ):
            raise ValueError(f"finish cannot be {shown(dict(values))}")
        head = None if repeats is None else RepeatHead.from_dict(repeats)
        calibration = None if outcome is None else Calibration.from_dict(outcome)
        return cls(cast(float, smoothing), head, neighbours, spread, calibration)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values by the names of the fields."""
        repeats = None if self.repeats is None else self.repeats.to_dict()
        return {
            "smoothing": self.smoothing,
            "repeats": repeats,
            "neighbours": self.neighbours,
            "spread": self.spread,
            **({} if self.outcome is None else {"outcome": self.outcome.to_dict()}),
        }

    def head_of(self, model: Model, log: TrainingLog) -> RepeatHead | None:
        """Return the head for a model of a log, which learned otherwise than that it was fitted on.

        Its numbers are in the scale of scores, compared on sessions that both learned from.
        """
        if self.repeats is None or not self.spread:
            return self.repeats
        return self.repeats.scaled(spread_of(model, log) / self.spread)

    def measured(self, model: Model, log: TrainingLog, held_out: SessionArrays) -> dict[str, float]:
        """Return recall@20 and mrr@20 on held-out sessions of a model if it were finished so.

        `log` is what it learns from; it stays as it is. Of several ranks each has its part of both.
        """
        head = self.head_of(model, log)
        with smoothed(model, log.sessions, self.smoothing, log.ranks):
            return measured(model, held_out, head, log.ranks)


def unfitted(config: Config) -> Finish:
    """Return the finish of a model for which nothing is fitted: what its settings say."""
    return Finish(config.training.smoothing or 0.0, None, config.training.neighbours or 0)


def fit_finish(
    model: Model,
    learned: SessionArrays,
    held_out: SessionArrays,
    *,
    smoothing: float | None,
    most_targets: int,
    ranks: Ranks = ONE,
) -> Finish:
    """Return the finish that does best on sessions that a model has not `learned` from.

    Of several strengths, or the one given, take the one that does best once a repeat head is fitted
    with it; of equal ones the weakest. Of several ranks each has its part of what was `learned`,
    and the first all that is `held_out`: it fits.
    """
    tried: list[tuple[float, Evidence]] = []
    for strength in _STRENGTHS if smoothing is None else (smoothing,):
        with smoothed(model, learned, strength, ranks):
            if ranks.is_first:
                tried.append((strength, evidence_of(model, held_out, most=most_targets)))
    return Finish.from_dict(ranks.found_by_first(lambda: _fitted(tried).to_dict()))


def _fitted(tried: Sequence[tuple[float, Evidence]]) -> Finish:
    """Return the finish of the strength that does best, given evidence with each."""
    best, evidence, head = _best(tried, fit_repeats)
    if not repeats_matter(evidence):
        best, evidence, head = _best(tried, lambda evidence: RepeatHead.neutral())
    before, after = tried[0][1].measured(RepeatHead.neutral()), evidence.measured(head)
    logger.info(
        "fitted on held-out sessions: smoothing %g, %s; Recall@20 %.4f → %.4f, MRR@20 %.4f → %.4f",
        best, "no repeats" if head.is_neutral else "repeats",
        before[0], after[0], before[1], after[1],
    )  # fmt: skip
    return Finish(best, head)


def spread_of(model: Model, log: TrainingLog) -> float:
    """Return how far apart the scores of the best items are: the mean standard deviation of 20.

    They are those after clicks that the first run and the last one learn from.
    """

    @torch.inference_mode()
    def spread() -> float:
        scored = scores_after(model, *log.in_both_runs(SPREAD_CLICKS))
        count = min(21, len(model.output_table))
        best = (scores.topk(count, dim=1).values[:, 1:] for _, scores in scored)
        return float(torch.cat([some.std(1, correction=0) for some in best]).nan_to_num().mean())

    return log.ranks.found_by_first(spread)


def neighbours_worth_asking(
    model: Model, neighbours: SessionNeighbours, held_out: SessionArrays, *, most_targets: int
) -> int:
    """Return after how many clicks neighbours are to teach a model: none if they find less.

    Both are measured by Recall@20, of small catalogs at a tenth of the items, on sessions that
    neither has learned from. How they rank what they find counts not: the model does that.
    """
    k = min(20, max(1, len(model.output_table) // 10))  # 20 of 20 items say nothing
    prefixes = held_out.prefixes(most=most_targets)
    targets = held_out.items[prefixes + 1]
    theirs, its = (
        recall_at(k, ranks_in_pieces(scored, targets))
        for scored in (
            neighbours.score(held_out, prefixes),
            scores_after(model, held_out, prefixes),
        )
    )
    speak = _SPEAK if theirs >= _WORTH * its else 0
    logger.info(
        "on held-out sessions: Recall@%d of session neighbours %.4f, of the model %.4f; they %s",
        k, theirs, its, "teach it" if speak else "do not teach it",
    )  # fmt: skip
    return speak


def _best(
    tried: Sequence[tuple[float, Evidence]], fit: Callable[[Evidence], RepeatHead]
) -> tuple[float, Evidence, RepeatHead]:
    """Return the strength with the largest Recall@20 + MRR@20, its evidence, and its head.

    What counts are means over each strength and those next to it: single ones are noisy.
    """
    fitted = [(strength, evidence, fit(evidence)) for strength, evidence in tried]
    sums = [sum(evidence.measured(head)) for _, evidence, head in fitted]
    means = [fmean(sums[max(0, place - 1) : place + 2]) for place in range(len(sums))]
    return fitted[means.index(max(means))]
