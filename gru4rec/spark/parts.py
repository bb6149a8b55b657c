"""Split kept clicks into parts on Spark, and count what the card says of them."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import polars as pl

from gru4rec.clicks import PARTS, Cut, is_first
from gru4rec.preparation import (
    Card,
    keep_items,
    measured_line,
    share,
    transitions,
)
from gru4rec.schema import ITEM_ID, SESSION_ID
from gru4rec.spark.made_sessions import LENGTH, NTH, OURS, REVISITS, STARTS, summed
from gru4rec.spark.pieces import as_bytes, local, mapped, of_bytes
from gru4rec.spark.spans import column_of, number_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

PART = "__gru4rec_part"
"""The part of a click; null for none."""

_CLICKS, _TARGETS, _SESSIONS, _COUNT = "clicks", "targets", "sessions", "count"


def assign_parts(kept: "DataFrame", cuts: Mapping[str, Cut]) -> "DataFrame":
    """Give each click its part; as `clicks.part_of`, by columns of Spark."""
    from pyspark.sql import functions as F

    part: Any = F.lit("train")
    for name, cut in reversed(list(cuts.items())):
        at, last, rest = number_of(cut.at), column_of(cut.last_by), column_of(cut.rest_by)
        part = F.when(last >= at, F.lit(name)).when(rest < at, part)
    return kept.withColumn(PART, part)


def written(parts: "DataFrame", name: str) -> "DataFrame":
    """Return a part as it is written: its sessions by start, equal ones by id, each in order."""
    return _part(parts, name).orderBy(STARTS, SESSION_ID, NTH).drop(PART, *OURS)


class Counts:
    """What there is of each item in each part: as many rows as items, on the driver."""

    def __init__(self, parts: "DataFrame", schema: pl.Schema) -> None:
        """Count clicks with their part; they are of that schema."""
        from pyspark.sql import functions as F

        self._parts, self._schema = parts, schema
        targets = F.sum((F.col(NTH) > 0).cast("bigint")).alias(_TARGETS)
        clicks = F.count(F.lit(1)).alias(_CLICKS)
        again = F.sum(REVISITS).alias(REVISITS)
        counts = local(parts.groupBy(PART, ITEM_ID).agg(clicks, targets, again))
        self._counts = counts
        self.revisits = int(counts[REVISITS].sum())
        """Clicks on an item that the session had clicked before."""
        self.names = [name for name in PARTS if name in counts[PART]]
        """The parts that have clicks."""

    def items(self, *names: str) -> pl.DataFrame:
        """Return item_id, clicks and targets of the items of parts; without a name, of all."""
        counts = self._counts.filter(pl.col(PART).is_in(names)) if names else self._counts
        return counts.group_by(ITEM_ID).agg(pl.col(_CLICKS, _TARGETS).sum())

    def line(self, *names: str) -> Card:
        """Count the clicks, sessions and items of parts; without a name, of all."""
        items = self.items(*names)
        clicks = int(items[_CLICKS].sum())
        sessions = clicks - int(items[_TARGETS].sum())
        return {"clicks": clicks, "sessions": sessions, "items": items.height}

    def left_out(self) -> Card:
        """Count the clicks and sessions that are in no part."""
        out = self._counts.filter(pl.col(PART).is_null())
        clicks = int(out[_CLICKS].sum())
        return {"clicks": clicks, "sessions": clicks - int(out[_TARGETS].sum())}

    def part_line(self, name: str) -> Card:
        """Count a part and, by the items of train, what can be measured in it."""
        if name == "train":
            return self.line(name)
        items, known = self.items(name), self.items("train").select(ITEM_ID)
        missed = items.join(known, on=ITEM_ID, how="anti")[_TARGETS].sum()
        long = self.measured(name, known)
        return self.line(name) | measured_line(int(missed), int(items[_TARGETS].sum()), long)

    def measured(self, name: str, known: pl.DataFrame) -> Card:
        """Count the clicks on known items in the sessions of a part that have two of them."""
        clicks = _part(self._parts, name).select(SESSION_ID, ITEM_ID)
        schema = pl.Schema(
            {ITEM_ID: self._schema[ITEM_ID], _CLICKS: pl.Int64(), _SESSIONS: pl.Int64()}
        )
        work = partial(_measured, as_bytes(known))
        long = summed(mapped(clicks, work, schema, whole=SESSION_ID), ITEM_ID)
        return {
            _CLICKS: int(long[_CLICKS].sum()),
            _SESSIONS: int(long[_SESSIONS].sum()),
            "items": long.height,
        }

    def papers_count(self) -> tuple[Card, Card]:
        """Count as `preparation.papers_count` does."""
        learned = ("train", "valid")
        if "test" not in self.names:
            return self.line(*learned), {}
        return self.line(*learned), self.measured("test", self.items(*learned).select(ITEM_ID))

    def session_clicks(self) -> pl.DataFrame:
        """Return how many sessions have so many clicks, as `preparation.counted` does."""
        from pyspark.sql import functions as F

        heads = self._parts.where(F.col(NTH) == 0)
        return local(heads.groupBy(F.col(LENGTH).alias("value")).count())

    def order_share(self) -> float | None:
        """Return the share of transitions of train that go to the most frequent follower."""
        from pyspark.sql import functions as F

        item = self._schema[ITEM_ID]
        pairs = pl.Schema({"a": item, "b": item, _COUNT: pl.Int64()})
        clicks = _part(self._parts, "train").select(SESSION_ID, ITEM_ID)
        found = mapped(clicks, _transitions, pairs, whole=SESSION_ID)
        sums = found.groupBy("a", "b").agg(F.sum(_COUNT).alias(_COUNT))
        best = sums.groupBy("a").agg(F.max(_COUNT).alias("best"), F.sum(_COUNT).alias(_COUNT))
        most, count = local(best.agg(F.sum("best"), F.sum(_COUNT))).row(0)
        return share(most or 0, count or 0)


def _part(parts: "DataFrame", name: str) -> "DataFrame":
    from pyspark.sql import functions as F

    return parts.where(F.col(PART) == name)


def _measured(known: bytes, piece: pl.DataFrame) -> pl.DataFrame:
    kept = keep_items(piece.lazy(), of_bytes(known), 2)
    heads = kept.select(ITEM_ID, is_first.cast(pl.Int64).alias(_SESSIONS))
    counts = heads.group_by(ITEM_ID).agg(pl.len().alias(_CLICKS), pl.col(_SESSIONS).sum())
    return counts.collect()


def _transitions(piece: pl.DataFrame) -> pl.DataFrame:
    return transitions(piece.lazy()).group_by("a", "b").agg(pl.len().alias(_COUNT)).collect()
