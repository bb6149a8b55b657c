"""Put clicks session after session, and tell which click of its session each is."""

import polars as pl

from gru4rec.schema import SESSION_ID, TIMESTAMP

is_first = (pl.col(SESSION_ID) != pl.col(SESSION_ID).shift(1)).fill_null(True)
"""Whether a click is the first of its session. A window over ids would be slower."""

_ROW = "__gru4rec_order"
_MOST_ROWS = 2**32  # that a frame can have
_row = pl.int_range(pl.len())

place = _row - pl.when(is_first).then(_row).forward_fill()
"""Which click of its session a click is, from 0, where they stand session after session."""


def order_clicks(clicks: pl.LazyFrame) -> pl.LazyFrame:
    """Sort clicks session after session, each in time order, equal times in the order of rows."""
    by = [name for name in (SESSION_ID, TIMESTAMP) if name in clicks.collect_schema()]
    return clicks.sort(by, maintain_order=True)


def first_clicks(clicks: pl.LazyFrame, most: int) -> pl.LazyFrame:
    """Keep the first `most` clicks of each session, by time; the rows keep their order."""
    ordered = order_clicks(clicks.with_row_index(_ROW))
    return ordered.filter(place < min(most, _MOST_ROWS)).sort(_ROW).drop(_ROW)
