"""What the type of a click (view, cart, buy) says of it as a target: its weight, its name."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Self

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float64Array
from gru4rec.config import TrainingConfig
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP
from gru4rec.sessions.plain_text import plain_text, plain_text_of
from gru4rec.untrusted import shown

logger = logging.getLogger(__name__)

_MOST_TYPES = 100
_CODE = "_event"


@dataclass(frozen=True)
class EventTypes:
    """The types of a log's clicks, and what each weighs as a target; code 0 is for all others."""

    column: str = ""
    """The column of the types; "" if there is none to read."""
    types: Sequence[str] = ()
    """Type of each code from 1 on, as text."""
    weights: Sequence[float] = (1.0,)
    """What a target weighs, by its code: with 0 it is read and neither learned nor measured."""
    rewards: Sequence[float] = (0.0,)
    """What a click is worth, by its code."""

    @classmethod
    def of(
        cls,
        clicks: pl.LazyFrame,
        column: str,
        weights: Mapping[str, float],
        targets: Sequence[str],
        rewards: Mapping[str, float] = MappingProxyType({}),
        *,
        strict: bool = True,
    ) -> Self:
        """Read the types of a log, 100 at most, those that are named first.

        A type weighs what `weights` say, else 1; with `targets` all others weigh 0. Log once which
        types weigh 1 unnamed. A click is worth what `rewards` say, else 0.

        Raise DataError if the log lacks the column, or it cannot hold types; with `strict` also if
        the log has no click of a type that is named.
        """
        if not column:
            return cls()
        _check_column(clicks, column)
        texts = clicks.select(plain_text(column).alias("type")).drop_nulls()
        counts = texts.group_by("type").agg(count=pl.len())
        by_count = counts.sort(["count", "type"], descending=[True, False])
        there = by_count.collect()["type"].to_list()
        dtype = clicks.collect_schema()[column]
        weighed = {_as_read(name, dtype): weight for name, weight in weights.items()}
        asked = [_as_read(name, dtype) for name in targets]
        worth = {_as_read(name, dtype): reward for name, reward in rewards.items()}
        named = dict.fromkeys([*weighed, *asked, *worth])
        if len(weighed) < len(weights) or len(worth) < len(rewards):
            raise DataError(
                f"two names of {column!r} are the same type, such as 1 and 1.0; give each type once"
            )
        absent = [name for name in named if name not in there]
        if strict and absent:
            raise DataError(
                f"the column {column!r} has no event of type {absent[0]!r}; its types are "
                f"{', '.join(there[:10])}",
                mend_with=["weight", "target_events"],
            )
        types = [*named, *(name for name in there if name not in named)][:_MOST_TYPES]
        if weighed and not asked and (others := [name for name in there if name not in weighed]):
            logger.info("events of type %s weigh 1: no weight names them", ", ".join(others[:10]))

        def weight_of(name: str | None) -> float:
            return weighed.get(name or "", 1.0) if not asked or name in asked else 0.0

        by_type = [0.0, *(worth.get(name, 0.0) for name in types)]
        return cls(column, types, [weight_of(name) for name in (None, *types)], by_type)

    def __bool__(self) -> bool:
        return bool(self.column)

    @cached_property
    def by_code(self) -> Float64Array:
        """The weights as an array [types + 1]."""
        return np.array(self.weights, dtype=np.float64)

    def encode(self, clicks: pl.LazyFrame) -> pl.LazyFrame:
        """Add the code of each click's type, a column `_event`. Raise DataError without types."""
        _check_column(clicks, self.column)
        codes = {name: code for code, name in enumerate(self.types, start=1)}
        text = plain_text(self.column)
        code = text.replace_strict(codes, default=0, return_dtype=pl.UInt16).fill_null(0)
        return clicks.with_columns(code.alias(_CODE))

    @property
    def code_column(self) -> str:
        """The column that `encode` adds."""
        return _CODE


NO_EVENTS = EventTypes()


def event_types_of(
    clicks: pl.LazyFrame, asked: TrainingConfig, *, strict: bool = True
) -> EventTypes:
    """Return the types of events of a log, as settings ask for them; see `EventTypes.of`."""
    given = asked.event_column, asked.event_weights, asked.target_events, asked.rewards
    return EventTypes.of(clicks, *given, strict=strict)


def _as_read(name: str, dtype: pl.DataType) -> str:
    """Return the name of a type as the text of a column of that type, where it could hold it."""
    if dtype == pl.Boolean:
        return name.lower()
    if dtype.is_numeric():
        number = pl.Series([name]).cast(pl.Float64, strict=False)
        value = number.cast(dtype, strict=False).item()
        is_exact = value is not None and float(value) == number.item()
        return plain_text_of(name, value if is_exact else name) or ""
    return plain_text_of(name, name) or ""


def _check_column(clicks: pl.LazyFrame, column: str) -> None:
    schema = clicks.collect_schema()
    if column in (SESSION_ID, ITEM_ID, TIMESTAMP):
        raise DataError(
            f"{column} is no type of events; name another column", mend_with=["event_col"]
        )
    if column not in schema:
        raise DataError(
            f"the click log lacks the column {shown(column)} of the types of events; name one of "
            f"{', '.join(name for name in schema if not name.startswith('_'))}",
            mend_with=["event_col"],
        )
    dtype = schema[column]
    if dtype.is_nested() or dtype.is_temporal() or dtype in (pl.Binary, pl.Object):
        raise DataError(
            f"the column {column!r} is of type {dtype}, which holds no types of events; name "
            "another one",
            mend_with=["event_col"],
        )
