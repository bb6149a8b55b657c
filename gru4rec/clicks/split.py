"""Split click logs by the time of their sessions, without a leak from later to earlier."""

import polars as pl

from gru4rec.clicks.cuts import END, PARTS, START, FrameSpans, cut_last, cut_parts, part_of
from gru4rec.clicks.reading import ClickSource, read_clicks
from gru4rec.schema import SESSION_ID, TIMESTAMP

_ROW = "_row"


def split_by_time(
    clicks: ClickSource, *, valid: str = "1d", test: str = "1d"
) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
    """Cut a log into (train, valid, test): test is its last sessions, valid the last of the rest.

    `valid` and `test` are as the `part` of `split_last`, and both are cut by its rule. Raise
    DataError where that does.
    """
    rows, sessions = _spans(clicks)
    part = part_of(cut_parts(FrameSpans(sessions), valid, test))
    train, valid_rows, test_rows = (_rows_of(rows, sessions.filter(part == name)) for name in PARTS)
    return train, valid_rows, test_rows


def split_last(clicks: ClickSource, part: str) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Cut a log into (rest, last sessions); no session is in both, and none is cut.

    `part` is a duration before the last click ("30m", "6h", "1d", "2w"), a moment ("2014-09-30",
    "2014-09-30T12:00", UTC) or a share of the sessions ("10%"). Without times a share counts
    sessions in the order of their first rows.

    A session belongs to the last part if it starts at the cut or after it. One that starts before
    the cut and ends at the cut or after it is in neither part, so that all of the rest is older
    than all of the last part. The number of such sessions is logged.

    Raise DataError for a part that cannot be read, a duration or a moment without times, and an
    empty result.
    """
    rows, sessions = _spans(clicks)
    cut = cut_last(FrameSpans(sessions), part)
    return _rows_of(rows, sessions.filter(cut.rest)), _rows_of(rows, sessions.filter(cut.last))


def _spans(clicks: ClickSource) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """Return (numbered rows, start and end of each session)."""
    rows = read_clicks(clicks, also=None).with_row_index(_ROW)
    clock = pl.col(TIMESTAMP if TIMESTAMP in rows.collect_schema() else _ROW)
    spans = rows.group_by(SESSION_ID).agg(clock.min().alias(START), clock.max().alias(END))
    return rows, spans.collect(engine="streaming")


def _rows_of(rows: pl.LazyFrame, sessions: pl.DataFrame) -> pl.LazyFrame:
    """Return the rows of `sessions`, in their order."""
    ids = sessions.lazy().select(SESSION_ID)
    return rows.join(ids, on=SESSION_ID, how="semi").sort(_ROW).drop(_ROW)
