"""Answer sessions that come line by line as JSON, for a program that drives this one."""

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from gru4rec.errors import DataError
from gru4rec.recommenders import Recommender
from gru4rec.schema import REASON, UNKNOWN
from gru4rec.serving import OF_MODEL, OF_POPULARITY, ItemFilter

_LONGEST = 1 << 20  # bytes of a line


def answers(
    lines: BinaryIO, recommender: Recommender, k: int, *, only: ItemFilter | None, explain: bool
) -> Iterator[str]:
    """A line for each line: `{"session_id", "items", "scores"}`, or `{"error"}` if it is none.

    A line is `{"session_id": 1, "items": ["A", "B"]}`; without a `session_id` that is null. With
    `explain` an answer has a `reason` and the number of `unknown` clicks too.
    """
    while line := lines.readline(_LONGEST + 1):
        try:
            if len(line) > _LONGEST:
                _skip(lines, line)
                raise DataError(f"a line may have {_LONGEST:,} bytes at most")
            session = _session(line)
            items, scores = recommender.next_items(session["items"], k, only=only)
            answer = {"session_id": session.get("session_id"), "items": items, "scores": scores}
            if explain:
                answer |= _explained(recommender, session["items"])
        except DataError as error:
            answer = {"error": str(error)}
        yield json.dumps(answer)


def _explained(recommender: Recommender, items: list[object]) -> dict[str, object]:
    unknown = sum(recommender.catalog.find(item) is None for item in items)
    return {REASON: OF_MODEL if unknown < len(items) else OF_POPULARITY, UNKNOWN: unknown}


def _session(line: bytes) -> dict[str, Any]:
    """The object of a line. Raises DataError for anything else."""
    try:
        session = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"the line is no JSON: {error}") from error
    if not isinstance(session, dict) or not isinstance(session.get("items"), list):
        raise DataError('the line must be {"session_id": 1, "items": ["A", "B"]}')
    return session


def _skip(lines: BinaryIO, line: bytes) -> None:
    """Read on to the end of a line of which a part was read."""
    while line and not line.endswith(b"\n"):
        line = lines.readline(_LONGEST)
