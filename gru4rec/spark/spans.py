"""Ask the sessions of a frame of Spark when they start and end, as cutting a log does."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gru4rec.clicks import START
from gru4rec.spark.made_sessions import ENDS, NTH, STARTS
from gru4rec.spark.pieces import local

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_EPOCH, _MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)
_BUCKETS = 4096  # into which starts are counted at a time
_FEW = 200_000  # starts that the driver sorts


class SparkSpans:
    """The spans of the sessions of kept clicks; see `clicks.Spans`."""

    def __init__(
        self, sessions: "DataFrame", *, timed: bool, row_number: Callable[[int], int]
    ) -> None:
        """Take a row per session, with `STARTS` and `ENDS`.

        Where these are rows, `row_number` gives one its number among the valid ones.
        """
        self.timed = timed
        self._sessions, self._row_number = sessions, row_number
        self._count: int | None = None

    def count(self) -> int:
        """See `Spans`."""
        if self._count is None:
            self._count = int(self._sessions.count())
        return self._count

    def before(self, column: str, at: Any) -> "SparkSpans":
        """See `Spans`."""
        rows = self._sessions.where(column_of(column) < number_of(at))
        return SparkSpans(rows, timed=self.timed, row_number=self._row_number)

    def nth_start(self, n: int) -> Any:
        """See `Spans`. Spark counts starts in buckets, ever smaller ones, until few are left."""
        from pyspark.sql import functions as F

        low, high = local(self._sessions.select(F.min(STARTS), F.max(STARTS))).row(0)
        here, left = self._sessions, self.count()
        while left > _FEW and low < high:
            width = (high - low) // _BUCKETS + 1
            bucket = F.expr(f"(`{STARTS}` - {low}) div {width}").alias("bucket")
            counts = local(here.groupBy(bucket).count()).sort("bucket")
            up_to = counts["count"].cum_sum()
            row = int(up_to.search_sorted(n, side="right"))
            number, left = counts.row(row)
            n -= int(up_to[row]) - left
            low += number * width
            high = min(high, low + width - 1)
            here = self._sessions.where(F.col(STARTS).between(low, high))
        starts = local(here.select(STARTS)).to_series().sort()
        return self._shown_as(int(starts[n]))

    def latest_end(self) -> Any:
        """See `Spans`."""
        from pyspark.sql import functions as F

        return self._shown_as(local(self._sessions.select(F.max(ENDS))).item())

    def shown(self, at: Any) -> str:
        """See `Spans`."""
        return str(at if self.timed else self._row_number(at))

    def _shown_as(self, number: int) -> Any:
        return _EPOCH + number * _MICROSECOND if self.timed else number


def spans_of(kept: "DataFrame", *, timed: bool, row_number: Callable[[int], int]) -> SparkSpans:
    """Return the spans of the sessions of kept clicks."""
    from pyspark.sql import functions as F

    sessions = kept.where(F.col(NTH) == 0).select(STARTS, ENDS)
    return SparkSpans(sessions, timed=timed, row_number=row_number)


def column_of(column: str) -> "Column":
    """Return the column that holds `START` or `END`."""
    from pyspark.sql import functions as F

    return F.col(STARTS if column == START else ENDS)


def number_of(at: Any) -> int:
    """Return a time, or a row, as `STARTS` and `ENDS` hold it."""
    return (at - _EPOCH) // _MICROSECOND if isinstance(at, datetime) else int(at)
