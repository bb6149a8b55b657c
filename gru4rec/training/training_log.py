"""What a fit reads of its click logs: a catalog, sessions to learn from, sessions to measure on."""

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Self

import numpy as np
import polars as pl

from gru4rec.arraytypes import IntArray
from gru4rec.clicks import ClickSource, is_part, read_clicks, split_last
from gru4rec.config import Config
from gru4rec.errors import DataError
from gru4rec.sessions import (
    NO_OUTCOME,
    NO_SIDE_INPUTS,
    ORDINARY_CLICKS,
    Attributes,
    Catalog,
    CodedItems,
    EventTypes,
    InitialVectors,
    OutcomeClasses,
    SeenSessions,
    SessionArrays,
    SideInputs,
    after_earlier,
    attributes_of,
    event_types_of,
    to_arrays,
)
from gru4rec.training.auto import LogStatistics
from gru4rec.training.ranks import ONE, Ranks

logger = logging.getLogger(__name__)

_IN_MEMORY = 20_000_000  # rows of a log that are read once and kept

_CANDIDATES = 2500  # of a window, about

HELD_OUT_SHARE = 0.1
"""Of a log's sessions, the newest, that a first run learns without."""

SPREAD_CLICKS, OUTCOME_CLICKS = 2000, 50_000
"""Of so many clicks the scores, and the logits of outcomes, are compared between models."""

_ENDLESS_CLICKS, _ENDLESS_SHARE = 1000, 0.01  # what no session of a person in the public logs has


@dataclass(frozen=True)
class TrainingLog:
    """A log as arrays."""

    catalog: Catalog
    """All items of the log."""
    sessions: SessionArrays
    """Its sessions of two clicks or more."""
    held_out: SessionArrays | None
    """The sessions to measure on after each epoch."""
    seen: SeenSessions
    """What a checkpoint keeps to recognise the log."""
    side_inputs: SideInputs = NO_SIDE_INPUTS
    """What is read of a click besides its item."""
    attributes: Attributes | None = None
    """How a table of items is read, if there is one."""
    items: CodedItems | None = None
    """What it has of each item of the catalog."""
    initial: InitialVectors | None = None
    """What items start from, if a table says so."""
    outcome: OutcomeClasses = NO_OUTCOME
    """The classes that its sessions fall into, if they are asked for."""
    is_older: bool = False
    """Whether it is another one `without_newest` sessions."""

    @classmethod
    def read(
        cls,
        clicks: ClickSource,
        valid: ClickSource | None,
        config: Config | None = None,
        item_features: pl.DataFrame | None = None,
        initial_vectors: pl.DataFrame | None = None,
    ) -> Self:
        """Read logs; `valid` may ask for a part of `clicks` to hold out ("1d", "10%").

        `config` says what is read of a click and of a session. `item_features` is a table of items
        as `read_item_table` returns it, `initial_vectors` one as `read_vectors` does. Raise
        DataError if there is nothing to learn from, or nothing to measure on, and as
        `attributes_of`, `EventTypes.of`, `OutcomeClasses.of` and `InitialVectors.of`.
        """
        asked = config if config is not None else Config()
        log, held_out = parts_of_log(clicks, valid, asked.columns)
        catalog, sides = Catalog.of(log), SideInputs.of(log, asked.encoder.inputs)
        events = event_types_of(_with_types(log, held_out, asked), asked.training)
        arrays_of = partial(
            to_arrays, catalog=catalog, side_inputs=sides, events=events,
            users=asked.encoder.user_column,
        )  # fmt: skip
        everything = arrays_of(log)
        most = asked.encoder.user_clicks
        classes = OutcomeClasses.of(log, asked.training.outcome)
        sessions = classes.on(after_earlier(everything, most), log).with_targets()
        if not len(sessions):
            raise _nothing_to_learn(events)
        _warn_of_endless(sessions)
        targets = None
        if held_out is not None:
            targets = after_earlier(arrays_of(held_out), most, history=everything).with_targets()
        if targets is not None and not len(targets):
            raise DataError(
                "no session of the validation log has two clicks on items of the training log"
            )
        described = () if item_features is None else attributes_of(item_features, catalog)
        seen = SeenSessions.of(log, sessions)
        read = replace(cls(catalog, sessions, targets, seen, sides, *described), outcome=classes)
        if initial_vectors is None:
            return read
        return replace(read, initial=InitialVectors.of(initial_vectors, catalog))

    @cached_property
    def statistics(self) -> LogStatistics:
        """What the rules of `auto` read."""
        return LogStatistics.of(self.sessions.alone(), self.catalog)

    @property
    def ranks(self) -> Ranks:
        """The processes that share the sessions."""
        return ONE

    @property
    def whole(self) -> "TrainingLog":
        """The log with the sessions of all processes."""
        return self

    def cheap_to_measure(self) -> SessionArrays | None:
        """Return held-out sessions that are cheap to measure on: all, or one in so many.

        They have about 10,000 targets, or as many as are affordable if that is more.
        """
        if self.held_out is None:
            return None
        num_targets = len(self.held_out.items) - len(self.held_out)
        nth = math.ceil(num_targets / max(10_000, self.affordable_targets()))
        if nth > 1:
            logger.info("measuring on one in %d of the validation sessions, to save time", nth)
        return self.held_out.every(nth)

    def affordable_targets(self) -> int:
        """Return how many targets cost a tenth of an epoch to score, 2,000 at least.

        A target is scored against the whole catalog; a pair learned from, against some thousand
        candidates, three times over (forward and backward).
        """
        of_an_epoch = self.statistics.pairs * 3 * _CANDIDATES / len(self.catalog)
        return max(2000, int(0.1 * of_an_epoch))

    def in_both_runs(self, most: int) -> tuple[SessionArrays, IntArray]:
        """Return sessions that the log without the newest has too, and clicks of them, by place.

        These have a target; of more than `most` they are a sample.
        """
        older = self.sessions if self.is_older else self._by_age()[0]
        return older, older.prefixes(most=most)

    def _by_age(self) -> tuple[SessionArrays, SessionArrays]:
        """Return all sessions but the newest tenth of them, and these."""
        return self.sessions.split_before(round(len(self.sessions) * (1 - HELD_OUT_SHARE)))

    def without_newest(self) -> tuple[Self, SessionArrays]:
        """Return the log without its newest sessions, as if they had not been, and these.

        Both have the catalog of what remains; clicks on other items are left out. Of a small log
        one of them may have no sessions of two clicks.
        """
        older, newest = self._by_age()
        support = np.bincount(older.items, minlength=len(self.catalog))
        rank = np.argsort(-support, kind="stable")
        known = rank[: np.count_nonzero(support)]
        index = np.full(len(support), -1)
        index[known] = np.arange(len(known))
        catalog = Catalog(self.catalog.item_ids.gather(known), support[known])
        parts = (part.renumbered(index).with_targets() for part in (older, newest))
        older, newest = parts
        items = None if self.items is None else self.items.take(known)
        initial = None if self.initial is None else self.initial.take(known)
        log = replace(self, catalog=catalog, sessions=older, held_out=None, items=items)
        return replace(log, initial=initial, is_older=True), newest

    def fingerprint(self) -> str:
        """Return what tells this log from another: a hash of items, sessions and held-out ones."""
        digest = hashlib.sha256()
        for item in self.catalog.item_ids.cast(pl.String):
            digest.update(item.encode() + b"\0")
        digest.update(self.catalog.support.tobytes())
        digest.update(json.dumps(dict(self.side_inputs.values)).encode())
        for sessions in (self.sessions, self.held_out):
            if sessions is not None:
                digest.update(sessions.items.tobytes() + sessions.offsets.tobytes())
                digest.update(sessions.sides.tobytes())
        if self.sessions.lengths.max() > ORDINARY_CLICKS:
            digest.update(b"on several lanes")  # once such a log made other windows
        if len(self.sessions.leads):
            digest.update(b"users" + self.sessions.leads.tobytes())
        if self.sessions.weights is not None:
            digest.update(b"weights" + self.sessions.weights.tobytes())
        if self.items is not None:
            digest.update(self.items.codes.tobytes() + self.items.numbers.tobytes())
        if self.initial is not None:
            digest.update(b"initial vectors" + self.initial.vectors.tobytes())
        if len(self.outcome):
            digest.update(json.dumps(self.outcome.to_dict()).encode())
            digest.update(self.sessions.outcomes.tobytes())
        return digest.hexdigest()


