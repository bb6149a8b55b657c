"""Find where a log is cut, from when its sessions start and end."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import floor
from typing import Any, Protocol

import polars as pl

from gru4rec.errors import DataError

logger = logging.getLogger(__name__)

PARTS = ("train", "valid", "test")
"""The parts of a log, the earliest first."""
START, END = "start", "end"
"""First and last time of a session, or first and last row where there are no times."""

_CENTURY = 100 * 365 * 86400.0  # seconds; longer than any log
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AMOUNT = re.compile(r"\d+(\.\d+)?[%smhdw]")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?")


class Spans(Protocol):
    """The `START` and `END` of sessions, wherever they lie."""

    @property
    def timed(self) -> bool:
        """Whether these are times; else rows."""

    def count(self) -> int:
        """Count the sessions."""

    def before(self, column: str, at: Any) -> "Spans":
        """Select the sessions whose `START` or `END` lies before a time or row."""

    def nth_start(self, n: int) -> Any:
        """Return the n-th of the starts in their order, from 0."""

    def latest_end(self) -> Any:
        """Return the last of the ends."""

    @property
    def shown(self) -> Callable[[Any], str]:
        """What shows a time as text, a row as its number among the valid ones, from 0."""


class FrameSpans:
    """Those of a frame with a row per session."""

    def __init__(self, sessions: pl.DataFrame, shown: Callable[[Any], str] = str) -> None:
        """Take the sessions, with their `START` and `END`, and how these are shown."""
        self.sessions, self.shown = sessions, shown
        self.timed = isinstance(sessions.schema[START], pl.Datetime)

    @cached_property
    def _starts(self) -> pl.Series:
        return self.sessions[START].sort()

    def count(self) -> int:
        """See `Spans`."""
        return self.sessions.height

    def before(self, column: str, at: Any) -> "FrameSpans":
        """See `Spans`."""
        return FrameSpans(self.sessions.filter(pl.col(column) < at), self.shown)

    def nth_start(self, n: int) -> Any:
        """See `Spans`."""
        return self._starts[n]

    def latest_end(self) -> Any:
        """See `Spans`."""
        return self.sessions[END].max()


@dataclass(frozen=True)
class Cut:
    """Where a log is cut. A session that is neither in the last part nor before it is in none."""

    at: Any
    """The first time, or row, of the last part."""
    last_by: str
    """A session is in the last part if its `START` or `END`, as this says, is `at` or later."""
    rest_by: str
    """It is in the rest if this of it is before `at`."""

    @property
    def last(self) -> pl.Expr:
        """Whether each session is in the last part."""
        last: pl.Expr = pl.col(self.last_by) >= self.at
        return last

    @property
    def rest(self) -> pl.Expr:
        """Whether each session is in what is before the last part."""
        rest: pl.Expr = pl.col(self.rest_by) < self.at
        return rest


def cut_parts(
    spans: Spans, valid: str | None, test: str | None, *, by: str = START
) -> dict[str, Cut]:
    """Return the cut of each part by its name, in the order in which they are cut off.

    `test` is cut off first, `valid` from what is before it; with None there is no such part. `by`
    is as in `cut_last`.
    """
    cuts = {}
    for name, asked in (("test", test), ("valid", valid)):
        if asked is not None:
            cut = cuts[name] = cut_last(spans, asked, by=by)
            spans = spans.before(cut.rest_by, cut.at)
    return cuts


def part_of(cuts: Mapping[str, Cut]) -> pl.Expr:
    """Return the part of a session by its `START` and `END`, null for none."""
    part = pl.lit("train")
    for name, cut in reversed(list(cuts.items())):
        part = pl.when(cut.last).then(pl.lit(name)).when(cut.rest).then(part)
    return part


def cut_last(spans: Spans, part: str, *, by: str = START) -> Cut:
    """Cut the last sessions off, as `split_last` says.

    Without times, start and end are rows, and no session runs across the cut.

    With `by="end"` a session that runs across the cut is in the last part, as in the GRU4Rec
    papers. The last part then reaches back before the cut.
    """
    at = _cut_at(spans, part)
    cut = Cut(at, by, END if spans.timed else by)
    count = spans.count()
    after = count - spans.before(cut.last_by, at).count()
    before = spans.before(cut.rest_by, at).count()
    between = count - after - before
    if between:
        logger.info(
            "%d sessions run across the cut at %s and are left out", between, spans.shown(at)
        )
    if not after or not before:
        most = spans.shown(spans.nth_start(nearest(0.99, count)))
        raise DataError(
            f"cutting off {part!r} leaves {before} sessions before and {after} after the cut at "
            f"{spans.shown(at)}, and 99% of them start by {most}; ask for another part: a share, a "
            "moment"
        )
    return cut


def nearest(share: float, count: int) -> int:
    """Return which of so many values in their order has such a share of the others below it."""
    return floor((count - 1) * share + 0.5)


def is_part(text: str) -> bool:
    """Whether `text` asks for a part of a log, as `split_last` takes it; else it names a file."""
    return bool(_AMOUNT.fullmatch(text) or _MOMENT.fullmatch(text))


def seconds_of(duration: str) -> float:
    """Return the seconds of "30m", "6h", "1d", "2w", a century at most.

    Raise DataError for anything else.
    """
    if _AMOUNT.fullmatch(duration) and duration[-1] in _SECONDS and float(duration[:-1]) > 0:
        return min(float(duration[:-1]) * _SECONDS[duration[-1]], _CENTURY)
    raise DataError(f"cannot read {duration!r} as a duration; give one such as 30m, 6h or 1d")


def _cut_at(spans: Spans, part: str) -> Any:
    """Return the first time, or row, of the last part."""
    if part.endswith("%") and is_part(part) and 0 < float(part[:-1]) < 100:
        count = spans.count()
        return spans.nth_start(count - max(1, round(float(part[:-1]) / 100 * count)))
    if _MOMENT.fullmatch(part) or (_AMOUNT.fullmatch(part) and part[-1] in _SECONDS):
        if not spans.timed:
            raise DataError(
                f"{part!r} needs times and the click log has none; give a share such as 10%"
            )
        try:
            if _MOMENT.fullmatch(part):
                return datetime.fromisoformat(part)
            return spans.latest_end() - timedelta(seconds=seconds_of(part))
        except (ValueError, DataError):
            pass
    raise DataError(
        f"cannot read {part!r} as a part; give a duration such as 1d or 6h, a moment such as "
        "2014-09-30, or a share such as 10%"
    )
