"""Make sessions out of clicks and drop what should not be learned from: LazyFrame → LazyFrame.

Ids and times are those that `read_clicks` gives; rows come in the order of the log. The verbs
after `order_clicks` expect the order it makes.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import count

import polars as pl

from gru4rec.clicks import is_first, place
from gru4rec.schema import ITEM_ID, SESSION_ID, TIMESTAMP, USER_ID

SUPPORT = "support"
"""The column of the clicks on an item."""

_session, _item, _time = pl.col(SESSION_ID), pl.col(ITEM_ID), pl.col(TIMESTAMP)

# Of clicks that stand session after session: which is the last of its session, and how many the
# session has. Windows over ids would be slower.
_is_last = (_session != _session.shift(-1)).fill_null(True)
_clicks = pl.when(_is_last).then(place + 1).backward_fill()


def keep_events(clicks: pl.LazyFrame, column: str, kinds: Sequence[object]) -> pl.LazyFrame:
    """Keep the clicks whose `column`, as text, is one of `kinds`: ("view",) of an event column."""
    return clicks.filter(pl.col(column).cast(pl.String).is_in([str(kind) for kind in kinds]))


def drop_doubles(clicks: pl.LazyFrame, *, ignoring: Sequence[str] = ()) -> pl.LazyFrame:
    """Keep the first of rows that are equal in every column, those of `ignoring` aside."""
    columns = [name for name in clicks.collect_schema() if name not in ignoring]
    return clicks.unique(columns, keep="first", maintain_order=True)


def sessionise(clicks: pl.LazyFrame, gap: timedelta, *, by: str = USER_ID) -> pl.LazyFrame:
    """Cut the clicks of each user, or of each longer session, where none came for over `gap`.

    `by` is the column of the user or the longer session. The n-th session of user u gets the
    session_id "u-n", text that no other session can have. The order is that of `order_clicks`, user
    after user.
    """
    ordered = clicks.sort(by, TIMESTAMP, maintain_order=True)
    new_user = (pl.col(by) != pl.col(by).shift(1)).fill_null(True)
    starts = (new_user | (_time - _time.shift(1) > gap)).cast(pl.Int64).cum_sum()
    nth = starts - pl.when(new_user).then(starts).forward_fill() + 1
    return ordered.with_columns(pl.format("{}-{}", pl.col(by), nth).alias(SESSION_ID))


def drop_repeats(clicks: pl.LazyFrame) -> pl.LazyFrame:
    """Keep the first of the clicks on one item that follow each other in a session."""
    return clicks.filter(is_first | (_item != _item.shift(1)))


LONG_SESSIONS: Mapping[str, Callable[[int], pl.Expr]] = {
    "cut": lambda longest: place < longest,
    "newest": lambda longest: place >= _clicks - longest,
    "drop": lambda longest: _clicks <= longest,
}
"""What to keep of a session of more than `longest` clicks: its first ones, its newest, none."""


def limit_length(clicks: pl.LazyFrame, longest: int, *, how: str = "cut") -> pl.LazyFrame:
    """Make sessions have at most `longest` clicks; `how` is a key of `LONG_SESSIONS`."""
    return clicks.filter(LONG_SESSIONS[how](longest))


def supported_items(
    shards: Sequence[pl.LazyFrame],
    min_item_clicks: int,
    min_session_clicks: int,
    *,
    rounds: int | None = None,
) -> pl.DataFrame:
    """Return the items with enough clicks in sessions that have enough clicks on such items.

    Each round counts the clicks on the items left, in the sessions that have enough of them, and
    drops items with too few. It ends when nothing more is dropped (a fixpoint, the largest there
    is) or after `rounds`. A shard holds whole sessions. The columns are item_id and support.
    """

    def support_of(left: pl.DataFrame | None) -> pl.DataFrame:
        counts = [support(shard, left, min_session_clicks) for shard in shards]
        return pl.concat(counts).group_by(ITEM_ID).agg(pl.col(SUPPORT).sum())

    return fixpoint(support_of, min_item_clicks, rounds=rounds)


def support(
    clicks: pl.LazyFrame, items: pl.DataFrame | None, min_session_clicks: int
) -> pl.DataFrame:
    """Count the clicks on each of `items` (None: of all) in sessions that have enough of them."""
    kept = keep_items(clicks.select(SESSION_ID, ITEM_ID), items, min_session_clicks)
    return kept.group_by(ITEM_ID).agg(pl.len().alias(SUPPORT)).collect()


def fixpoint(
    support_of: Callable[[pl.DataFrame | None], pl.DataFrame],
    min_item_clicks: int,
    *,
    rounds: int | None = None,
) -> pl.DataFrame:
    """Return the items of `supported_items`.

    `support_of` returns the support of the items left, None for all, in the whole log.
    """
    left: pl.DataFrame | None = None
    for _ in count() if rounds is None else range(rounds):
        counts = support_of(left)
        left = counts.filter(pl.col(SUPPORT) >= min_item_clicks)
        if left.height == counts.height:
            break
    assert left is not None
    return left


def keep_items(
    clicks: pl.LazyFrame, items: pl.DataFrame | None, min_session_clicks: int
) -> pl.LazyFrame:
    """Keep the clicks on `items` (None: on all) in the sessions that have enough of them."""
    if items is not None:
        known = items.lazy().select(ITEM_ID)
        clicks = clicks.join(known, on=ITEM_ID, how="semi", maintain_order="left")
    return clicks.filter(_clicks >= min_session_clicks) if min_session_clicks > 1 else clicks
