"""A generated log whose sessions end well or not by the order of their clicks."""

from dataclasses import dataclass

import numpy as np
import polars as pl

_OTHERS, _OF_A_KIND = 60, 3  # items
_SHARE = 0.15  # of the clicks, that of each of the two kinds
_GOES_ON = 0.88  # after each click
_SURE = 0.9


@dataclass(frozen=True)
class OrderedLog:
    """A log with a column `bought`, and how likely that is after each click."""

    clicks: pl.DataFrame
    """session_id, item_id, bought and `known`: P(bought | clicks so far), as the process has it."""


def ordered_log(sessions: int, *, seed: int = 0) -> OrderedLog:
    """Draw sessions of items A0…, B0… and others; bought or not by which kind came first.

    P(bought) is .9 if an A comes before any B, .1 if a B does, .5 where neither comes. Clicks are
    independent draws, A and B alike likely, so what is known of `bought` after some clicks is just
    that: .9, .1, or .5 as long as neither has come. Counts tell it only until the other one comes.
    """
    random = np.random.default_rng(seed)
    lengths = 1 + random.geometric(1 - _GOES_ON, sessions)
    session = np.repeat(np.arange(sessions), lengths)
    kind = random.choice(3, len(session), p=[1 - 2 * _SHARE, _SHARE, _SHARE])
    which = np.where(
        kind == 0,
        random.integers(_OTHERS, size=len(session)),
        random.integers(_OF_A_KIND, size=len(session)),
    )
    clicks = pl.DataFrame({"session_id": session, "kind": kind, "which": which})
    first = (pl.when(pl.col("kind") > 0).then(pl.col("kind"))).forward_fill()
    first = first.over("session_id").alias("newest")
    clicks = clicks.with_columns(first)
    of_kind = pl.col("newest").drop_nulls().first().over("session_id")
    began = pl.col("newest").is_not_null()
    of_first = pl.when(of_kind == 1).then(_SURE).when(of_kind == 2).then(1 - _SURE).otherwise(0.5)
    clicks = clicks.with_columns(
        known=pl.when(began).then(of_first).otherwise(0.5), of_session=of_first
    )
    draws = random.random(sessions)
    names = pl.concat_str(
        pl.col("kind").replace_strict({0: "c", 1: "A", 2: "B"}, return_dtype=pl.String),
        pl.col("which").cast(pl.String),
    )
    return OrderedLog(
        clicks.select(
            "session_id",
            item_id=names,
            bought=pl.Series(draws[session]) < pl.col("of_session"),
            known="known",
        )
    )
