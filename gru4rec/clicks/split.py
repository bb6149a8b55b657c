"""Split click logs by the time of their sessions, without a leak from later to earlier."""

import logging
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from gru4rec.clicks.reading import ClickSource, read_clicks
from gru4rec.errors import DataError
from gru4rec.schema import SESSION_ID, TIMESTAMP

logger = logging.getLogger(__name__)

PARTS = ("train", "valid", "test")
"""The parts of a log, the earliest first."""
START, END = "start", "end"
"""First and last time of a session, or first and last row where there are no times."""

_ROW = "_row"
_CENTURY = 100 * 365 * 86400.0  # seconds; longer than any log
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AMOUNT = re.compile(r"\d+(\.\d+)?[%smhdw]")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?")


@dataclass(frozen=True)
class Cut:
    """Where a log is cut, and which of its sessions lie where."""

    at: Any
    """The first time, or row, of the last part."""
    last: pl.Series
    """Whether each session is in the last part."""
    across: pl.Series
    """Whether each session is in neither part, because it runs across the cut."""


def split_by_time(
    clicks: ClickSource, *, valid: str = "1d", test: str = "1d"
) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
    """Cut a log into (train, valid, test): test is its last sessions, valid the last of the rest.

    `valid` and `test` are as the `part` of `split_last`, and both are cut by its rule. Raise
    DataError where that does.
    """
    rows, sessions, timed = _spans(clicks)
    parts = assign_parts(sessions, valid, test, timed=timed)[0]
    train, valid_rows, test_rows = (
        _rows_of(rows, sessions.filter((parts == name).fill_null(False))) for name in PARTS
    )
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
    rows, sessions, timed = _spans(clicks)
    cut = cut_last(sessions, part, timed=timed)
    rest = sessions.filter(~cut.last & ~cut.across)
    return _rows_of(rows, rest), _rows_of(rows, sessions.filter(cut.last))


def assign_parts(
    sessions: pl.DataFrame,
    valid: str | None,
    test: str | None,
    *,
    timed: bool = True,
    by: str = START,
) -> tuple[pl.Series, dict[str, Cut]]:
    """Return (the part of each session, null for none; the cut of each part, by its name).

    `sessions` has a row per session, with its `START` and `END`. `test` is cut off first, `valid`
    from what is before it; with None there is no such part. `timed` and `by` are as in `cut_last`.
    """
    part = pl.Series("part", ["train"]).new_from_index(0, len(sessions))
    cuts = {}
    for name, asked in (("test", test), ("valid", valid)):
        if asked is None:
            continue
        rest = (part == "train").fill_null(False)
        cut = cuts[name] = cut_last(sessions.filter(rest), asked, timed=timed, by=by)
        cut_parts = pl.select(
            pl.when(cut.last).then(pl.lit(name)).when(~cut.across).then(pl.lit("train"))
        ).to_series()
        part = part.scatter(rest.arg_true(), cut_parts)
    return part, cuts


def cut_last(sessions: pl.DataFrame, part: str, *, timed: bool = True, by: str = START) -> Cut:
    """Cut the last sessions off, as `split_last` says.

    Without `timed`, start and end are rows, and no session runs across the cut.

    With `by="end"` a session that runs across the cut is in the last part, as in the GRU4Rec
    papers. The last part then reaches back before the cut.
    """
    start, end = sessions[START], sessions[END]
    at = _cut_at(sessions, part, timed)
    last = sessions[by] >= at
    across = (start < at) & (end >= at) & ~last & timed
    after, between = int(last.sum()), int(across.sum())
    if between:
        logger.info("%d sessions run across the cut at %s and are left out", between, at)
    before = len(sessions) - after - between
    if not after or not before:
        most = start.quantile(0.99, "nearest")
        raise DataError(
            f"cutting off {part!r} leaves {before} sessions before and {after} after the cut at "
            f"{at}, and 99% of them start by {most}; ask for another part: a share, a moment"
        )
    return Cut(at, last, across)


def is_part(text: str) -> bool:
    """Whether `text` asks for a part of a log, as `split_last` takes it; else it names a file."""
    return bool(_AMOUNT.fullmatch(text) or _MOMENT.fullmatch(text))


def seconds_of(duration: str) -> float:
    """Return the seconds of "30m", "6h", "1d", "2w", a century at most.

    Raise DataError for anything else.
    """
    if _AMOUNT.fullmatch(duration) and duration[-1] in _SECONDS and float(duration[:-1]) > 0:
        return min(float(duration[:-1]) * _SECONDS[duration[-1]], _CENTURY)
    raise DataError(f"cannot read {duration!r} as a duration; give one such as 30m, 6h or 1d")


def _cut_at(sessions: pl.DataFrame, part: str, timed: bool) -> Any:
    """Return the first time, or row, of the last part."""
    if part.endswith("%") and is_part(part) and 0 < float(part[:-1]) < 100:
        newest = sessions[START].sort()
        return newest[len(newest) - max(1, round(float(part[:-1]) / 100 * len(newest)))]
    if _MOMENT.fullmatch(part) or (_AMOUNT.fullmatch(part) and part[-1] in _SECONDS):
        if not timed:
            raise DataError(
                f"{part!r} needs times and the click log has none; give a share such as 10%"
            )
        try:
            if _MOMENT.fullmatch(part):
                return datetime.fromisoformat(part)
            latest: Any = sessions[END].max()
            return latest - timedelta(seconds=seconds_of(part))
        except (ValueError, DataError):
            pass
    raise DataError(
        f"cannot read {part!r} as a part; give a duration such as 1d or 6h, a moment such as "
        "2014-09-30, or a share such as 10%"
    )


def _spans(clicks: ClickSource) -> tuple[pl.LazyFrame, pl.DataFrame, bool]:
    """Return (numbered rows, start and end of each session, whether these are times)."""
    rows = read_clicks(clicks, also=None).with_row_index(_ROW)
    timed = TIMESTAMP in rows.collect_schema()
    clock = pl.col(TIMESTAMP if timed else _ROW)
    spans = rows.group_by(SESSION_ID).agg(clock.min().alias(START), clock.max().alias(END))
    return rows, spans.collect(engine="streaming"), timed


def _rows_of(rows: pl.LazyFrame, sessions: pl.DataFrame) -> pl.LazyFrame:
    """Return the rows of `sessions`, in their order."""
    ids = sessions.lazy().select(SESSION_ID)
    return rows.join(ids, on=SESSION_ID, how="semi").sort(_ROW).drop(_ROW)
