"""How sessions will end, as far as their clicks say: the probability of each class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float64Array
from gru4rec.schema import OUTCOME
from gru4rec.serving.answering import Answering
from gru4rec.sessions import OutcomeClasses, RunningSession, SessionArrays


# S sessions, K classes
def outcomes_of_sessions(recommender: Answering, sessions: SessionArrays) -> Float64Array:
    """Return the probability of each class after the last click of each session [S, K].

    Of a session without a known click, the shares that the classes have in the training log. Raise
    DataError for a recommender that has not learned them.
    """
    recommender.check_outcome()
    classes = recommender.outcome_classes
    known = np.flatnonzero(sessions.lengths)
    found = np.tile(classes.prior, (len(sessions), 1))
    found[known] = recommender.outcomes_after(sessions, sessions.offsets[1:][known] - 1)
    return found


def outcomes_of_running(
    recommender: Answering, sessions: Sequence[RunningSession]
) -> list[dict[Any, float]]:
    """Return the same for running sessions: of each, probabilities by class."""
    recommender.check_outcome()
    classes = recommender.outcome_classes
    begun = [session for session in sessions if session.items]
    after = iter(recommender.running_outcomes(begun) if begun else ())
    found = [next(after) if session.items else classes.prior for session in sessions]
    return [dict(zip(classes.values, shares.tolist(), strict=True)) for shares in found]


def outcome_column(classes: OutcomeClasses, found: Float64Array) -> pl.Series:
    """Return probabilities [S, K] as a column.

    Of two classes it has the probability of the positive one, else a struct with all of them.
    """
    if len(classes) == 2:
        return pl.Series(OUTCOME, found[:, 1])
    return pl.DataFrame(dict(zip(classes.names, found.T, strict=True))).to_struct(OUTCOME)
