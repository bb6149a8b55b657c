"""The outcome of sessions: what a column of a log says of each session as a whole."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float64Array
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP
from gru4rec.sessions.arrays import SessionArrays
from gru4rec.sessions.plain_text import plain_text
from gru4rec.untrusted import fits, shown

logger = logging.getLogger(__name__)

OutcomeClass = bool | int | str

_FEWEST, _MOST = 2, 100
_TEXT, _LEAST, _LARGEST = "_outcome", "_least", "_largest"
_WHOLE = r"^-?\d{1,18}$"


@dataclass(frozen=True)
class OutcomeClasses:
    """The classes that sessions of a training log fall into, by a column of it."""

    column: str
    values: tuple[OutcomeClass, ...]
    """The classes, rising: truth values, integers or texts. Of two the second is the positive."""
    shares: tuple[float, ...]
    """The share of the sessions with an outcome that each class has."""

    @classmethod
    def of(cls, clicks: pl.LazyFrame, column: str) -> Self:
        """Make the classes of a log: the distinct values of a column. For "" there are none.

        A session has the value of its rows; rows may say nothing (null). Raise DataError if the
        log lacks the column, if it is of another type or one of those of every log, if a session
        has two values, and for less than 2 or more than 100 classes.
        """
        if not column:
            return cls("", (), ())
        kind = _kind_of(clicks, column)
        outcomes = _by_session(clicks, column)
        counts = outcomes.drop_nulls(_TEXT).group_by(_TEXT).agg(pl.len())
        if not _FEWEST <= counts.height <= _MOST:
            raise DataError(
                f"the outcome {column!r} has {counts.height} different values, and classes are "
                f"{_FEWEST} to {_MOST}; name another column",
                mend_with=["outcome"],
            )
        of_text = {_value_of(text, kind, column): count for text, count in counts.iter_rows()}
        values = tuple(sorted(of_text))
        total = sum(of_text.values())
        return cls(column, values, tuple(of_text[value] / total for value in values))

    def __len__(self) -> int:
        """The number of classes; 0 if there is no outcome."""
        return len(self.values)

    @property
    def columns(self) -> list[str]:
        """The name of the column, if there is one."""
        return [self.column] if self.column else []

    @property
    def names(self) -> list[str]:
        """The classes as text, as JSON and the names of columns have them."""
        return [value if isinstance(value, str) else json.dumps(value) for value in self.values]

    @property
    def prior(self) -> Float64Array:
        """The shares as an array [K]: what is known of a session before its first click."""
        return np.array(self.shares)

    def on(self, sessions: SessionArrays, clicks: pl.LazyFrame) -> SessionArrays:
        """Return sessions with their outcomes, by the log that they were made of.

        Those of no known class have −1; classes that were not learned are logged. Raise DataError
        as `of` does.
        """
        if not len(self):
            return sessions
        _kind_of(clicks, self.column)
        ids = sessions.session_ids.alias(SESSION_ID).to_frame()
        outcomes = _by_session(clicks, self.column)
        texts = ids.join(outcomes, on=SESSION_ID, how="left", maintain_order="left")[_TEXT]
        code_of = {name: code for code, name in enumerate(self.names)}
        codes = texts.replace_strict(code_of, default=-1, return_dtype=pl.Int64).fill_null(-1)
        if strange := texts.filter((codes < 0) & texts.is_not_null()).unique().sort().to_list():
            logger.warning(
                "sessions with the %s %s are left out where outcomes count: it was not learned",
                self.column, ", ".join(strange[:5]),
            )  # fmt: skip
        return replace(sessions, outcomes=codes.to_numpy().astype(np.int64))

    def if_there(self, sessions: SessionArrays, clicks: pl.LazyFrame) -> SessionArrays:
        """Do as `on`, where the log has the column; else no session has a known outcome."""
        if not len(self) or self.column in clicks.collect_schema():
            return self.on(sessions, clicks)
        return replace(sessions, outcomes=np.full(len(sessions), -1))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values by the names of the fields."""
        return {"column": self.column, "values": list(self.values), "shares": list(self.shares)}

    @classmethod
    def from_dict(cls, contents: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_dict`. Raise ValueError for what is none."""
        column, values, shares = (contents.get(name) for name in ("column", "values", "shares"))
        sound = (
            fits(column, str)
            and fits(values, Sequence[bool | int | str])
            and fits(shares, Sequence[float])
        )
        if sound and column and values and shares:
            alike = len({type(value) for value in values}) == 1
            if alike and len(set(values)) == len(values) == len(shares) <= _MOST:
                return cls(column, tuple(values), tuple(shares))
        raise ValueError(f"an outcome cannot be {shown(dict(contents))}")


NO_OUTCOME = OutcomeClasses("", (), ())


def _kind_of(clicks: pl.LazyFrame, column: str) -> type:
    """Return the type of a column's classes. Raise DataError for a column that has none."""
    schema = clicks.collect_schema()
    if column in (SESSION_ID, ITEM_ID, TIMESTAMP):
        raise DataError(f"{column} is no outcome; name another column", mend_with=["outcome"])
    if column not in schema:
        raise DataError(
            f"the click log lacks the column {column!r}, the outcome of its sessions; name the "
            "column with outcome, or leave it out",
            mend_with=["outcome"],
        )
    dtype = schema[column]
    if dtype == pl.Boolean:
        return bool
    if dtype.is_numeric():
        return int
    if dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return str
    raise DataError(
        f"the column {column!r} is of type {dtype}, and an outcome is a truth value, a whole "
        "number or a text; name another column",
        mend_with=["outcome"],
    )


def _value_of(text: str, kind: type, column: str) -> Any:
    if kind is bool:
        return text == "true"
    if kind is int:
        if not pl.Series([text]).str.contains(_WHOLE).item():
            raise DataError(
                f"the outcome {column!r} has the value {text}, no whole number; give classes",
                mend_with=["outcome"],
            )
        return int(text)
    return text


def _by_session(clicks: pl.LazyFrame, column: str) -> pl.DataFrame:
    """Return the one outcome of each session, as text. Raise DataError if one has two."""
    text = plain_text(column)
    ends = clicks.group_by(SESSION_ID).agg(text.min().alias(_LEAST), text.max().alias(_LARGEST))
    outcomes = ends.collect(engine="streaming")
    two = outcomes.filter(pl.col(_LEAST) != pl.col(_LARGEST))
    if two.height:
        session, least, largest = two.sort(SESSION_ID).row(0)
        raise DataError(
            f"session {shown(session)} has two outcomes, {column} {shown(least)} and "
            f"{shown(largest)}; give all rows of a session the same, or null"
        )
    return outcomes.select(SESSION_ID, pl.col(_LEAST).alias(_TEXT))
