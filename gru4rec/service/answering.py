"""Answer questions that wait together: clicks first, in their order, then items, in groups."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gru4rec.errors import Gru4RecError
from gru4rec.evaluation import explain
from gru4rec.recommenders import Recommender
from gru4rec.schema import ITEM_ID
from gru4rec.service.question import Clicked, Only, Question
from gru4rec.serving import OF_REPEAT, PlainAnswer, SessionId, SessionStore, plain_answers
from gru4rec.sessions import RunningSession

_EXPLAINED = (
    50  # clicks, the newest, that an explanation weighs: it scores the session without each
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found for a question."""

    found: PlainAnswer
    recommender: Recommender
    """Who found it."""
    session: RunningSession
    """The session as it was found for."""
    has_history: bool = True
    """Whether earlier clicks of the session were at hand."""


def click_all(store: SessionStore, clicks: Sequence[tuple[SessionId, Clicked]]) -> None:
    """Click sessions of a store in this order.

    Raise DataError as `SessionStore.click_many` does; then no click is taken in.
    """
    names = {name for _, click in clicks for name in click.known}
    store.click_many(
        [session_id for session_id, _ in clicks],
        [click.item for _, click in clicks],
        **{name: [click.known.get(name) for _, click in clicks] for name in names},
    )


def sessions_of(recommender: Recommender, questions: Sequence[Question]) -> list[RunningSession]:
    """Return the sessions that the clicks of questions make by themselves.

    Raise DataError as `click_all` does.
    """
    store = SessionStore(recommender, most=len(questions))
    click_all(store, [(n, click) for n, asked in enumerate(questions) for click in asked.clicks])
    return store.running(range(len(questions)))


def find_all(
    recommender: Recommender,
    sessions: Sequence[RunningSession],
    questions: Sequence[Question],
    *,
    have_history: bool = True,
) -> list[Answer | Exception]:
    """Return the answer of each question, for its session; those alike are found together.

    A question that nothing may be recommended for has an error in its place.
    """
    groups: dict[tuple[int, Only], list[int]] = defaultdict(list)
    for place, asked in enumerate(questions):
        groups[asked.k, asked.only].append(place)
    answers: list[Answer | Exception] = [KeyError()] * len(questions)
    for (k, only), places in groups.items():
        of_group = [sessions[place] for place in places]
        try:
            found = [PlainAnswer([], [], "", session.unknown) for session in of_group]
            if k:
                found = plain_answers(recommender, of_group, k, only.filter_of(recommender.catalog))
            for place, session, answer in zip(places, of_group, found, strict=True):
                answers[place] = Answer(answer, recommender, session, have_history)
        except Gru4RecError as error:
            for place in places:
                answers[place] = error
    return answers


async def in_turns(
    questions: Sequence[Question],
    answer: Callable[[Sequence[Question]], Awaitable[list[Answer | Exception]]],
) -> list[Answer | Exception]:
    """Answer questions by an answerer that takes one of each session at a time.

    So each is answered by the clicks up to its own, also if more of the session wait behind it.
    """
    rounds: list[list[int]] = []
    counts: dict[str, int] = defaultdict(int)
    for place, asked in enumerate(questions):
        turn = 0 if asked.session_id is None else counts[asked.session_id]
        if asked.session_id is not None:
            counts[asked.session_id] += 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(place)
    answers: list[Answer | Exception] = [KeyError()] * len(questions)
    for places in rounds:
        found = await answer([questions[place] for place in places])
        for place, answered in zip(places, found, strict=True):
            answers[place] = answered
    return answers


def explanation(answer: Answer) -> dict[str, Any]:
    """Return why items were found: a reason for each, and what each click did for the best."""
    recommender = answer.recommender
    clicked = set(answer.session.items)
    has_head = recommender.repeats is not None
    indexes = [recommender.catalog.find(item) for item in answer.found.items]
    reasons = [
        OF_REPEAT if has_head and index in clicked else answer.found.reason for index in indexes
    ]
    ids = recommender.catalog.ids_of(answer.session.items[-_EXPLAINED:])
    clicks: list[Mapping[str, Any]] = []
    best = answer.found.items[0] if answer.found.items else None
    if ids and best is not None:
        table = explain(recommender, ids, target=best).drop("target", "score")
        before = len(answer.session.items) - len(ids)
        clicks = [_plain(row, before) for row in table.iter_rows(named=True)]
    return {"reasons": reasons, ITEM_ID: best, "clicks": clicks}


def _plain(row: Mapping[str, Any], before: int) -> dict[str, Any]:
    """Return a row of `explain` as JSON has it, its position counted in the whole session."""
    values = {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in row.items()
    }
    return {**values, "position": row["position"] + before}
