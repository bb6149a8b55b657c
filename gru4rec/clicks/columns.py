"""Find the columns that are read of a click log, and give them the names of `schema`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from gru4rec.clicks.formats import DAMAGE
from gru4rec.clicks.timestamps import OFFSET
from gru4rec.errors import DataError
from gru4rec.schema import ALIASES, ARGUMENTS, SESSION_ID, TIMESTAMP

_AS_WRITTEN = "__gru4rec_as_written_"


@dataclass(frozen=True)
class Columns:
    """The columns that are read of a log, by their names in the log."""

    ours: Mapping[str, str]
    """Those that `schema` names, by the names it gives them."""
    others: Sequence[str]
    """Further columns that come along."""
    as_written: bool
    """Whether the others stay as text files write them. Else their type depends on every row."""
    time_offset: str | None
    """A column of milliseconds since the first date of the session."""

    @property
    def ids(self) -> list[str]:
        """The columns of ids."""
        return [name for ours, name in self.ours.items() if ours != TIMESTAMP]

    @property
    def typed(self) -> set[str]:
        """The columns whose text becomes numbers or truth values, if all of it is."""
        others = () if self.as_written else self.others
        return {*self.ours.values(), *filter(None, [self.time_offset]), *others}

    def as_read(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Set the columns that stay as they are written aside, before columns get their types."""
        if not (self.as_written and self.others):
            return rows
        return rows.with_columns(pl.col(self.others).name.prefix(_AS_WRITTEN))

    def renamed(self, rows: pl.LazyFrame, *, row: str) -> pl.LazyFrame:
        """Select the column `row`, `DAMAGE`, ours by our names, `OFFSET` if asked for, the others.

        One of the others that bears a name of ours gets the name `NAME_in_log`.

        Raise DataError if the offset is not a column of numbers.
        """
        schema, prefix = rows.collect_schema(), _AS_WRITTEN if self.as_written else ""
        taken = {*self.ours, SESSION_ID}
        damage = pl.col(DAMAGE) if DAMAGE in schema else pl.lit(None, pl.String)
        offset = [] if self.time_offset is None else [_offset(self.time_offset, schema)]
        return rows.select(
            row,
            damage.alias(DAMAGE),
            *(pl.col(name).alias(ours) for ours, name in self.ours.items()),
            *offset,
            *(
                pl.col(prefix + name).alias(f"{name}_in_log" if name in taken else name)
                for name in self.others
            ),
        )


def find_columns(
    rows: pl.LazyFrame,
    named: Mapping[str, str | None],
    *,
    others: bool | Sequence[str],
    time_offset: str | None,
) -> Columns:
    """Find the columns of a log; `named` and `others` are as `read_log` takes them.

    Raise DataError if a column is missing. Only a time that is not named may be.
    """
    given = [name for name in rows.collect_schema().names() if name != DAMAGE]
    found = {ours: _find(ours, name, given) for ours, name in named.items()}
    ours = {name: column for name, column in found.items() if column is not None}
    rest = [name for name in given if name not in ours.values()]
    chosen = rest if others is True else [name for name in rest if name in (others or ())]
    return Columns(ours, chosen, others is not True, time_offset)


def _find(ours: str, name: str | None, given: Sequence[str]) -> str | None:
    """Return the column that holds `ours`; None for a time that is neither named nor there."""
    wanted = ALIASES[ours] if name is None else (name,)
    for column in wanted:
        if column in given:
            return column
    if name is None and ours == TIMESTAMP:
        return None
    separator = " (is its separator another than , ; | or tab?)" if len(given) == 1 else ""
    raise DataError(
        f"click log lacks {wanted[0]!r}; it has {given}{separator}. Name the column with "
        f"{ARGUMENTS[ours]}.",
        mend_with=[ARGUMENTS[ours]],
    )


def _offset(name: str, schema: pl.Schema) -> pl.Expr:
    """Select the column that is added to times. Raise DataError if it does not hold numbers."""
    dtype = schema.get(name)
    if dtype is None or not dtype.is_numeric():
        raise DataError(
            f"{name!r} is {dtype or 'no column'}; time_offset_col names one of milliseconds",
            mend_with=["time_offset_col"],
        )
    return pl.col(name).alias(OFFSET)
