"""The best items of running sessions as plain lists: for those who build no table of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from gru4rec.serving.answering import Answering
from gru4rec.serving.answers import OF_MODEL, OF_POPULARITY
from gru4rec.serving.best_items import best_of_running
from gru4rec.serving.filters import ItemFilter
from gru4rec.sessions import RunningSession


class PlainAnswer(NamedTuple):
    """The best next items of one session."""

    items: list[Any]
    """Item ids, best first."""
    scores: list[float]
    reason: str
    """Whether the model chose them, or popularity for want of a known click."""
    unknown: int
    """Clicks of the session that were passed over."""


def plain_answers(
    recommender: Answering,
    sessions: Sequence[RunningSession],
    k: int,
    item_filter: ItemFilter | None,
) -> list[PlainAnswer]:
    """Return the k best next items of each session; fewer where no more may be recommended.

    Raise DataError for k < 1.
    """
    scores, items = best_of_running(recommender, sessions, k, item_filter)
    answers = []
    for session, scores_k, items_k in zip(sessions, scores.tolist(), items.tolist(), strict=True):
        if item_filter is not None:
            left = [place for place, score in enumerate(scores_k) if score != -float("inf")]
            scores_k = [scores_k[place] for place in left]
            items_k = [items_k[place] for place in left]
        reason = OF_MODEL if session.items else OF_POPULARITY
        ids = recommender.catalog.ids_of(items_k)
        answers.append(PlainAnswer(ids, scores_k, reason, session.unknown))
    return answers
