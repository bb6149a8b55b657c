"""Code what is known of a click besides its item: the time since the last one, event types, …"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Self

import polars as pl

from gru4rec.clicks import is_first
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP
from gru4rec.sessions.plain_text import plain_text, plain_text_of
from gru4rec.untrusted import shown

logger = logging.getLogger(__name__)

_MOST_VALUES = 1000
_GAP_BUCKETS = 24
_PREFIX = "_side_"


def _gaps() -> pl.Expr:
    seconds = (pl.col(TIMESTAMP) - pl.col(TIMESTAMP).shift(1)).dt.total_milliseconds() / 1000
    bucket = (seconds.clip(0) + 1).log(2).floor().clip(0, _GAP_BUCKETS - 1)
    return pl.when(~is_first).then(bucket + 1)


def _gap(before: datetime | None, now: datetime) -> int:
    if before is None:
        return 0
    seconds = max(0, (now - before) // timedelta(milliseconds=1)) / 1000
    return min(math.floor(math.log(seconds + 1, 2)), _GAP_BUCKETS - 1) + 1


@dataclass(frozen=True)
class _OfTime:
    """A side input made of the times of a session's clicks; its codes begin at 1."""

    size: int
    """The number of codes."""
    codes: Callable[[], pl.Expr]
    """Returns the codes of the clicks of a log."""
    code: Callable[[datetime | None, datetime], int]
    """Returns the code of one click, by the time of the click before it and its own."""


OF_TIME: Mapping[str, _OfTime] = {
    "gap": _OfTime(_GAP_BUCKETS, _gaps, _gap),
    "hour": _OfTime(
        24,
        lambda: pl.col(TIMESTAMP).dt.hour().cast(pl.Int64) + 1,
        lambda before, now: now.hour + 1,
    ),
}
"""Side inputs made of times; a column of such a name is not read.

`gap`: ⌊log₂(seconds since the click before + 1)⌋ + 1, at most 24; 0 for the first click.
`hour`: the hour of the day, as the log's times have it, + 1.
"""


@dataclass(frozen=True)
class SideInputs:
    """The side inputs of a model and the values it knows of each; code 0 is for all others.

    Code 0 stands for nothing (the gap of a first click, a null, a column or times that a log at
    serving time lacks) and for values that the training log did not have.
    """

    values: Mapping[str, Sequence[str]]
    """By name: the values of a column as text, by falling count; empty for those of `OF_TIME`."""

    @classmethod
    def of(cls, clicks: pl.LazyFrame, names: Sequence[str]) -> Self:
        """Make the side inputs of these names, with the 1,000 most frequent values of each column.

        Raise DataError if the log lacks a column, or times; if a column is one of ids, or has a
        type that is no number, text, time or truth value.
        """
        columns = clicks.collect_schema().names()
        if ids := sorted({SESSION_ID, ITEM_ID} & set(names)):
            raise DataError(
                f"{ids[0]} is no side input: it is read anyway; leave it out of inputs",
                mend_with=["inputs"],
            )
        for name in names:
            needed = _source_of(name)
            if needed not in columns:
                raise DataError(
                    f"the side input {name!r} needs a column {needed!r}, and the click log lacks "
                    "it; name the column with inputs, or leave it out",
                    mend_with=["inputs"],
                )
            dtype = clicks.collect_schema()[needed]
            if dtype.is_nested() or dtype in (pl.Duration, pl.Binary, pl.Object):
                raise DataError(
                    f"the column {needed!r} is of type {dtype}, no side input; leave it out"
                )
        return cls({name: [] if name in OF_TIME else _frequent(clicks, name) for name in names})

    def __len__(self) -> int:
        return len(self.values)

    @property
    def sizes(self) -> list[int]:
        """The number of codes of each, with code 0."""
        return [
            1 + (OF_TIME[name].size if name in OF_TIME else len(values))
            for name, values in self.values.items()
        ]

    @property
    def names(self) -> list[str]:
        """The columns that `encode` adds."""
        return [f"{_PREFIX}{name}" for name in self.values]

    def encode(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Add the code of each side input (UInt16) to rows, session after session in time order.

        What the rows lack is coded 0, and logged.
        """
        columns = rows.collect_schema().names()
        codes = {}
        for name, values in self.values.items():
            if _source_of(name) not in columns:
                logger.warning("the clicks lack what the side input %r is made of: unknown", name)
                code = pl.lit(0)
            elif name in OF_TIME:
                code = OF_TIME[name].codes()
            else:
                known = pl.Series(values, dtype=pl.String)
                text = plain_text(name)
                place = pl.int_range(1, len(values) + 1, eager=True)
                code = text.replace_strict(known, place, default=0, return_dtype=pl.Int64)
            codes[f"{_PREFIX}{name}"] = code.fill_null(0).cast(pl.UInt16)
        return rows.with_columns(**codes)

    def codes(self, known: Mapping[str, object], before: object) -> list[int]:
        """Return the codes of one click, of which `known` is known, after a click at `before`.

        Raise DataError for a name that no side input is made of, a time that is no datetime, and a
        value that is a list or the like.
        """
        needed = {TIMESTAMP, *map(_source_of, self.values)}
        if strange := sorted(known.keys() - needed):
            has = f"choose from {', '.join(self.values)}" if self.values else "the model has none"
            raise DataError(f"no side input {shown(strange[0])}; {has}")
        if not self.values:
            return []
        earlier, now = naive(before), naive(known.get(TIMESTAMP))
        codes = []
        for name in self.values:
            if name in OF_TIME:
                codes.append(0 if now is None else OF_TIME[name].code(earlier, now))
            else:
                codes.append(self._places[name].get(plain_text_of(name, known.get(name)), 0))
        return codes

    def text_of(self, name: str, code: int) -> str | None:
        """Return what a code of a side input stands for; None for code 0."""
        if code == 0:
            return None
        return str(code) if name in OF_TIME else self.values[name][code - 1]

    def code_of(self, name: str, text: str | None) -> int:
        """Return the code that stands for a text: 0 for None and for a value that is unknown."""
        if text is None:
            return 0
        if name in OF_TIME:
            code = int(text) if text.isdecimal() and len(text) < 4 else 0
            return code if code <= OF_TIME[name].size else 0
        return self._places[name].get(text, 0)

    @cached_property
    def _places(self) -> Mapping[str, Mapping[str | None, int]]:
        """The codes of the values of each column, by their text."""
        return {
            name: {value: code for code, value in enumerate(values, start=1)}
            for name, values in self.values.items()
        }


NO_SIDE_INPUTS = SideInputs({})


def _source_of(name: str) -> str:
    """Return the column that a side input is made of."""
    return TIMESTAMP if name in OF_TIME else name


def naive(time: object) -> datetime | None:
    """Return a time as a log has it, without a zone: one that has a zone is turned to UTC.

    Raise DataError for what is no datetime.
    """
    if time is None:
        return None
    if not isinstance(time, datetime):
        raise DataError(f"timestamp must be a datetime, got {time!r}")
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def _frequent(clicks: pl.LazyFrame, name: str) -> list[str]:
    """Return the most frequent values of a column as text, equal counts in alphabetical order."""
    counts = clicks.select(plain_text(name)).drop_nulls().group_by(name).agg(pl.len())
    values = counts.sort(["len", name], descending=[True, False]).head(_MOST_VALUES).collect()
    return values[name].to_list()
