"""Small settings and logs that tests share."""

from pathlib import Path

import polars as pl

DATA = Path(__file__).parents[1].parent / "shared" / "data"

TINY = {
    "encoder.hidden_size": 16,
    "training.lanes": 8,
    "training.steps": 4,
    "training.negatives": 16,
    "training.epochs": 2,
}
"""Settings that train in a blink."""


def clicks_of(sessions: list[list[object]]) -> pl.DataFrame:
    """A log without times: sessions 0, 1, … one after the other."""
    return pl.DataFrame(
        {
            "session_id": [n for n, session in enumerate(sessions) for _ in session],
            "item_id": [item for session in sessions for item in session],
        }
    )


def without_idle_rules(settings: dict[str, object]) -> dict[str, object]:
    """Settings of a recipe without the rules that are refused since they would do nothing."""
    rules = dict(settings)
    if "rules.max_session_clicks" not in rules:
        rules.pop("rules.long_sessions", None)
    if rules.get("rules.min_item_clicks", 1) == 1:
        rules.pop("rules.filter_rounds", None)
    return rules
