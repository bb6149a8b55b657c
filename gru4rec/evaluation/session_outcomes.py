"""Measure how well recommenders foretell the outcome of sessions, after every click."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from gru4rec.arraytypes import BoolArray, Float64Array, IntArray
from gru4rec.errors import DataError
from gru4rec.evaluation.bootstrap import Resamples
from gru4rec.evaluation.measurements import Measurement, Part
from gru4rec.evaluation.outcome_metrics import auc, calibration_error, surprises
from gru4rec.evaluation.slices import of_sessions
from gru4rec.recommenders import Recommender
from gru4rec.sessions import SessionArrays

OUTCOME_METRICS = ("auc", "log_loss", "calibration_error")
"""Formulas: see `outcome_metrics`."""


# M clicks of sessions whose outcome is known, K classes
@dataclass(frozen=True)
class Foretold:
    """What a recommender says of outcomes after every click, and what they were."""

    shares: Float64Array
    """The probability of each class [M, K]."""
    outcomes: IntArray
    """The class that it was [M]."""
    session: IntArray
    """Number of the session [M]."""
    position: IntArray
    """Clicks of the session up to and with it [M]."""
    lengths: IntArray
    """Clicks of each session [S]."""

    def of(self, mask: BoolArray) -> "Foretold":
        """Return what is said after some of the clicks [M]."""
        return replace(
            self,
            shares=self.shares[mask],
            outcomes=self.outcomes[mask],
            session=self.session[mask],
            position=self.position[mask],
        )

    def parts(self, by: Sequence[str]) -> Iterator[tuple[str, "Foretold"]]:
        """Yield all of it, then the slices of the kinds that say something of sessions."""
        yield "all", self
        for name in by:
            for part, mask in of_sessions(name, self.session, self.position, self.lengths).items():
                yield f"{name} {part}", self.of(mask)


def foretold_by(
    recommender: Recommender, sessions: SessionArrays, clicks: pl.LazyFrame
) -> Foretold:
    """Ask a recommender after every click of the sessions of a log whose outcome is known.

    Raise DataError if there is none, if the log lacks the column of the outcome, or if the
    recommender has not learned one.
    """
    recommender.check_outcome()
    classes = recommender.outcome_classes
    known = classes.on(sessions, clicks).click_outcomes
    asked = np.flatnonzero(known >= 0)
    if not len(asked):
        raise DataError(
            f"no session with a known item has an outcome in the column {classes.column!r}; check "
            "the log"
        )
    session = sessions.sessions_of(asked)
    return Foretold(
        recommender.outcomes_after(sessions, asked),
        known[asked],
        session,
        asked - sessions.own_starts[session] + 1,
        sessions.offsets[1:] - sessions.own_starts,
    )


def outcome_measurements(
    foretold: Foretold, resamples: Resamples | None, by: Sequence[str]
) -> Iterator[Measurement]:
    """Yield the metrics of all clicks, and slice by slice. Log loss, a mean, can be drawn again."""
    for name, part in foretold.parts(by):
        shares, outcomes, count = part.shares, part.outcomes, len(part.outcomes)
        yield Measurement(name, "auc", None, auc(shares, outcomes), count)
        losses = surprises(shares, outcomes)
        yield Part(name, part.session, resamples).mean("log_loss", None, losses)
        error = calibration_error(shares, outcomes)
        yield Measurement(name, "calibration_error", None, error, count)


def told(recommenders: Mapping[str, Recommender]) -> list[str]:
    """Return the names of those that have learned outcomes. Raise DataError if none has."""
    names = [name for name, each in recommenders.items() if len(each.outcome_classes)]
    if not names:
        next(iter(recommenders.values())).check_outcome()
    return names
