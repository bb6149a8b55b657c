"""Apply the rules of a recipe on Spark, to pieces of whole sessions or users; count what is left.

The rules are those of `preparation`. Here they are handed to workers, and Spark sums up.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from gru4rec.clicks import END, ROW, START, RawRows, is_first, place
from gru4rec.preparation import (
    CLICKS,
    SUPPORT,
    Rules,
    Tally,
    by_start,
    fixpoint,
    keep_items,
    revisits,
    stages,
    support,
    tallies_of,
    tidy,
    verbs_of,
)
from gru4rec.schema import ITEM_ID, SESSION_ID
from gru4rec.spark.asking import valid_piece
from gru4rec.spark.carried import Carried
from gru4rec.spark.pieces import as_bytes, local, mapped, of_bytes
from gru4rec.spark.raw_log import KEY

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

STARTS, ENDS = f"__gru4rec_{START}", f"__gru4rec_{END}"
"""First and last time of a click's session, in microseconds since 1970, or first and last row."""
LENGTH, NTH, REVISITS = "__gru4rec_length", "__gru4rec_nth", "__gru4rec_revisits"
"""The clicks of a click's session; its place there, from 0; in the first row of a piece, its
revisits, else 0."""
OURS = (STARTS, ENDS, LENGTH, NTH, REVISITS)
"""The columns that are not written."""

_STAGE, _SESSIONS = "__gru4rec_stage", "__gru4rec_sessions"


# Sessions


def make_sessions(
    rows: "DataFrame", how: RawRows, answers: Sequence[bytes], rules: Rules, empty: pl.DataFrame
) -> tuple["DataFrame", pl.Schema]:
    """Apply the rules that look at one session or user at a time; `rows` have these whole.

    Return (the rows, the types of those that `sessions_made` selects). A row that a rule drops is
    still there, with its item, and the number of rules it has passed. `empty` has no rows, and
    their types. Raise DataError for a rule that the log cannot follow.
    """
    work = partial(_make, how, tuple(answers), rules)
    made = work(empty)
    frame = mapped(rows, work, made.schema, whole=KEY)
    return frame, Carried(made.drop(_STAGE, _SESSIONS).schema).schema


def _make(
    how: RawRows, answers: Sequence[bytes], rules: Rules, piece: pl.DataFrame
) -> pl.DataFrame:
    valid = valid_piece(how, answers, piece)
    left = list(stages(verbs_of(rules, valid.schema), valid))
    sessions = [_sessions(clicks) for clicks in left]
    dropped = [
        before.join(after, on=ROW, how="anti").select(ITEM_ID, _stage(passed))
        for passed, (before, after) in enumerate(pairwise(left))
        if before.height > after.height
    ]
    made = pl.concat([left[-1].with_columns(_stage(len(left) - 1)), *dropped], how="diagonal")
    in_first_row = pl.Series(_SESSIONS, [sessions][: made.height], dtype=pl.List(pl.Int64))
    return made.with_columns(in_first_row.extend_constant(None, max(0, made.height - 1)))


def _stage(passed: int) -> pl.Expr:
    return pl.lit(passed, pl.Int16).alias(_STAGE)


def _sessions(clicks: pl.DataFrame) -> int | None:
    """Count the sessions; None while clicks have none."""
    if SESSION_ID not in clicks.columns:
        return None
    return int(clicks.select(is_first.sum()).item())


def count_stages(made: "DataFrame", rules: Rules, schema: pl.Schema) -> list[Tally]:
    """Return a tally of the valid clicks, which are of that schema, and of what each rule left."""
    from pyspark.sql import functions as F

    tallies = tallies_of(rules, verbs_of(rules, schema))[:-1]
    clicks = local(made.groupBy(_STAGE).count())
    highest = made.groupBy(ITEM_ID).agg(F.max(_STAGE).alias(_STAGE))
    items = local(highest.groupBy(_STAGE).count())
    counts = made.where(F.col(_SESSIONS).isNotNull()).select(F.posexplode(_SESSIONS))
    sessions = dict(local(counts.groupBy("pos").agg(F.sum("col"))).rows())
    for passed, tally in enumerate(tallies):
        left = pl.col(_STAGE) >= passed
        tally.clicks = int(clicks.filter(left)["count"].sum())
        tally.items = int(items.filter(left)["count"].sum())
        tally.sessions = sessions.get(passed)
    return tallies


def sessions_made(made: "DataFrame", rules: Rules, schema: pl.Schema) -> "DataFrame":
    """Return the clicks that no rule dropped."""
    from pyspark.sql import functions as F

    last = len(verbs_of(rules, schema))
    return made.where(F.col(_STAGE) == last).drop(_STAGE, _SESSIONS)


# Supports


def supported_items(made: "DataFrame", rules: Rules, schema: pl.Schema) -> pl.DataFrame | None:
    """Return the items with enough clicks in the whole log, None for all.

    Workers count in pieces, Spark sums, and the driver has the items. `made` is of that schema.
    """
    if rules.min_item_clicks == 1:
        return None
    pairs = made.select(SESSION_ID, ITEM_ID)
    found = pl.Schema({ITEM_ID: schema[ITEM_ID], SUPPORT: pl.Int64()})

    def support_of(left: pl.DataFrame | None) -> pl.DataFrame:
        items = None if left is None else as_bytes(left)
        counts = mapped(
            pairs, partial(_support, items, rules.min_session_clicks), found, whole=SESSION_ID
        )
        return summed(counts, ITEM_ID)

    return fixpoint(support_of, rules.min_item_clicks, rounds=rules.filter_rounds)


def summed(counts: "DataFrame", *by: str) -> pl.DataFrame:
    """Sum up, and collect, the columns of counts of rows that are equal in others."""
    from pyspark.sql import functions as F

    numbers = [name for name in counts.columns if name not in by]
    sums = counts.groupBy(*by).agg(*(F.sum(name).alias(name) for name in numbers))
    return local(sums)


def _support(items: bytes | None, least: int, piece: pl.DataFrame) -> pl.DataFrame:
    return support(piece.lazy(), None if items is None else of_bytes(items), least)


# What is kept


def keep_supported(
    made: "DataFrame", items: pl.DataFrame | None, rules: Rules, schema: pl.Schema
) -> "DataFrame":
    """Keep the clicks on `items` in sessions that have enough of them, and say when these are."""
    given = None if items is None else as_bytes(items)
    work = partial(_keep, given, rules.min_session_clicks)
    return mapped(made, work, work(pl.DataFrame(schema=schema)).schema, whole=SESSION_ID)


def _keep(items: bytes | None, least: int, piece: pl.DataFrame) -> pl.DataFrame:
    known = None if items is None else of_bytes(items)
    kept = keep_items(piece.lazy(), known, least).collect()
    again = revisits(kept)
    clicks, spans = by_start(kept)
    session = np.repeat(np.arange(spans.height), spans[CLICKS].to_numpy())
    in_first_row = pl.int_range(pl.len()) == 0
    return tidy(clicks).with_columns(
        spans[START].to_physical().cast(pl.Int64).gather(session).alias(STARTS),
        spans[END].to_physical().cast(pl.Int64).gather(session).alias(ENDS),
        spans[CLICKS].gather(session).alias(LENGTH),
        place.cast(pl.Int64).alias(NTH),
        pl.when(in_first_row).then(again).otherwise(0).cast(pl.Int64).alias(REVISITS),
    )
