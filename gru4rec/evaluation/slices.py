"""Cut the targets of a log by where they stand in their session and how popular they are."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from gru4rec.arraytypes import BoolArray, IntArray
from gru4rec.evaluation.outcomes import Outcomes

# First number of each range; the last one is open.
_LENGTHS = (2, 3, 4, 5, 10, 20)
_POSITIONS = (1, 2, 3, 4, 5, 10, 20)


def _ranges(values: IntArray, starts: Sequence[int]) -> dict[str, BoolArray]:
    named = {}
    for start, end in pairwise(starts):
        name = str(start) if end == start + 1 else f"{start} to {end - 1}"
        named[name] = (values >= start) & (values < end)
    named[f"{starts[-1]} or more"] = values >= starts[-1]
    return named


def _by_length(outcomes: Outcomes, support: IntArray) -> dict[str, BoolArray]:
    return _ranges(outcomes.lengths[outcomes.session], _LENGTHS)


def _by_position(outcomes: Outcomes, support: IntArray) -> dict[str, BoolArray]:
    return _ranges(outcomes.position, _POSITIONS)


def _by_support(outcomes: Outcomes, support: IntArray) -> dict[str, BoolArray]:
    before = clicks_before(support)[outcomes.item]
    third = np.minimum(2, 3 * before // max(1, support.sum()))
    return {name: third == part for part, name in enumerate(("head", "middle", "tail"))}


def clicks_before(support: IntArray) -> IntArray:
    """Return how many training clicks are on items more popular than each [N]."""
    order = np.argsort(-support, kind="stable")
    before = np.empty_like(support)
    before[order] = np.cumsum(support[order]) - support[order]
    return before


def _by_repeat(outcomes: Outcomes, support: IntArray) -> dict[str, BoolArray]:
    since = outcomes.since
    return {"new": since == 0, "last click": since == 1, "earlier click": since > 1}


def _by_event(outcomes: Outcomes, support: IntArray) -> dict[str, BoolArray]:
    types = dict(enumerate(outcomes.event_types.types, start=1))
    types[0] = "of no type"
    masks = {name: outcomes.events == code for code, name in types.items()}
    return {name: mask for name, mask in masks.items() if mask.any()}


SLICES: Mapping[str, Callable[[Outcomes, IntArray], dict[str, BoolArray]]] = {
    "length": _by_length,
    "position": _by_position,
    "support": _by_support,
    "repeat": _by_repeat,
    "event": _by_event,
}
"""By name: the targets [M] of each slice, given the support of all items [N].

`length`: by the known clicks of the session. `position`: by the known clicks before the target.
`support`: by popularity of the item; head, middle and tail make a third of the training clicks
each. `repeat`: whether the session had the item before, as its last click or an earlier one.
`event`: by the type of the target (view, cart, buy)."""

OF_ANY_LOG = [name for name in SLICES if name != "event"]
"""Those that need no types of events."""


def of_sessions(
    name: str, session: IntArray, position: IntArray, lengths: IntArray
) -> dict[str, BoolArray]:
    """Return the slices of clicks, where a kind of slice is one of sessions, else none.

    Clicks are given by their session [M] and position in it, from 1 [M]; sessions by length [S].
    """
    if name == "length":
        return _ranges(lengths[session], (1, *_LENGTHS))
    return _ranges(position, _POSITIONS) if name == "position" else {}
