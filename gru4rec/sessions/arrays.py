"""Hold sessions as flat arrays: one entry per click, session after session."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from gru4rec.arraytypes import BoolArray, Float64Array, IntArray, UInt16Array
from gru4rec.sessions.event_types import NO_EVENTS, EventTypes

NO_SIDES: UInt16Array = np.empty((0, 0), dtype=np.uint16)
NO_TIMES: Float64Array = np.empty(0)
NO_CODES: UInt16Array = np.empty(0, dtype=np.uint16)
_NO_COUNTS: IntArray = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class SessionArrays:
    """Sessions in one array of item indexes: session s is `items[offsets[s]:offsets[s + 1]]`."""

    session_ids: pl.Series
    """Session ids [S], in the type that the log has."""
    items: IntArray
    """Item index of every click on a known item, session after session, each in time order."""
    offsets: IntArray
    """Where each session starts, and at the end the number of clicks [S + 1]."""
    sides: UInt16Array = field(default_factory=lambda: NO_SIDES)
    """Codes of the side inputs of every click [clicks, side inputs]."""
    times: Float64Array = field(default_factory=lambda: NO_TIMES)
    """Seconds since 1970 of every click, or if not `timed` its row in the log. Empty if times were
    not asked for."""
    timed: bool = False
    """Whether the log has times."""
    events: UInt16Array = field(default_factory=lambda: NO_CODES)
    """Code of every click's type among `event_types`. Empty if types were not asked for."""
    event_types: EventTypes = NO_EVENTS
    """What these codes stand for, and what each weighs as a target."""
    unknown: IntArray = field(default_factory=lambda: _NO_COUNTS)
    """Clicks of each session on items outside the catalog, which are left out [S]."""
    unknown_targets: IntArray = field(default_factory=lambda: _NO_COUNTS)
    """Those of them that are targets: not the first click of their session, and of weight [S]."""

    def __len__(self) -> int:
        return len(self.session_ids)

    @property
    def num_unknown(self) -> int:
        """Clicks on items outside the catalog."""
        return int(self.unknown.sum())

    @property
    def lengths(self) -> IntArray:
        """Clicks of each session [S]."""
        return np.diff(self.offsets)

    def take(self, sessions: IntArray) -> "SessionArrays":
        """Return the sessions of these numbers, in the order given."""
        lengths = self.lengths[sessions]
        clicks, _ = ranges(self.offsets[sessions], lengths)
        return replace(
            self,
            session_ids=self.session_ids.gather(sessions),
            items=self.items[clicks],
            offsets=offsets_of(lengths),
            sides=self.sides[clicks] if len(self.sides) else self.sides,
            times=self.times[clicks] if len(self.times) else self.times,
            events=self.events[clicks] if len(self.events) else self.events,
            unknown=self.unknown[sessions] if len(self.unknown) else self.unknown,
            unknown_targets=self.unknown_targets[sessions]
            if len(self.unknown_targets)
            else self.unknown_targets,
        )

    def followed_by(self, other: "SessionArrays") -> "SessionArrays":
        """Return these sessions and after them others of the same catalog and side inputs.

        Ids become text; times, and what is unknown, are left out.
        """
        parts = (self, other)
        ids = [part.session_ids.cast(pl.String).rename("") for part in parts]
        return SessionArrays(
            pl.concat(ids),
            np.concatenate([part.items for part in parts]),
            np.concatenate((self.offsets, other.offsets[1:] + len(self.items))),
            np.concatenate([part.sides for part in parts]),
            events=np.concatenate([part.events for part in parts]),
            event_types=self.event_types,
        )

    def renumbered(self, index: IntArray) -> "SessionArrays":
        """Return the sessions with the item indexes of another catalog.

        `index` has the new one of each item; clicks on those with −1 are left out, as unknown.
        """
        items = index[self.items]
        known = items >= 0
        return replace(
            self,
            items=items[known],
            offsets=np.concatenate(([0], np.cumsum(known)))[self.offsets],
            sides=self.sides[known] if len(self.sides) else self.sides,
            times=self.times[known] if len(self.times) else self.times,
            events=self.events[known] if len(self.events) else self.events,
        )

    @property
    def weights(self) -> Float64Array | None:
        """What every click weighs as a target [clicks]; None if all weigh 1, as without types."""
        return self.event_types.by_code[self.events] if len(self.events) else None

    @property
    def rewards(self) -> Float64Array | None:
        """What every click is worth [clicks]; None if none is worth anything."""
        rewards = np.array(self.event_types.rewards)
        return rewards[self.events] if len(self.events) and rewards.any() else None

    def with_targets(self) -> "SessionArrays":
        """Return the sessions of two clicks or more: the ones with something to predict.

        With types of events, those that have a target of weight.
        """
        has_target = self.lengths >= 2
        if len(self.events):
            has_target = np.zeros(len(self), dtype=bool)
            has_target[self.sessions_of(self.prefixes())] = True
        return self._where(has_target)

    def every(self, nth: int) -> "SessionArrays":
        """Return the first session and every `nth` after it."""
        return self._where(np.arange(len(self)) % nth == 0)

    def split_before(self, session: int) -> tuple["SessionArrays", "SessionArrays"]:
        """Return the sessions before the one of that number, and the rest."""
        is_before = np.arange(len(self)) < session
        return self._where(is_before), self._where(~is_before)

    def _where(self, keep: BoolArray) -> "SessionArrays":
        return self if keep.all() else self.take(np.flatnonzero(keep))

    def pieces(self, sessions: int) -> Iterator["SessionArrays"]:
        """Yield so many sessions at a time; one piece if there are none."""
        for start in range(0, max(1, len(self)), sessions):
            piece = slice(start, start + sessions)
            offsets = self.offsets[start : start + sessions + 1]
            clicks = slice(offsets[0], offsets[-1])
            yield replace(
                self,
                session_ids=self.session_ids[piece],
                items=self.items[clicks],
                offsets=offsets - offsets[0],
                sides=self.sides[clicks],
                times=self.times[clicks],
                events=self.events[clicks],
                unknown=self.unknown[piece],
                unknown_targets=self.unknown_targets[piece],
            )

    def prefixes(self, *, most: int | None = None) -> IntArray:
        """Return the places in `items` of all clicks that have a target: a next click of weight.

        Of more than `most` a sample is returned, always the same one.
        """
        is_last = np.zeros(len(self.items), dtype=bool)
        is_last[self.offsets[1:][self.lengths > 0] - 1] = True
        clicks = np.flatnonzero(~is_last)
        weights = self.weights
        if weights is not None:
            clicks = clicks[weights[clicks + 1] > 0]
        if most is None or len(clicks) <= most:
            return clicks
        return np.sort(np.random.default_rng(0).choice(clicks, most, replace=False))

    def sessions_of(self, clicks: IntArray) -> IntArray:
        """Return the number of the session of each click [n], by their places in `items`."""
        return np.asarray(np.searchsorted(self.offsets, clicks, side="right") - 1)

    def starts_of(self, clicks: IntArray) -> IntArray:
        """Return where the session of each click begins [n], by their places in `items`."""
        starts: IntArray = self.offsets[self.sessions_of(clicks)]
        return starts


def offsets_of(lengths: npt.ArrayLike) -> IntArray:
    """Return where each of runs of these lengths starts, and at the end their sum [n + 1]."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def ranges(starts: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """Return (all places of runs, the run of each place) [e].

    Run i is the `counts[i]` places from `starts[i]` on.
    """
    runs = np.repeat(np.arange(len(counts)), counts)
    shifts = starts - (np.cumsum(counts) - counts)
    return np.arange(len(runs)) + shifts[runs], runs


def sides_of(clicks: IntArray, sides: UInt16Array) -> IntArray:
    """Return the codes of the side inputs of clicks, by their places [n, F]; F may be 0."""
    if not len(sides):
        return np.empty((len(clicks), 0), dtype=np.int64)
    return sides[clicks].astype(np.int64)
