"""Answer questions that wait together: clicks first, in their order, then items, in groups."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gru4rec.errors import Gru4RecError
from gru4rec.recommenders import Recommender
from gru4rec.service.question import Clicked, Question
from gru4rec.serving import PlainAnswer, SessionId, SessionStore, plain_answers
from gru4rec.sessions import RunningSession


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found for a question."""

    found: PlainAnswer
    recommender: Recommender
    """Who found it."""
    session: RunningSession
    """The session as it was found for."""
    has_history: bool = True
    """Whether earlier clicks of the session were at hand, and new ones are kept."""
    passed: int | None = None
    """Items that could be shown, where rules were asked for."""


Answers: TypeAlias = list[Answer | Exception]
"""For each question its answer, or why it has none."""


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
    if not questions:
        return []
    store = SessionStore(recommender, most=len(questions))
    click_all(store, [(n, click) for n, asked in enumerate(questions) for click in asked.clicks])
    return store.running(range(len(questions)))


def find_all(
    recommender: Recommender,
    sessions: Sequence[RunningSession],
    questions: Sequence[Question],
    has_history: Sequence[bool],
) -> Answers:
    """Return the answer of each question, for its session; those alike are found together."""
    groups: dict[tuple[int, Hashable], list[int]] = defaultdict(list)
    for place, asked in enumerate(questions):
        groups[asked.k, asked.only.key].append(place)
    answers: dict[int, Answer | Exception] = {}
    for (k, _), places in groups.items():
        only, passed = questions[places[0]].only, None
        of_group = [sessions[place] for place in places]
        try:
            found = [PlainAnswer([], [], "", session.unknown) for session in of_group]
            if k:
                item_filter = only.filter_of(recommender)
                found = plain_answers(recommender, of_group, k, item_filter)
                if item_filter is not None and only.rules is not None:
                    passed = int(item_filter.allowed.sum())
            for place, session, answer in zip(places, of_group, found, strict=True):
                answers[place] = Answer(answer, recommender, session, has_history[place], passed)
        except Gru4RecError as error:
            answers |= dict.fromkeys(places, error)
    return [answers[place] for place in range(len(questions))]


async def in_turns(
    questions: Sequence[Question], answer: Callable[[Sequence[Question]], Awaitable[Answers]]
) -> Answers:
    """Answer questions by an answerer that takes one of each session at a time.

    So each is answered by the clicks up to its own, also if more of the session wait behind it.
    """
    turns: list[list[int]] = []
    counts: dict[str, int] = defaultdict(int)
    for place, asked in enumerate(questions):
        turn = 0 if asked.session_id is None else counts[asked.session_id]
        if asked.session_id is not None:
            counts[asked.session_id] += 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(place)
    answers: dict[int, Answer | Exception] = {}
    for places in turns:
        found = await answer([questions[place] for place in places])
        answers |= zip(places, found, strict=True)
    return [answers[place] for place in range(len(questions))]
