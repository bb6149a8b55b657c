"""Small logs, and what each rule of a recipe leaves of them; any engine prepares them alike."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import strategies as st

START = datetime(2020, 1, 6)

Values = dict[str, Any]


def visits(text: str, *, step: float = 1, **columns: list[object]) -> pl.DataFrame:
    """Sessions one after the other, "a:xyx b:zz", and a click every `step` minutes."""
    halves = [one.split(":") for one in text.split()]
    rows = [(session, item) for session, items in halves for item in items]
    return pl.DataFrame(
        {
            "session_id": [session for session, _ in rows],
            "item_id": [item for _, item in rows],
            "timestamp": [START + timedelta(minutes=step * row) for row in range(len(rows))],
            **columns,
        }
    )


CHAIN = visits("s:ab t:bc u:cd v:de w:de")
KINDS = visits("a:xyz b:zx", kind=list("vbvvb"), other=list("bbbvv"))
PAUSE = visits("a:xyz b:zx").with_columns(
    timestamp=pl.Series([START + timedelta(minutes=minute) for minute in (0, 30, 61, 70, 71)])
)
EFFECTS: dict[str, tuple[pl.DataFrame, Values, str, Values, str]] = {
    # setting: (log, rules, what they leave, further rules, what is left then)
    "where": (CHAIN, {}, "s:ab t:bc u:cd v:de w:de", {"where": "item_id > 'c'"}, "u:d v:de w:de"),
    "event_col": (
        KINDS, {"event_col": "kind", "events": ["v"]}, "a:xz b:z",
        {"event_col": "other"}, "b:zx",
    ),
    "events": (
        KINDS, {"event_col": "kind", "events": ["v"]}, "a:xz b:z",
        {"events": ["b", "v"]}, "a:xyz b:zx",
    ),
    "drop_doubles": (
        visits("a:xxyx", step=0), {}, "a:xxyx", {"drop_doubles": True}, "a:xy"
    ),
    "gap": (PAUSE, {}, "a:xyz b:zx", {"gap": "30m"}, "a-1:xy a-2:z b-1:zx"),
    "gap_before_events": (
        visits("a:xyz", step=20, kind=list("vbv")),
        {"event_col": "kind", "events": ["v"], "gap": "30m"}, "a-1:x a-2:z",
        {"gap_before_events": True}, "a-1:xz",
    ),
    "drop_repeats": (
        visits("a:xxyx b:xzz"), {}, "a:xxyx b:xzz", {"drop_repeats": True}, "a:xyx b:xz"
    ),
    "max_session_clicks": (KINDS, {}, "a:xyz b:zx", {"max_session_clicks": 2}, "a:xy b:zx"),
    "long_sessions": (
        KINDS, {"max_session_clicks": 2}, "a:xy b:zx", {"long_sessions": "newest"}, "a:yz b:zx"
    ),
    "min_item_clicks": (
        CHAIN, {}, "s:ab t:bc u:cd v:de w:de", {"min_item_clicks": 3}, "u:d v:d w:d"
    ),
    "min_session_clicks": (KINDS, {}, "a:xyz b:zx", {"min_session_clicks": 3}, "a:xyz"),
    "filter_rounds": (
        CHAIN, {"min_item_clicks": 2, "min_session_clicks": 2}, "v:de w:de",
        {"filter_rounds": 1}, "t:bc u:cd v:de w:de",
    ),
}  # fmt: skip


def logs(column: str) -> st.SearchStrategy[pl.DataFrame]:
    """Logs of (session or user, item, time); times are Datetimes or seconds since 1970."""
    row = st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 1500))
    rows = st.lists(row, min_size=8, max_size=25)
    return st.builds(_log, st.just(column), rows, st.sampled_from([20, 600]), st.booleans())


def _log(column: str, rows: list[tuple[int, int, int]], pace: int, seconds: bool) -> pl.DataFrame:
    log = pl.DataFrame(
        {
            column: [owner for owner, _, _ in rows],
            "item_id": [f"i{item}" for _, item, _ in rows],
            "timestamp": [
                START + timedelta(minutes=(500 * owner + minute) * pace / 600)
                for owner, _, minute in rows
            ],
        }
    )
    return log.with_columns(pl.col("timestamp").dt.epoch("s")) if seconds else log


SOME_SPLIT = st.fixed_dictionaries(
    {
        "split.valid": st.sampled_from(["none", "2h", "1d", "34%", "2020-01-07"]),
        "split.test": st.sampled_from(["none", "1h", "1d", "34%", "2020-01-08"]),
    }
)
