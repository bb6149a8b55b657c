"""Ask the sessions of a frame of Spark when they start and end, as cutting a log does."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from gru4rec.clicks import END, START, FrameSpans, Spans
from gru4rec.spark.made_sessions import ENDS, NTH, STARTS
from gru4rec.spark.pieces import local

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_EPOCH, _MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)
_BUCKETS = 4096  # into which starts are counted at a time
_FEW = 200_000  # sessions that the driver has itself


class SparkSpans:
    """The spans of sessions in a frame of Spark; see `clicks.Spans`."""

    def __init__(self, sessions: "DataFrame", shown: Callable[[Any], str], *, timed: bool) -> None:
        """Take a row per session, with `STARTS` and `ENDS`, and how these are shown."""
        self._sessions, self.shown, self.timed = sessions, shown, timed
        self._count: int | None = None

    def count(self) -> int:
        """See `Spans`."""
        if self._count is None:
            self._count = int(self._sessions.count())
        return self._count

    def before(self, column: str, at: Any) -> "SparkSpans":
        """See `Spans`."""
        rows = self._sessions.where(column_of(column) < number_of(at))
        return SparkSpans(rows, self.shown, timed=self.timed)

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
        starts = local(here.select(STARTS)).to_series().sort() if low < high else [low] * (n + 1)
        return self._time(int(starts[n]))

    def latest_end(self) -> Any:
        """See `Spans`."""
        from pyspark.sql import functions as F

        return self._time(local(self._sessions.select(F.max(ENDS))).item())

    def _time(self, number: int) -> Any:
        return _EPOCH + number * _MICROSECOND if self.timed else number


def spans_of(kept: "DataFrame", shown: Callable[[Any], str], *, timed: bool) -> Spans:
    """Return the spans of the sessions of kept clicks, on the driver where there are few."""
    from pyspark.sql import functions as F

    sessions = kept.where(F.col(NTH) == 0).select(STARTS, ENDS)
    spans = SparkSpans(sessions, shown, timed=timed)
    if spans.count() > _FEW:
        return spans
    dtype = pl.Datetime("us") if timed else pl.Int64()
    here = local(sessions).rename({STARTS: START, ENDS: END}).cast(dtype)
    return FrameSpans(here, shown)


def column_of(column: str) -> "Column":
    """Return the column that holds `START` or `END`."""
    from pyspark.sql import functions as F

    return F.col(STARTS if column == START else ENDS)


def number_of(at: Any) -> int:
    """Return a time, or a row, as `STARTS` and `ENDS` hold it."""
    return (at - _EPOCH) // _MICROSECOND if isinstance(at, datetime) else int(at)
