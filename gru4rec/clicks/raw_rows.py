"""Turn the raw rows of a log into valid clicks, whether one frame has them or many pieces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from gru4rec.clicks.asking import Ask, ask_frame
from gru4rec.clicks.column_types import with_types
from gru4rec.clicks.columns import Columns, find_columns
from gru4rec.clicks.formats import reason_of
from gru4rec.clicks.ids import with_plain_ids
from gru4rec.clicks.invalid_rows import ROW, checked
from gru4rec.clicks.null_markers import without_markers
from gru4rec.clicks.predicates import predicate_of
from gru4rec.clicks.timestamps import with_offsets_added, with_timestamp
from gru4rec.errors import DataError
from gru4rec.schema import TIMESTAMP


@dataclass(frozen=True, kw_only=True)
class RawRows:
    """How the rows of a log become clicks; see `read_log` for what is not said here."""

    named: Mapping[str, str | None]
    """The columns to look for, by our names: their names in the log, or None."""
    untyped: frozenset[str] = frozenset()
    """Columns that hold text only because their files know no types."""
    where: str | None = None
    """A Polars SQL predicate over the raw columns."""
    drop_invalid: bool = False
    """Drop and count invalid rows instead of refusing the log."""
    null: str | Sequence[str] = ()
    """Texts that stand for missing values."""
    time_offset: str | None = None
    """A column of milliseconds since the first date of the session."""
    other_columns: bool | Sequence[str] = False
    """Whether the rest of the columns comes along, or names of them that do."""
    strict_times: bool = False
    """Whether no time may lie before 1990."""

    def columns(self, rows: pl.LazyFrame) -> Columns:
        """Find the columns of a log. Raise DataError if one is missing."""
        return find_columns(
            rows.drop(ROW, strict=False),
            self.named,
            others=self.other_columns,
            time_offset=self.time_offset,
        )

    def valid(
        self, rows: pl.LazyFrame, *, place: Callable[[int], str], ask: Ask = ask_frame
    ) -> tuple[pl.LazyFrame, int, dict[str, int]]:
        """Return (the valid clicks, the rows that `where` takes, the invalid ones by their fault).

        Rows and clicks have their number in `ROW`; `place` says where the row of a number stands.
        `ask` answers what all rows together tell, of which these may be a piece. Raise DataError,
        or PolarsError for a predicate that the columns cannot follow.
        """
        columns = self.columns(rows)
        clicks = with_plain_ids(columns.renamed(self._taken(rows, columns, ask), row=ROW), ask=ask)
        clicks = with_timestamp(clicks, ask=ask) if TIMESTAMP in self.named else clicks
        clicks = clicks if columns.time_offset is None else with_offsets_added(clicks)
        return checked(
            clicks,
            place=place,
            drop_invalid=self.drop_invalid,
            strict_times=self.strict_times,
            ask=ask,
        )

    def unreadable(self, error: BaseException, damaged: str = "") -> DataError:
        """Make the error that says why a log cannot be read, and in which files that shows."""
        files = f" in {damaged}" if damaged else ""
        asked = "" if self.where is None else f" (where {self.where!r})"
        return DataError(
            f"cannot read the click log{asked}: {reason_of(error)}{files}",
            mend_with=[] if self.where is None else ["where"],
        )

    def _taken(self, rows: pl.LazyFrame, columns: Columns, ask: Ask) -> pl.LazyFrame:
        """Give columns of text their types, and take the rows that `where` asks for."""
        predicate = pl.lit(True) if self.where is None else predicate_of(self.where)
        source = without_markers(rows, self.null)
        asked = self.untyped & {*columns.typed, *predicate.meta.root_names()}
        # In an order that does not depend on the process, as that of a set does.
        untyped = [name for name in rows.collect_schema() if name in asked]
        typed = with_types(columns.as_read(source), untyped, columns.ids, ask=ask)
        # Here a name that the log lacks is refused, and the message lists no column of ours.
        typed.drop(ROW).filter(predicate).collect_schema()
        return typed.filter(predicate)
