"""Texts that stand for a missing value in logs that were exported by hand."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

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


def look_for_markers(names: Sequence[str]) -> Iterator[pl.Expr]:
    """Ask of columns of text how many values look like a missing one, and which is the first."""
    for name in names:
        is_marker = pl.col(name).is_in(MARKERS)
        yield is_marker.sum().alias(f"number {name}")
        yield pl.col(name).filter(is_marker).first().alias(f"marker {name}")


def warn_of_markers(names: Sequence[str], answers: Mapping[str, Any]) -> None:
    """Log the values that look like a missing one, by what `look_for_markers` was told."""
    for name in names:
        if count := answers[f"number {name}"]:
            logger.warning(
                "%s is %r or the like in %d rows, which is taken as an id; if it stands for a "
                "missing value, say so with null",
                name, answers[f"marker {name}"], count,
            )  # fmt: skip
