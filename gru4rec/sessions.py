"""Split click logs by the start of their sessions, without a leak from later to earlier."""

import logging
import re
from datetime import timedelta

import polars as pl

from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.errors import DataError
from gru4rec.schema import SESSION_ID, TIMESTAMP

logger = logging.getLogger(__name__)

_CENTURY = 100 * 365 * 86400.0  # seconds; longer than any log
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def split_by_time(
    clicks: ClickSource, *, valid: str = "1d", test: str = "1d"
) -> tuple[pl.LazyFrame, pl.LazyFrame, pl.LazyFrame]:
    """Cut a log into (train, valid, test): test are its last sessions, valid the last of the rest.

    Parts are asked for as in `split_last`, by which each is cut.
    """
    rest, last = split_last(clicks, test)
    return *split_last(rest, valid), last


def split_last(clicks: ClickSource, part: str) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Cut a log into (rest, last sessions), no session in both and none cut.

    `part` is a duration before the last click ("30m", "6h", "1d", "2w") or a share of the sessions
    ("10%"). A session belongs to the last part if it starts there. One that starts before the cut
    and still runs at the first click after it is in neither, so that all of the rest is older than
    all of the last part; their number is logged. Without times a share counts sessions in the order
    of their first rows.

    Raises DataError for a part that cannot be read, a duration without times, and an empty result.
    """
    clicks = read_clicks(clicks)
    share, seconds = _parse_part(part)
    timed = TIMESTAMP in clicks.collect_schema()
    if not timed and share is None:
        raise DataError(
            f"{part!r} needs times and the click log has none; give a share such as 10%"
        )
    clicks = clicks.with_row_index("_row")
    clock = pl.col(TIMESTAMP if timed else "_row")
    starts = clicks.group_by(SESSION_ID).agg(start=clock.min(), end=clock.max()).collect()
    if share is not None:
        newest = starts["start"].sort()
        cut = newest[len(newest) - max(1, round(share * len(newest)))]
    else:
        latest = starts["end"].max()
        cut = latest - timedelta(seconds=seconds)  # type: ignore[operator]
    later = pl.col("start") >= cut
    across = (pl.col("start") < cut) & (pl.col("end") >= cut) & pl.lit(timed)
    counts = starts.select(last=later.sum(), across=across.sum()).row(0, named=True)
    if counts["across"]:
        logger.info("%d sessions run across the cut at %s and are left out", counts["across"], cut)
    earlier = len(starts) - counts["last"] - counts["across"]
    if not counts["last"] or not earlier:
        raise DataError(
            f"cutting off {part!r} leaves {earlier} sessions before and {counts['last']} after the "
            "cut; ask for another part"
        )
    rest = starts.filter(~later & ~across).select(SESSION_ID)
    last = starts.filter(later).select(SESSION_ID)
    parts = [
        clicks.join(part.lazy(), on=SESSION_ID, how="semi").sort("_row").drop("_row")
        for part in (rest, last)
    ]
    return parts[0], parts[1]


def _parse_part(part: str) -> tuple[float | None, float]:
    """(share, 0) of "10%", (None, seconds) of "1d"."""
    amount = float(part[:-1]) if is_part(part) else 0.0
    if part.endswith("%") and 0 < amount < 100:
        return amount / 100, 0.0
    if amount > 0 and part[-1] in _SECONDS:
        return None, min(amount * _SECONDS[part[-1]], _CENTURY)
    raise DataError(
        f"cannot read {part!r} as a part; give a duration such as 1d or 6h, or a share such as 10%"
    )


def is_part(text: str) -> bool:
    """Whether `text` asks for a part of a log, as `split_last` takes it, or names a file."""
    return re.fullmatch(r"\d+(\.\d+)?[%smhdw]", text) is not None
