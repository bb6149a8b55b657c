"""Find the rows of a click log that cannot be meant; refuse them, or drop and count them."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from gru4rec.clicks.files import DAMAGE, NO_TEXT
from gru4rec.clicks.timestamps import EARLIEST, LATEST, RAW_TIME, earliest_meant
from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP, USER_ID

logger = logging.getLogger(__name__)

ROW = "__gru4rec_row"
"""The number of a row in its log, from 1; no log has a column of this name."""


def checked(
    clicks: pl.LazyFrame, *, place: Callable[[int], str], drop_invalid: bool, strict_times: bool
) -> tuple[pl.LazyFrame, int, dict[str, int]]:
    """(the valid rows, how many rows there were, the invalid ones by what is wrong with them).

    `clicks` have their number in `ROW`, `DAMAGE`, and the columns of `gru4rec.schema`; `place` says
    where the row of a number stands. Where every time lies before 1990, they pass as ticks of a
    clock unless `strict_times`. Raises DataError for an invalid row unless `drop_invalid`, and
    where no valid one is left.
    """
    wrong = _invalid(clicks, EARLIEST)
    anywhere = pl.any_horizontal(*wrong.values()).any()
    total, some = clicks.select(pl.len(), anywhere).collect(engine="streaming").row(0)
    if not total:
        raise DataError("the click log has no rows; check the file and where", mend_with=["where"])
    if some and TIMESTAMP in clicks.collect_schema() and not strict_times:
        wrong = _invalid(clicks, earliest_meant(clicks))
    found = _count(clicks, wrong) if some else []
    if found and not drop_invalid:
        first = min(found, key=lambda row: row[ROW])
        raise DataError(
            f"click log has {first['what']} in {first['rows']} of {total} rows, first in "
            f"{place(first[ROW])}{_seen(first)}; mend them, or drop such rows with "
            "drop_invalid",
            mend_with=["drop_invalid"],
        )
    if found:
        dropped = sum(row["rows"] for row in found)
        logger.warning("dropped %d of %d rows with invalid ids or times", dropped, total)
        if dropped == total:
            raise DataError("every row of the click log is invalid; check the columns")
        clicks = clicks.filter(~pl.any_horizontal(*wrong.values()))
    valid = clicks.drop(ROW, DAMAGE, RAW_TIME, strict=False)
    return valid, total, {row["what"]: row["rows"] for row in found}


def _invalid(clicks: pl.LazyFrame, earliest: datetime) -> Mapping[str, pl.Expr]:
    """What may be wrong with a row, and with which rows it is; the first that holds counts."""
    schema = clicks.collect_schema()
    wrong = {"damaged lines": pl.col(DAMAGE).is_not_null()}
    for name in (SESSION_ID, USER_ID, ITEM_ID):
        if name in schema:
            text = schema[name] == pl.String
            column = pl.col(name)
            empty = column.is_null() | (column == "" if text else False)
            wrong[f"null or empty {name}"] = empty
            if text:
                wrong[f"{name} that is not UTF-8"] = column.str.contains(NO_TEXT, literal=True)
    if TIMESTAMP in schema:
        wrong["null or unreadable times"] = pl.col(TIMESTAMP).is_null()
        years = f"before {EARLIEST.year} or after {LATEST.year} (is their unit mixed or wrong?)"
        wrong[f"times {years}"] = ~pl.col(TIMESTAMP).is_between(earliest, LATEST)
    return wrong


def _count(clicks: pl.LazyFrame, wrong: Mapping[str, pl.Expr]) -> list[dict[str, Any]]:
    """What is wrong with invalid rows: in how many, the first, what it holds; as in `wrong`."""
    kinds = list(wrong)
    which = pl.coalesce(pl.when(rows).then(number) for number, rows in enumerate(wrong.values()))
    names = [name for name in (DAMAGE, RAW_TIME) if name in clicks.collect_schema()]
    counts = (
        clicks.with_columns(which.alias("kind"))
        .filter(pl.col("kind").is_not_null())
        .group_by("kind")
        .agg(pl.len().alias("rows"), pl.col(ROW).min(), pl.col(names).sort_by(ROW).first())
        .sort("kind")
        .collect(engine="streaming")
    )
    return [{**row, "what": kinds[row["kind"]]} for row in counts.rows(named=True)]


def _seen(row: Mapping[str, Any]) -> str:
    """What the first of the invalid rows holds, for the message."""
    value = row[DAMAGE] if row["what"].startswith("damaged") else row.get(RAW_TIME)
    told = row["what"].startswith(("damaged", "times", "null or unreadable"))
    return f" ({value})" if told and value is not None else ""
