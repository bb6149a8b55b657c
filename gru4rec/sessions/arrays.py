"""Hold sessions as flat arrays: one entry per click, session after session."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from gru4rec.arraytypes import BoolArray, Float64Array, IntArray, UInt16Array, UInt64Array
from gru4rec.sessions.event_types import NO_EVENTS, EventTypes

NO_SIDES: UInt16Array = np.empty((0, 0), dtype=np.uint16)
NO_TIMES: Float64Array = np.empty(0)
NO_CODES: UInt16Array = np.empty(0, dtype=np.uint16)
_NO_COUNTS: IntArray = np.empty(0, dtype=np.int64)
_NO_USERS: UInt64Array = np.empty(0, dtype=np.uint64)

_OF_CLICKS = ("items", "sides", "times", "events")
_OF_SESSIONS = ("users", "began", "ended", "leads", "unknown", "unknown_targets", "outcomes")


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
    users: UInt64Array = field(default_factory=lambda: _NO_USERS)
    """A hash of the user of each session, 0 if there is none [S]. Empty if not asked for."""
    began: Float64Array = field(default_factory=lambda: NO_TIMES)
    """When each began, as `times` has it [S]. Empty if users were not asked for."""
    ended: Float64Array = field(default_factory=lambda: NO_TIMES)
    """When its last known click was [S]. Empty if users were not asked for."""
    leads: IntArray = field(default_factory=lambda: _NO_COUNTS)
    """Clicks of its user's earlier sessions with which each begins [S]; see `after_earlier`."""
    unknown: IntArray = field(default_factory=lambda: _NO_COUNTS)
    """Clicks of each session on items outside the catalog, which are left out [S]."""
    unknown_targets: IntArray = field(default_factory=lambda: _NO_COUNTS)
    """Those of them that are targets: not the first click of their session, and of weight [S]."""
    outcomes: IntArray = field(default_factory=lambda: _NO_COUNTS)
    """Class of each session's outcome, −1 where it is unknown [S]. Empty if not asked for."""

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

    @property
    def own_starts(self) -> IntArray:
        """Where the clicks of each session itself start, behind those of earlier ones [S]."""
        starts: IntArray = self.offsets[:-1]
        return starts + self.leads if len(self.leads) else starts

    def take(self, sessions: IntArray) -> "SessionArrays":
        """Return the sessions of these numbers, in the order given."""
        lengths = self.lengths[sessions]
        clicks, _ = ranges(self.offsets[sessions], lengths)
        of_sessions = {
            name: getattr(self, name)[sessions] for name in _OF_SESSIONS if len(getattr(self, name))
        }
        taken = self.of_clicks(clicks, offsets_of(lengths))
        return replace(taken, session_ids=self.session_ids.gather(sessions), **of_sessions)

    def of_clicks(self, clicks: IntArray, offsets: IntArray) -> "SessionArrays":
        """Return sessions of these clicks, cut where `offsets` say; ids and counts stay as here."""
        of_clicks = {
            name: getattr(self, name)[clicks] for name in _OF_CLICKS if len(getattr(self, name))
        }
        return replace(self, offsets=offsets, **of_clicks)

    def followed_by(self, other: "SessionArrays") -> "SessionArrays":
        """Return these sessions and after them others of the same catalog and side inputs.

        Ids become text; what is unknown is left out.
        """
        parts = (self, other)
        ids = [part.session_ids.cast(pl.String).rename("") for part in parts]
        leads = np.concatenate([part.own_starts - part.offsets[:-1] for part in parts])
        return SessionArrays(
            pl.concat(ids),
            np.concatenate([part.items for part in parts]),
            np.concatenate((self.offsets, other.offsets[1:] + len(self.items))),
            np.concatenate([part.sides for part in parts]),
            times=np.concatenate([part.times for part in parts]),
            timed=self.timed and other.timed,
            events=np.concatenate([part.events for part in parts]),
            event_types=self.event_types,
            users=np.concatenate([part.users for part in parts]),
            began=np.concatenate([part.began for part in parts]),
            ended=np.concatenate([part.ended for part in parts]),
            leads=leads if leads.any() else _NO_COUNTS,
            outcomes=np.concatenate([part.outcomes for part in parts]),
        )

    def renumbered(self, index: IntArray) -> "SessionArrays":
        """Return the sessions with the item indexes of another catalog.

        `index` has the new one of each item; clicks on those with −1 are left out, as unknown.
        """
        known = index[self.items] >= 0
        before = np.concatenate(([0], np.cumsum(known)))
        kept = self.of_clicks(np.flatnonzero(known), before[self.offsets])
        leads = self.leads
        if len(leads):
            leads = before[self.own_starts] - before[self.offsets[:-1]]
        return replace(kept, items=index[kept.items], leads=leads)

    def alone(self) -> "SessionArrays":
        """Return the sessions without clicks of earlier ones before them."""
        if not len(self.leads):
            return self
        lengths = self.offsets[1:] - self.own_starts
        alone = self.of_clicks(ranges(self.own_starts, lengths)[0], offsets_of(lengths))
        return replace(alone, leads=_NO_COUNTS)

    @property
    def weights(self) -> Float64Array | None:
        """What every click weighs as a target [clicks]; None if all weigh 1.

        Nothing by its type, or because it is of an earlier session or the first of its own.
        """
        if not len(self.events) and not len(self.leads):
            return None
        types = self.event_types.by_code
        weights = types[self.events] if len(self.events) else np.ones(len(self.items))
        if len(self.leads):
            no_targets = np.where(self.leads > 0, np.minimum(self.leads + 1, self.lengths), 0)
            weights[ranges(self.offsets[:-1], no_targets)[0]] = 0.0
        return weights

    @property
    def rewards(self) -> Float64Array | None:
        """What every click is worth [clicks]; None if none is worth anything."""
        rewards = np.array(self.event_types.rewards)
        return rewards[self.events] if len(self.events) and rewards.any() else None

    @property
    def click_outcomes(self) -> IntArray:
        """Class of the outcome of each click's session [clicks].

        It is −1 where it is unknown, and of clicks of earlier sessions.
        """
        outcomes = np.repeat(self.outcomes, self.lengths)
        if len(self.leads):
            outcomes[ranges(self.offsets[:-1], self.leads)[0]] = -1
        return outcomes

    def with_targets(self) -> "SessionArrays":
        """Return the sessions of two clicks or more: the ones with something to predict.

        Where some clicks weigh nothing, those that have a target of weight.
        """
        has_target = self.lengths >= 2
        if len(self.events) or len(self.leads):
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
                offsets=offsets - offsets[0],
                **{name: getattr(self, name)[clicks] for name in _OF_CLICKS},
                **{name: getattr(self, name)[piece] for name in _OF_SESSIONS},
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

    def around(self, clicks: IntArray) -> tuple["SessionArrays", IntArray]:
        """Return the sessions that rising clicks are of, and the places of these clicks there."""
        sessions, numbers = np.unique(self.sessions_of(clicks), return_inverse=True)
        taken = self.take(sessions)
        return taken, clicks - self.offsets[sessions][numbers] + taken.offsets[numbers]

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