def _with_types(log: pl.LazyFrame, held_out: pl.LazyFrame | None, config: Config) -> pl.LazyFrame:
    """Return the clicks whose types of events there are: those that are held out too."""
    column = config.training.event_column
    parts = [log] if held_out is None else [log, held_out]
    if not column or any(column not in part.collect_schema() for part in parts):
        return log
    return pl.concat(parts, how="diagonal_relaxed")


def _nothing_to_learn(events: EventTypes) -> DataError:
    if events:
        return DataError(
            "no click after the first of its session has a weight, so there is nothing to learn; "
            f"give a weight to the events that shall be targets: {', '.join(events.types[:10])}",
            mend_with=["weight", "target_events"],
        )
    return DataError(
        "no session has two clicks, so there is no next click to learn; check session_col",
        mend_with=["session_col"],
    )


def _warn_of_endless(sessions: SessionArrays) -> None:
    """Log if the longest session is hardly one of a person, and makes up much of the log."""
    longest, total = int(sessions.lengths.argmax()), len(sessions.items)
    clicks = int(sessions.lengths[longest])
    if clicks > _ENDLESS_CLICKS and clicks > _ENDLESS_SHARE * total:
        logger.warning(
            "session %.80r has %d of %d clicks (%.0f %%), as a robot has; "
            "max_session_clicks limits what is learned of one session",
            sessions.session_ids[longest], clicks, total, 100 * clicks / total,
        )  # fmt: skip


def parts_of_log(
    clicks: ClickSource, valid: ClickSource | None, inputs: Sequence[str]
) -> tuple[pl.LazyFrame, pl.LazyFrame | None]:
    """Return the log to train on and that to measure on; `valid` is as in `TrainingLog.read`."""
    log = read_clicks(clicks, also=inputs)
    if log.select(pl.len()).collect(engine="streaming").item() <= _IN_MEMORY:
        log = log.collect().lazy()  # else it is scanned again for each thing asked of it
    if isinstance(valid, str) and is_part(valid):
        return split_last(log, valid)
    return log, None if valid is None else read_clicks(valid, also=inputs)
