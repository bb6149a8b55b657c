"""Texts that stand for a missing value in logs that were exported by hand."""

import logging
from collections.abc import Mapping, Sequence

import polars as pl

from gru4rec.clicks.asking import Ask, facts_of
from gru4rec.errors import DataError

logger = logging.getLogger(__name__)

MARKERS = ("\\N", "NULL", "NaN", "None", "null")
"""What databases, Python and Spark write for nothing."""


def without_markers(rows: pl.LazyFrame, null: str | Sequence[str]) -> pl.LazyFrame:
    """Make the texts `null` null, in every column of text.

    Raise DataError if these are no texts.
    """
    texts = [null] if isinstance(null, str) else list(null)
    if not all(isinstance(text, str) for text in texts):
        raise DataError(f"null takes texts that stand for nothing, got {texts!r}")
    if not texts:
        return rows
    text = pl.col(pl.String)
    return rows.with_columns(pl.when(~text.is_in(texts)).then(text))


def look_for_markers(names: Sequence[str]) -> dict[str, pl.Expr]:
    """Count in columns of text, by their names, the values that look like a missing one."""
    return {name: _markers(name).len() for name in names}


def warn_of_markers(clicks: pl.LazyFrame, counts: Mapping[str, int], ask: Ask) -> None:
    """Log the values that look like a missing one, by their number in each column."""
    for name, count in counts.items():
        if count:
            text = facts_of(clicks, {name: (_markers(name).first(), "first")}, ask)[name]
            logger.warning(
                "%s is %r or the like in %d rows, which is taken as an id; if it stands for a "
                "missing value, say so with null",
                name, text, count,
            )  # fmt: skip


def _markers(name: str) -> pl.Expr:
    """Select the values that look like a missing one; few are as short, so that is asked first."""
    short = pl.col(name).filter(pl.col(name).str.len_bytes() <= max(map(len, MARKERS)))
    return short.filter(short.is_in(MARKERS))
