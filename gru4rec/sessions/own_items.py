"""Tell of a session's own items how they were clicked: when last, how often, among how many."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.sessions.arrays import SessionArrays, ranges

# M clicks, e (click, own item) pairs

REACH = 50
"""Clicks of a session, the newest, that are looked at: what a running session has to remember."""

OWN_KINDS: dict[str, tuple[int, ...]] = {
    "age": (0, 1, 2, 3, 5, 8, 13),
    "times": (1, 2, 3),
    "clicks": (1, 2, 3, 5, 8, 13, 21),
    "returns": (0, 1, 2, 4),
}
"""What is told of an own item, and the first number of each range; the last one is open.

`age`: clicks since it was last clicked, 0 for the last click. `times`: how often it was. `clicks`
and `returns`: of the session, all of them, and those on an item that it had before.
"""

OWN_SHAPE = tuple(len(starts) for starts in OWN_KINDS.values())
"""A cell is a place in an array of this shape: a range of each kind."""

_RANGES = [np.searchsorted(starts, range(REACH + 1), "right") - 1 for starts in OWN_KINDS.values()]
_STEPS = [int(np.prod(OWN_SHAPE[kind + 1 :])) for kind in range(len(OWN_SHAPE))]
_CELLS = [ranges * step for ranges, step in zip(_RANGES, _STEPS, strict=True)]
_AGE, _TIMES, _CLICKS, _RETURNS = (cells.tolist() for cells in _CELLS)


@dataclass(frozen=True)
class OwnItems:
    """The distinct items of sessions, each after the click of a row."""

    rows: IntArray
    """The row of each, rising [e]."""
    items: IntArray
    """Item index [e]."""
    cells: IntArray
    """How it was clicked, as a flat place in `OWN_SHAPE` [e]."""

    def of_rows(self, start: int, stop: int) -> Self:
        """Return those of some rows, which then begin with 0."""
        first, end = np.searchsorted(self.rows, (start, stop))
        some = slice(first, end)
        return type(self)(self.rows[some] - start, self.items[some], self.cells[some])


@dataclass(frozen=True)
class ItemLinks:
    """Where the item of each click stands before and after it in its session."""

    sessions: SessionArrays
    before: IntArray
    """The place of the click before on the same item, −1 if there is none [clicks]."""
    after: IntArray
    """The place of the one after, beyond all clicks if there is none [clicks]."""

    @classmethod
    def of(cls, sessions: SessionArrays) -> Self:
        """Link the clicks of sessions."""
        items, count = sessions.items, len(sessions.items)
        session = np.repeat(np.arange(len(sessions)), sessions.lengths)
        order = np.lexsort((items, session))  # which keeps the clicks on one item in their order
        first, second = order[:-1], order[1:]
        same = (items[first] == items[second]) & (session[first] == session[second])
        before, after = np.full(count, -1), np.full(count, count)
        before[second[same]], after[first[same]] = first[same], second[same]
        return cls(sessions, before, after)

    def own_items(self, clicks: IntArray) -> OwnItems:
        """Return the own items after each click [M], by its session up to and with it."""
        since = np.maximum(self.sessions.starts_of(clicks), clicks + 1 - REACH)
        lengths = clicks + 1 - since
        places, rows = ranges(since, lengths)
        latest = self.after[places] > clicks[rows]
        places, rows = places[latest], rows[latest]
        second = self.before[places]
        third = np.where(second >= 0, self.before[second], -1)
        times = 1 + (second >= since[rows]) + (third >= since[rows])
        returns = lengths - np.bincount(rows, minlength=len(clicks))
        told = (clicks[rows] - places, times, lengths[rows], returns[rows])
        cells = sum(cells[values] for cells, values in zip(_CELLS, told, strict=True))
        return OwnItems(rows, self.sessions.items[places], np.asarray(cells, dtype=np.int64))


def own_items_of(sessions: Sequence[Sequence[int]]) -> OwnItems:
    """Return the own items of running sessions, each given by the items of its clicks.

    They are those that `ItemLinks.own_items` has, in another order. For one session of a few clicks
    this takes microseconds.
    """
    counts: list[int] = []
    items: list[int] = []
    cells: list[int] = []
    for clicked in sessions:
        newest = clicked[: -REACH - 1 : -1]
        times: dict[int, int] = {}
        ages: dict[int, int] = {}
        for age, item in enumerate(newest):
            if item in times:
                times[item] += 1
            else:
                times[item], ages[item] = 1, age
        of_session = _CLICKS[len(newest)] + _RETURNS[len(newest) - len(ages)]
        cells += [of_session + _AGE[age] + _TIMES[times[item]] for item, age in ages.items()]
        items += ages
        counts.append(len(ages))
    rows = np.repeat(np.arange(len(counts)), counts)
    return OwnItems(rows, np.array(items, dtype=np.int64), np.array(cells, dtype=np.int64))
