"""Update the recommenders that make one: all of them or none, and of one catalog."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, TypeVar

from gru4rec.clicks import ClickSource
from gru4rec.recommenders.kept_items import KeptItems
from gru4rec.recommenders.parts import in_common
from gru4rec.recommenders.recommender import Recommender
from gru4rec.sessions import to_arrays
from gru4rec.training import parts_of_log

R = TypeVar("R", bound=Recommender)


def updated_parts(
    parts: Sequence[R],
    whole: str,
    clicks: ClickSource,
    *,
    drop_unseen: str | None,
    options: Mapping[str, Any],
) -> list[R] | None:
    """Return copies of the parts of a whole ("a fusion") that have learned clicks too.

    The parts themselves stay as they are. Return None where one of them learns nothing of these
    clicks: then none does, so that they keep one catalog. `options`, those of `Recommender.update`,
    go to the parts that learn by steps, if any does. The same items leave every part. Raise as the
    updates of the parts do.
    """
    log, _ = parts_of_log(clicks, None, [name for part in parts for name in part.inputs])
    kept = None
    if drop_unseen is not None:  # what cannot be dropped is said before any part learns
        before = parts[0].catalog
        grown = before.grown(log)
        kept = KeptItems.of(before, grown, to_arrays(log, grown), drop_unseen)
    by_steps = any(part.learns_by_steps for part in parts)
    updated = list(parts)
    # What refuses at once comes before what learns for minutes.
    for place in sorted(range(len(parts)), key=lambda place: parts[place].learns_by_steps):
        part = parts[place]
        given = options if part.learns_by_steps or not by_steps else {}
        updated[place] = copy(part).update(log, **given)
        if updated[place].catalog is part.catalog:
            return None
    in_common(updated, whole)
    if kept is not None:
        for part in updated:
            part.keep_items(kept)
    return updated
