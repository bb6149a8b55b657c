"""A generated log whose sessions end well or not by the order of their clicks."""

import numpy as np
import polars as pl

_OTHERS, _OF_A_KIND = 60, 3  # items
_SHARE = 0.15  # of the clicks, that of each of the two kinds
_GOES_ON = 0.88  # after each click
_SURE = 0.9


def ordered_log(sessions: int, *, seed: int = 0) -> pl.DataFrame:
    """Draw sessions: session_id, item_id, bought and `known`, P(bought | clicks so far).

    Items are A0…, B0… and others. P(bought) is .9 if an A comes before any B, .1 if a B does, .5
    where neither comes. Clicks are independent draws, A and B alike likely, so what is known of
    `bought` after some clicks is just that: .9 or .1, or .5 as long as neither has come. Counts
    tell it only until the other one comes.
    """
    random = np.random.default_rng(seed)
    lengths = 1 + random.geometric(1 - _GOES_ON, sessions)
    session = np.repeat(np.arange(sessions), lengths)
    kind = random.choice(3, len(session), p=[1 - 2 * _SHARE, _SHARE, _SHARE])
    most = np.where(kind == 0, _OTHERS, _OF_A_KIND)
    clicks = pl.DataFrame(
        {
            "session_id": session,
            "kind": kind,
            "item_id": [f"{'cAB'[k]}{n}" for k, n in zip(kind, random.integers(most), strict=True)],
        }
    )
    named = pl.when(pl.col("kind") > 0).then("kind")
    first = named.drop_nulls().first().over("session_id")
    ends = pl.when(first == 1).then(_SURE).when(first == 2).then(1 - _SURE).otherwise(0.5)
    has_begun = named.forward_fill().over("session_id").is_not_null()
    draws = pl.Series(random.random(sessions)[session])
    return clicks.with_columns(
        bought=draws < ends, known=pl.when(has_begun).then(ends).otherwise(0.5)
    ).drop("kind")
