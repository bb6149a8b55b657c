"""Reply to sessions that come line by line as JSON, for a program that drives this one."""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from gru4rec.errors import DataError
from gru4rec.recommenders import Recommender
from gru4rec.schema import OUTCOME, REASON, UNKNOWN
from gru4rec.serving import OF_MODEL, OF_POPULARITY, ItemFilter, outcomes_of_sessions

_LONGEST = 1 << 20  # bytes of a line


def reply_lines(
    lines: BinaryIO,
    recommender: Recommender,
    k: int,
    *,
    item_filter: ItemFilter | None,
    explain: bool,
    outcome: bool = False,
) -> Iterator[str]:
    """Reply to each line by a line: `{"session_id", "items", "scores"}`, or `{"error"}`.

    A line to reply to is `{"session_id": 1, "items": ["A", "B"]}`. Without a `session_id` that of
    the reply is null. With `explain` a reply has a `reason` and the number of `unknown` clicks too,
    with `outcome` the probability of each class of the session's `outcome`.
    """
    while line := lines.readline(_LONGEST + 1):
        try:
            if len(line) > _LONGEST:
                _skip(lines, line)
                raise DataError(f"a line may have {_LONGEST:,} bytes at most")
            session = _session(line)
            items, scores = recommender.next_items(session["items"], k, only=item_filter)
            reply = {"session_id": session.get("session_id"), "items": items, "scores": scores}
            if explain:
                reply |= _explained(recommender, session["items"])
            if outcome:
                reply[OUTCOME] = _outcome(recommender, session["items"])
        except DataError as error:
            reply = {"error": str(error)}
        yield json.dumps(reply, allow_nan=False)


def _explained(recommender: Recommender, items: list[object]) -> dict[str, object]:
    unknown = sum(recommender.catalog.find(item) is None for item in items)
    return {REASON: OF_MODEL if unknown < len(items) else OF_POPULARITY, UNKNOWN: unknown}


def _outcome(recommender: Recommender, items: list[object]) -> dict[str, float]:
    (found,) = outcomes_of_sessions(recommender, recommender.reader.prefixes([items]))
    return dict(zip(recommender.outcome_classes.names, found.tolist(), strict=True))


def _session(line: bytes) -> dict[str, Any]:
    """Return the object of a line. Raise DataError for anything else."""
    try:
        session = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the line is no JSON: {error}") from error
    if not isinstance(session, dict) or not isinstance(session.get("items"), list):
        raise DataError('the line must be {"session_id": 1, "items": ["A", "B"]}')
    session_id = session.get("session_id")
    if isinstance(session_id, bool) or not isinstance(session_id, str | int | None):
        raise DataError(f"{str(session_id)[:60]} is no session id; ids are integers or text")
    return session


def _skip(lines: BinaryIO, line: bytes) -> None:
    """Read on to the end of a line of which a part was read."""
    while line and not line.endswith(b"\n"):
        line = lines.readline(_LONGEST)
