"""Find the rows of a click log that cannot be meant; refuse them, or drop and count them."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from gru4rec.clicks.asking import Ask, facts_of
from gru4rec.clicks.formats import DAMAGE, NO_TEXT
from gru4rec.clicks.ids import IDS
from gru4rec.clicks.null_markers import look_for_markers, warn_of_markers
from gru4rec.clicks.timestamps import EARLIEST, LATEST, RAW_TIME, earliest_meant
from gru4rec.errors import DataError
from gru4rec.schema import TIMESTAMP

logger = logging.getLogger(__name__)

ROW = "__gru4rec_row"
"""The number of a row in its log, from 1; no log has a column of this name."""

_TOTAL, _FAULTY = "total", "faulty"


def checked(
    clicks: pl.LazyFrame,
    *,
    place: Callable[[int], str],
    drop_invalid: bool,
    strict_times: bool,
    ask: Ask,
) -> tuple[pl.LazyFrame, int, dict[str, int]]:
    """Return (the valid rows, the number of all rows, the number of invalid ones by their fault).

    `clicks` have their number in `ROW`, `DAMAGE`, and the columns of `schema`; `place` says where
    the row of a number stands. If every time lies before 1990, the times pass as ticks of a clock,
    unless `strict_times`.

    Raise DataError for an invalid row unless `drop_invalid`, and where no valid one is left.
    """
    faults = _faults(clicks, EARLIEST)
    any_fault = pl.any_horizontal(*faults.values()).any()
    schema = clicks.collect_schema()
    texts = [name for name in IDS if schema.get(name) == pl.String]
    markers = {name: (count, "sum") for name, count in look_for_markers(texts).items()}
    counted = {_TOTAL: (pl.len(), "sum"), _FAULTY: (any_fault, "any")}
    answers = facts_of(clicks, {**counted, **markers}, ask)
    total, is_faulty = answers[_TOTAL], answers[_FAULTY]
    if not total:
        raise DataError("the click log has no rows; check the file and where", mend_with=["where"])
    warn_of_markers(clicks, {name: answers[name] for name in texts}, ask)
    if is_faulty and TIMESTAMP in schema and not strict_times:
        faults = _faults(clicks, earliest_meant(clicks, ask))
    counts = _count(clicks, faults, ask) if is_faulty else []
    if counts and not drop_invalid:
        raise _refusal(counts, total, place)
    if counts:
        dropped = sum(count["rows"] for count in counts)
        logger.warning("dropped %d of %d rows with invalid ids or times", dropped, total)
        if dropped == total:
            raise DataError("every row of the click log is invalid; check the columns")
        clicks = clicks.filter(~pl.any_horizontal(*faults.values()))
    valid = clicks.drop(DAMAGE, RAW_TIME, strict=False)
    return valid, total, {count["fault"]: count["rows"] for count in counts}


def _faults(clicks: pl.LazyFrame, earliest: datetime) -> Mapping[str, pl.Expr]:
    """Return what may be wrong with a row, and which rows have that fault.

    A row counts for the first fault that it has.
    """
    schema = clicks.collect_schema()
    faults = {"damaged lines": pl.col(DAMAGE).is_not_null()}
    for name in IDS:
        if name in schema:
            is_text, column = schema[name] == pl.String, pl.col(name)
            empty = column == "" if is_text else False
            faults[f"null or empty {name}"] = column.is_null() | empty
            if is_text:
                faults[f"{name} that is not UTF-8"] = column.str.contains(NO_TEXT, literal=True)
    if TIMESTAMP in schema:
        faults["null or unreadable times"] = pl.col(TIMESTAMP).is_null()
        years = f"before {EARLIEST.year} or after {LATEST.year} (is their unit mixed or wrong?)"
        faults[f"times {years}"] = ~pl.col(TIMESTAMP).is_between(earliest, LATEST)
    return faults


def _count(clicks: pl.LazyFrame, faults: Mapping[str, pl.Expr], ask: Ask) -> list[dict[str, Any]]:
    """Return a line for each fault that a row has, in the order of `faults`.

    A line has the `fault`, the number of its `rows`, the `ROW` of the first of them, and what that
    row holds in `DAMAGE` and `RAW_TIME`.
    """
    kinds = list(faults)
    kind = pl.coalesce(pl.when(rows).then(number) for number, rows in enumerate(faults.values()))
    shown = [name for name in (DAMAGE, RAW_TIME) if name in clicks.collect_schema()]

    def by_kind(rows: pl.LazyFrame, count: pl.Expr) -> pl.LazyFrame:
        first = pl.col(ROW).min(), pl.col(shown).sort_by(ROW).first()
        return rows.group_by("kind").agg(count.alias("rows"), *first).sort("kind")

    counts = ask(
        clicks.with_columns(kind.alias("kind")).filter(pl.col("kind").is_not_null()),
        lambda piece: by_kind(piece, pl.len()),
        lambda pieces: by_kind(pieces, pl.col("rows").sum()),
    )
    return [{**line, "fault": kinds[line["kind"]]} for line in counts.rows(named=True)]


def _refusal(counts: list[dict[str, Any]], total: int, place: Callable[[int], str]) -> DataError:
    """Make the error that names the first invalid row, and how many share its fault."""
    first = min(counts, key=lambda count: count[ROW])
    return DataError(
        f"click log has {first['fault']} in {first['rows']} of {total} rows, first in "
        f"{place(first[ROW])}{_seen(first)}; mend them, or drop such rows with drop_invalid",
        mend_with=["drop_invalid"],
    )


def _seen(count: Mapping[str, Any]) -> str:
    """Show what the first row of a fault holds, where that tells more than the fault does."""
    fault = count["fault"]
    value = count[DAMAGE] if fault.startswith("damaged") else count.get(RAW_TIME)
    tells = fault.startswith(("damaged", "times", "null or unreadable"))
    return f" ({value})" if tells and value is not None else ""
