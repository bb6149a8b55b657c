"""Sessions as flat arrays: the one crossing from Polars to NumPy and torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from gru4rec.arraytypes import BoolArray, Float64Array, IntArray, UInt16Array
from gru4rec.clicks import is_first, with_plain_ids
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP
from gru4rec.sessions.catalog import Catalog
from gru4rec.sessions.side_inputs import NO_SIDE_INPUTS, SideInputs

_NO_SIDES: UInt16Array = np.empty((0, 0), dtype=np.uint16)
_NO_TIMES: Float64Array = np.empty(0)
_ROW, _INDEX, _START, _TIME = "_row", "_index", "_start", "_time"


@dataclass(frozen=True)
class SessionArrays:
    """Sessions in one array of item indexes: session s is `items[offsets[s]:offsets[s + 1]]`."""

    session_ids: pl.Series
    """Session ids [S], in the type that the log has."""
    items: IntArray
    """Item index of every click on a known item, session after session, each in time order."""
    offsets: IntArray
    """Where each session starts, and at the end the number of clicks [S + 1]."""
    sides: UInt16Array = field(default_factory=lambda: _NO_SIDES)
    """Codes of the side inputs of every click [clicks, side inputs]."""
    times: Float64Array = field(default_factory=lambda: _NO_TIMES)
    """Seconds since 1970 of every click, or if not `timed` its row in the log; empty where they
    were not asked for."""
    timed: bool = False
    """Whether the log has times."""
    unknown: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Clicks of each session on items outside the catalog, which are left out [S]."""
    unknown_targets: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Those of them that are not the first click of their session [S]."""

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

    def with_targets(self) -> "SessionArrays":
        """The sessions of two clicks or more: the ones with something to predict."""
        return self._some(self.lengths >= 2)

    def every(self, nth: int) -> "SessionArrays":
        """The first session and every `nth` after it."""
        return self._some(np.arange(len(self)) % nth == 0)

    def prefixes(self, *, most: int | None = None) -> IntArray:
        """Places in `items` of all clicks but the last of each session: each has a target, the next
        one. Of more than `most` a sample, always the same one."""
        is_last = np.zeros(len(self.items), dtype=bool)
        is_last[self.offsets[1:][self.lengths > 0] - 1] = True
        found = np.flatnonzero(~is_last)
        if most is None or len(found) <= most:
            return found
        return np.sort(np.random.default_rng(0).choice(found, most, replace=False))

    def starts_of(self, clicks: IntArray) -> IntArray:
        """Where the session of each click begins [n], by their places in `items`."""
        found: IntArray = self.offsets[np.searchsorted(self.offsets, clicks, side="right") - 1]
        return found

    def pieces(self, sessions: int) -> Iterator["SessionArrays"]:
        """So many sessions at a time; one piece if there are none."""
        for start in range(0, max(1, len(self)), sessions):
            some = slice(start, start + sessions)
            offsets = self.offsets[start : start + sessions + 1]
            clicks = slice(offsets[0], offsets[-1])
            yield replace(
                self,
                session_ids=self.session_ids[some],
                items=self.items[clicks],
                offsets=offsets - offsets[0],
                sides=self.sides[clicks],
                times=self.times[clicks],
                unknown=self.unknown[some],
                unknown_targets=self.unknown_targets[some],
            )

    def split_before(self, session: int) -> tuple["SessionArrays", "SessionArrays"]:
        """The sessions before the one of that number, and the rest."""
        older = np.arange(len(self)) < session
        return self._some(older), self._some(~older)

    def _some(self, keep: BoolArray) -> "SessionArrays":
        if keep.all():
            return self
        clicks = np.repeat(keep, self.lengths)
        return replace(
            self,
            session_ids=self.session_ids.filter(pl.Series(keep)),
            items=self.items[clicks],
            offsets=_offsets(self.lengths[keep]),
            sides=self.sides[clicks] if len(self.sides) else self.sides,
            times=self.times[clicks] if len(self.times) else self.times,
            unknown=self.unknown[keep] if len(self.unknown) else self.unknown,
            unknown_targets=self.unknown_targets[keep]
            if len(self.unknown_targets)
            else self.unknown_targets,
        )


def to_arrays(
    clicks: pl.LazyFrame,
    catalog: Catalog,
    *,
    by_start: bool = True,
    side_inputs: SideInputs = NO_SIDE_INPUTS,
    times: bool = False,
    first_row: int = 0,
) -> SessionArrays:
    """The sessions of a log, each in time order, equal times in the order of the rows.

    Sessions stand in the time order of their first click, or with `by_start=False` in the order in
    which the log first names them. One whose items are all unknown is there, and empty. A log whose
    sessions stand whole and in time order, as `gru4rec prepare` writes them, is read as it is; one
    of another order is sorted first. `side_inputs` are coded for every click, `times` taken along.
    `first_row` is where these clicks stand in a longer log.
    """
    timed = TIMESTAMP in clicks.collect_schema()
    rows = catalog.encode(clicks.with_row_index(_ROW, first_row), _INDEX)
    clock = pl.col(TIMESTAMP).dt.epoch("us") / 1e6 if timed else pl.col(_ROW).cast(pl.Float64)
    rows = rows.with_columns(clock.alias(_TIME)) if times else rows
    if not _stands_whole(clicks, timed):
        head = pl.col(_ROW) if by_start else pl.col(_ROW).min().over(SESSION_ID)
        rows = rows.with_columns(head)
        rows = rows.sort(SESSION_ID, *([TIMESTAMP] if timed else []), maintain_order=True)
    coded = side_inputs.names
    rows = side_inputs.encode(rows)
    index = pl.col(_INDEX)
    not_known = index.is_null() & pl.col(ITEM_ID).is_not_null()
    start = pl.col(TIMESTAMP if timed and by_start else _ROW)
    sessions = rows.filter(is_first).select(SESSION_ID, start.alias(_START), _ROW)
    table, flat = pl.collect_all(
        [
            sessions,
            rows.select(
                is_first.alias("first"), index, not_known.alias("unknown"), *coded, *[_TIME] * times
            ),
        ],
        engine="streaming",
    )
    known = flat[_INDEX].is_not_null().to_numpy()
    starts = flat["first"].arg_true().to_numpy()
    lengths = np.add.reduceat(known, starts, dtype=np.int64) if len(starts) else starts
    unknown = flat["unknown"].to_numpy()
    unknown = np.add.reduceat(unknown, starts, dtype=np.int64) if len(starts) else starts
    later = unknown - flat["unknown"].to_numpy()[starts]
    items = flat[_INDEX].drop_nulls().cast(pl.Int64).to_numpy()
    sides = flat.filter(known).select(coded).to_numpy() if coded else _NO_SIDES
    clocks = flat[_TIME].filter(flat[_INDEX].is_not_null()).to_numpy() if times else _NO_TIMES
    order = table.select(pl.arg_sort_by(_START, _ROW)).to_series().to_numpy()
    if not np.array_equal(order, np.arange(len(order))):
        places = _places(_offsets(lengths), order)
        items, lengths = items[places], lengths[order]
        sides = sides[places] if coded else sides
        clocks = clocks[places] if times else clocks
    return SessionArrays(
        table[SESSION_ID].gather(order),
        items,
        _offsets(lengths),
        sides,
        clocks,
        timed,
        unknown[order],
        later[order],
    )


def ranges(starts: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """All places of runs of `counts` places from `starts` on [e], and the run of each [e]."""
    rows = np.repeat(np.arange(len(counts)), counts)
    return np.arange(len(rows)) + (starts - np.cumsum(counts) + counts)[rows], rows


def sides_of(clicks: IntArray, sides: UInt16Array) -> IntArray:
    """The codes of the side inputs of clicks, by their places [n, F]; F may be 0."""
    if not len(sides):
        return np.empty((len(clicks), 0), dtype=np.int64)
    return sides[clicks].astype(np.int64)


def _stands_whole(clicks: pl.LazyFrame, timed: bool) -> bool:
    """Whether the clicks of each session follow each other, in time order."""
    time = pl.col(TIMESTAMP) if timed else pl.lit(0)
    heads, in_time = pl.collect_all(
        [
            clicks.filter(is_first).select(pl.col(SESSION_ID).hash()),
            clicks.select((is_first | (time >= time.shift(1))).all()),
        ],
        engine="streaming",
    )
    return bool(in_time.item()) and heads.to_series().n_unique() == heads.height


def _places(offsets: IntArray, order: IntArray) -> IntArray:
    """Where the clicks of sessions lie that are taken in another order."""
    lengths = np.diff(offsets)[order]
    shift = offsets[order] - _offsets(lengths)[:-1]
    return np.arange(offsets[-1]) + np.repeat(shift, lengths)


def from_lists(
    sessions: Sequence[Sequence[object]],
    catalog: Catalog,
    *,
    side_inputs: SideInputs = NO_SIDE_INPUTS,
    times: bool = False,
) -> SessionArrays:
    """Lists of item ids as sessions 0, 1, …; an empty list is an empty session.

    Raises DataError for items that are no ids: fractions, truth values, lists.
    """
    lists = pl.Series(ITEM_ID, [list(session) for session in sessions], strict=False)
    if not isinstance(lists.dtype, pl.List):
        lists = lists.cast(pl.List(catalog.item_ids.dtype))
    clicks = pl.LazyFrame({SESSION_ID: range(len(lists)), ITEM_ID: lists})
    clicks = with_plain_ids(clicks.explode(ITEM_ID, empty_as_null=True))
    return to_arrays(clicks, catalog, by_start=False, side_inputs=side_inputs, times=times)


def _offsets(lengths: npt.ArrayLike) -> IntArray:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
