"""A small log whose sessions have an outcome, and settings that learn it in a blink."""

import polars as pl
from toys import TINY

LEARNS_OUTCOME = {**TINY, "training.outcome": "bought"}


def outcome_log(sessions: int = 120) -> pl.DataFrame:
    """Sessions of "a" or "b" and then "c" and "d", in turn; those of "a" have bought.

    Of every tenth session the outcome is unknown.
    """
    rows = [
        (number, item, None if number % 10 == 9 else number % 2 == 0)
        for number in range(sessions)
        for item in ("ab"[number % 2], "c", "d")
    ]
    return pl.DataFrame(rows, schema=["session_id", "item_id", "bought"], orient="row")
