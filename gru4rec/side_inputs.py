"""What is known of a click besides its item: the time since the click before it, event types, …"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import polars as pl

from gru4rec.errors import DataError
from gru4rec.schema import SESSION_ID, TIMESTAMP
from gru4rec.sessions import is_first

logger = logging.getLogger(__name__)

_MOST_VALUES = 1000
_GAP_BUCKETS = 24
_PREFIX = "_side_"

_seconds = (pl.col(TIMESTAMP) - pl.col(TIMESTAMP).shift(1)).dt.total_milliseconds() / 1000
_gap_bucket = (_seconds.clip(0) + 1).log(2).floor().clip(0, _GAP_BUCKETS - 1) + 1

OF_TIME: Mapping[str, tuple[Callable[[], pl.Expr], int]] = {
    "gap": (lambda: pl.when(~is_first).then(_gap_bucket), _GAP_BUCKETS),
    "hour": (lambda: pl.col(TIMESTAMP).dt.hour().cast(pl.Int64) + 1, 24),
}
"""Side inputs made of the times of a session's clicks: the code of a click, from 1, and how many
codes there are. `gap`: ⌊log₂(seconds since the click before it + 1)⌋, without for the first click;
`hour`: of the day, as the log's times have it."""


@dataclass(frozen=True)
class SideInputs:
    """The side inputs of a model and the values it knows of each; code 0 is for all others.

    Nothing (a first click's gap, a null, a column or times that a log at serving time lacks) and
    values that the training log did not have are code 0.
    """

    values: Mapping[str, Sequence[str]]
    """By name: the values of a column as text, by falling count; empty for those of `OF_TIME`."""

    @classmethod
    def of(cls, clicks: pl.LazyFrame, names: Sequence[str]) -> Self:
        """The side inputs of that name and the 1,000 most frequent values that a log has of each.

        Raises DataError if the log lacks the column, or times.
        """
        columns = clicks.collect_schema().names()
        for name in names:
            needed = TIMESTAMP if name in OF_TIME else name
            if needed not in columns:
                raise DataError(
                    f"the side input {name!r} needs a column {needed!r}, and the click log lacks "
                    "it; name the column with --input, or leave it out"
                )
            if clicks.collect_schema()[needed].is_nested():
                raise DataError(
                    f"the column {needed!r} holds lists or structs, which are no side input; leave "
                    "it out"
                )
        return cls({name: [] if name in OF_TIME else _frequent(clicks, name) for name in names})

    def __len__(self) -> int:
        return len(self.values)

    @property
    def sizes(self) -> list[int]:
        """Codes of each, with code 0."""
        return [
            1 + (OF_TIME[name][1] if name in OF_TIME else len(values))
            for name, values in self.values.items()
        ]

    @property
    def names(self) -> list[str]:
        """The columns that `encode` adds."""
        return [f"{_PREFIX}{name}" for name in self.values]

    def encode(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """`rows`, session after session in time order, with the code of each side input (UInt16).

        Logs once what is missing from them and coded 0.
        """
        columns = rows.collect_schema().names()
        codes = {}
        for name, values in self.values.items():
            if (TIMESTAMP if name in OF_TIME else name) not in columns:
                logger.warning("the clicks lack what the side input %r is made of: unknown", name)
                code = pl.lit(0)
            elif name in OF_TIME:
                code = OF_TIME[name][0]()
            else:
                known = pl.Series(values, dtype=pl.String)
                text = _text(name)
                place = pl.int_range(1, len(values) + 1, eager=True)
                code = text.replace_strict(known, place, default=0, return_dtype=pl.Int64)
            codes[f"{_PREFIX}{name}"] = code.fill_null(0).cast(pl.UInt16)
        return rows.with_columns(**codes)

    def codes(self, known: Mapping[str, object], before: object) -> list[int]:
        """The codes of one click of which `known` is known, after one at the time `before`.

        Raises DataError for a name that no side input is made of, and a time that is no datetime.
        """
        needed = {TIMESTAMP if name in OF_TIME else name for name in self.values}
        if strange := sorted(known.keys() - needed - {TIMESTAMP}):
            raise DataError(f"no side input {strange[0]!r}; choose from {', '.join(self.values)}")
        if not self.values:
            return []
        times = [before, known.get(TIMESTAMP)]
        if not all(time is None or isinstance(time, datetime) for time in times):
            raise DataError(f"timestamp must be a datetime, got {known[TIMESTAMP]!r}")
        rows = pl.LazyFrame(
            {
                SESSION_ID: [0, 0],
                TIMESTAMP: pl.Series(times, dtype=pl.Datetime("us")),
                **{name: [None, known.get(name)] for name in self.values if name not in OF_TIME},
            }
        )
        return list(self.encode(rows).select(self.names).collect().row(1))


NO_SIDE_INPUTS = SideInputs({})


def _text(name: str) -> pl.Expr:
    """A column's values as text; whole numbers are the same as integers and as floats."""
    return pl.col(name).cast(pl.String).str.replace(r"^(-?\d+)\.0$", "$1")


def _frequent(clicks: pl.LazyFrame, name: str) -> list[str]:
    """The most frequent values of a column as text, equal counts in alphabetical order."""
    counts = clicks.select(_text(name)).drop_nulls().group_by(name).agg(pl.len())
    found = counts.sort(["len", name], descending=[True, False]).head(_MOST_VALUES).collect()
    return found[name].to_list()
