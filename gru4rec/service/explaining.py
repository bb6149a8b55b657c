"""Say why items were found: a reason for each, and what each click did for the best."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gru4rec.evaluation import explain
from gru4rec.schema import ITEM_ID
from gru4rec.service.answering import Answer
from gru4rec.serving import OF_ATTRIBUTES, OF_MODEL, OF_REPEAT

_MOST = 50  # clicks, the newest, that are weighed: the session is scored without each


def explanation(answer: Answer) -> dict[str, Any]:
    """Return the reasons of an answer's items, its best item, and a row for each known click."""
    recommender, clicked = answer.recommender, set(answer.session.items)
    has_head = recommender.repeats is not None
    indexes = [recommender.catalog.find(item) for item in answer.found.items]
    support = recommender.catalog.support

    def reason(index: int | None) -> str:
        if has_head and index in clicked:
            return OF_REPEAT
        is_placed = index is not None and support[index] == 0 and answer.found.reason == OF_MODEL
        return OF_ATTRIBUTES if is_placed else answer.found.reason

    ids = recommender.catalog.ids_of(answer.session.items[-_MOST:])
    clicks: list[Mapping[str, Any]] = []
    best = answer.found.items[0] if answer.found.items else None
    if ids and best is not None:
        table = explain(recommender, ids, target=best).drop("target", "score")
        before = len(answer.session.items) - len(ids)
        clicks = [_plain(row, before) for row in table.iter_rows(named=True)]
    return {"reasons": [reason(index) for index in indexes], ITEM_ID: best, "clicks": clicks}


def _plain(row: Mapping[str, Any], before: int) -> dict[str, Any]:
    """Return a row of `explain` as JSON has it, its position counted in the whole session."""
    values = {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in row.items()
    }
    return {**values, "position": row["position"] + before}
