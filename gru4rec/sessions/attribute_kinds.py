"""Ways to read a column of a table of items: shared values, parts of a range, vectors."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float32Array, Float64Array, IntArray
from gru4rec.errors import DataError
from gru4rec.untrusted import shown

_MOST_VALUES = 100_000
_PARTS = 10

# N items, L components of a vector


class AttributeKind(ABC):
    """What is read of a column; a kind makes codes of it, or numbers."""

    @classmethod
    @abstractmethod
    def of(cls, column: pl.Series) -> Self | None:
        """Decide what is read; None if the column is of another kind, or nothing can be."""

    @property
    def num_codes(self) -> int:
        """Codes besides 0, which stands for nothing known."""
        return 0

    @property
    def num_numbers(self) -> int:
        """Numbers of each item."""
        return 0

    def codes(self, column: pl.Series) -> IntArray:
        """Return the code of each item [N]. Raise DataError for a column of another kind."""
        return np.zeros(len(column), dtype=np.int64)

    def numbers(self, column: pl.Series) -> Float32Array:
        """Return the numbers of each item [N, L], 0 where nothing is known.

        Raise DataError for a column of another kind.
        """
        return np.zeros((len(column), 0), dtype=np.float32)


@dataclass(frozen=True)
class Values(AttributeKind):
    """Texts, truth values and whole numbers, as far as two items or more share them.

    What one item has alone would stand for that item alone, and say nothing of others.
    """

    values: Sequence[str]
    """As text, by falling count."""

    @classmethod
    def of(cls, column: pl.Series) -> Self | None:
        """See `AttributeKind.of`."""
        dtype = column.dtype
        if not (dtype.is_integer() or dtype in (pl.String, pl.Boolean, pl.Categorical, pl.Enum)):
            return None
        counts = column.cast(pl.String).drop_nulls().rename("value").value_counts(name="count")
        shared = counts.filter(pl.col("count") > 1).sort("count", "value", descending=[True, False])
        values = shared["value"].head(_MOST_VALUES).to_list()
        return cls(values) if values else None

    @property
    def num_codes(self) -> int:
        """See `AttributeKind.num_codes`."""
        return len(self.values)

    def codes(self, column: pl.Series) -> IntArray:
        """See `AttributeKind.codes`."""
        if _is_of_no_kind(column):
            raise _of_another_kind(column)
        known, text = pl.Series(self.values, dtype=pl.String), _as_text(column)
        places = pl.int_range(1, len(known) + 1, eager=True)
        codes = text.replace_strict(known, places, default=0, return_dtype=pl.Int64)
        return codes.fill_null(0).to_numpy()


@dataclass(frozen=True)
class Parts(AttributeKind):
    """Numbers and times, in ten parts with as many items each; fewer where many are equal."""

    cuts: Sequence[float]
    """Bounds between the parts, rising; a number on one belongs above it."""

    @classmethod
    def of(cls, column: pl.Series) -> Self | None:
        """See `AttributeKind.of`."""
        if not (column.dtype.is_numeric() or column.dtype.is_temporal()):
            return None
        known = _as_numbers(column).drop_nulls().to_numpy()
        if not len(known):
            return None
        cuts = np.unique(np.quantile(known, np.arange(1, _PARTS) / _PARTS, method="higher"))
        cuts = cuts[cuts > known.min()]
        return cls(cuts.tolist()) if len(cuts) else None

    @property
    def num_codes(self) -> int:
        """See `AttributeKind.num_codes`."""
        return len(self.cuts) + 1

    def codes(self, column: pl.Series) -> IntArray:
        """See `AttributeKind.codes`."""
        if _is_of_no_kind(column):
            raise _of_another_kind(column)
        numbers = _as_numbers(column)
        parts = np.searchsorted(self.cuts, numbers.fill_null(0.0).to_numpy(), side="right")
        return np.where(numbers.is_null().to_numpy(), 0, 1 + parts)


@dataclass(frozen=True)
class Vectors(AttributeKind):
    """Lists of numbers of one length, such as embeddings of a text."""

    means: Sequence[float]
    """Of each component; it is subtracted."""
    scale: float
    """What the rest is multiplied with, so that its mean length is 1."""

    @classmethod
    def of(cls, column: pl.Series) -> Self | None:
        """See `AttributeKind.of`. Raise DataError for lists of other lengths, or not of numbers."""
        if not _is_of_vectors(column) or column.drop_nulls().is_empty():
            return None
        vectors = _matrix(column.drop_nulls())
        means = vectors.mean(0)
        length = float(np.linalg.norm(vectors - means, axis=1).mean())
        return cls(means.tolist(), 1 / length) if length else None

    @property
    def num_numbers(self) -> int:
        """See `AttributeKind.num_numbers`."""
        return len(self.means)

    def numbers(self, column: pl.Series) -> Float32Array:
        """See `AttributeKind.numbers`. Raise DataError as `of`, and for another length."""
        scaled = np.zeros((len(column), len(self.means)), dtype=np.float32)
        there = column.is_not_null().to_numpy()
        if there.any():
            if not _is_of_vectors(column):
                raise _of_another_kind(column)
            vectors = _matrix(column.drop_nulls(), len(self.means))
            with np.errstate(over="ignore"):
                scaled[there] = (vectors - np.asarray(self.means)) * self.scale
            if not np.isfinite(scaled).all():
                raise DataError(
                    f"a list of the attribute {column.name!r} has a number beyond those of "
                    "float32; check the table",
                    mend_with=["item_features"],
                )
        return scaled


KINDS: Mapping[str, type[AttributeKind]] = {"values": Values, "parts": Parts, "vectors": Vectors}
"""All ways; of a column of whole numbers two serve."""


def _is_of_no_kind(column: pl.Series) -> bool:
    return column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object)


def _as_text(column: pl.Series) -> pl.Series:
    """Return values as text; a whole number that came as a float is the same as an integer."""
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        is_whole = (whole.cast(pl.Float64) == column.cast(pl.Float64)).fill_null(False)
        return whole.cast(pl.String).set(~is_whole, None)
    return column.cast(pl.String)


def _is_of_vectors(column: pl.Series) -> bool:
    inner = getattr(column.dtype, "inner", None)
    return isinstance(inner, pl.DataType) and inner.is_numeric()


def _as_numbers(column: pl.Series) -> pl.Series:
    """Return numbers as Float64, null for those that are none; of times, since their epoch."""
    if column.dtype.is_temporal():
        column = column.cast(pl.Int64) if column.dtype == pl.Time else _since_epoch(column)
    numbers = column.cast(pl.Float64, strict=False)
    return pl.select(pl.when(numbers.is_finite()).then(numbers)).to_series()


def _since_epoch(column: pl.Series) -> pl.Series:
    """Return times as milliseconds, whatever unit they come in."""
    if column.dtype == pl.Duration:
        return column.dt.total_milliseconds()
    return column.cast(pl.Datetime("ms")).cast(pl.Int64)


def _matrix(lists: pl.Series, size: int | None = None) -> Float64Array:
    """Return lists as rows. Raise DataError unless all have one length and finite numbers."""
    rows = lists.cast(pl.List(pl.Float64))
    lengths = rows.list.len().unique().sort().to_list()
    if len(lengths) > 1 or lengths == [0] or (size is not None and lengths != [size]):
        needed = "of one length" if size is None else f"of {size}, as when the model learned"
        raise DataError(
            f"the lists of the attribute {lists.name!r} have {shown(lengths)} numbers; give lists "
            f"{needed}",
            mend_with=["item_features"],
        )
    matrix = np.asarray(rows.explode().fill_null(np.nan).to_numpy()).reshape(len(rows), -1)
    if not np.isfinite(matrix).all():
        raise DataError(
            f"a list of the attribute {lists.name!r} has what is no number; give null in place of "
            "a list that is not known",
            mend_with=["item_features"],
        )
    return matrix


def _of_another_kind(column: pl.Series) -> DataError:
    return DataError(
        f"the attribute {column.name!r} is of type {column.dtype}, another than when the model "
        "learned; give it as it was then",
        mend_with=["item_features"],
    )
