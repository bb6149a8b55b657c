"""Small settings and logs that tests share, and where the real logs lie."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import strategies as st

if TYPE_CHECKING:
    import torch

    from gru4rec.recommenders import Recommender
    from gru4rec.sessions import SessionArrays

DATA = Path(os.environ.get("GRU4REC_DATA", Path(__file__).parents[1].parent / "shared" / "data"))
"""The folder of the real logs: that of GRU4REC_DATA, or `shared/data` beside the checkout."""

TINY = {
    "encoder.hidden_size": 16,
    "training.lanes": 16,
    "training.steps": 4,
    "training.negatives": 16,
    "training.epochs": 2,
    "encoder.repeats": False,
    "training.neighbours": 0,
}
"""Settings that train in a blink, once: what repeats do, and neighbours, is asked for where it is
tested."""


QUICK = [
    "--hidden-size", "8", "--epochs", "1", "--no-repeats", "--neighbours", "0", "--device", "cpu",
]  # fmt: skip
"""Options of `train` and `backtest` that train in a blink."""


@contextmanager
def at_once(**sizes: int) -> Iterator[None]:
    """Let a CPU work on other numbers at once; see `Bulk`."""
    from gru4rec.sessions.bulk import BULKS

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BULKS, "cpu", replace(BULKS["cpu"], **sizes))
        yield


def clicks_of(sessions: list[list[object]]) -> pl.DataFrame:
    """A log without times: sessions 0, 1, … one after the other."""
    return pl.DataFrame(
        {
            "session_id": [n for n, session in enumerate(sessions) for _ in session],
            "item_id": [item for session in sessions for item in session],
        }
    )


def ranks_of_targets(
    recommender: "Recommender", sessions: "SessionArrays", *, ties: str = "conservative"
) -> "torch.Tensor":
    """The rank of every click but the first of each session, given those before it."""
    from gru4rec.metrics import ranks_in_pieces

    prefixes = sessions.prefixes()
    scored = recommender.score(sessions, prefixes)
    return ranks_in_pieces(scored, sessions.items[prefixes + 1], ties=ties)


def without_idle_rules(settings: dict[str, object]) -> dict[str, object]:
    """Settings of a recipe without the rules that are refused since they would do nothing."""
    rules = dict(settings)
    if "rules.max_session_clicks" not in rules:
        rules.pop("rules.long_sessions", None)
    if rules.get("rules.min_item_clicks", 1) == 1:
        rules.pop("rules.filter_rounds", None)
    return rules


SOME_RULES = st.fixed_dictionaries(
    {},
    optional={
        "rules.drop_doubles": st.just(True),
        "rules.gap": st.sampled_from(["30m", "1d"]),
        "rules.drop_repeats": st.just(True),
        "rules.max_session_clicks": st.integers(1, 4),
        "rules.long_sessions": st.sampled_from(["cut", "newest", "drop"]),
        "rules.min_item_clicks": st.integers(1, 3),
        "rules.min_session_clicks": st.integers(1, 2),
        "rules.filter_rounds": st.integers(1, 2),
    },
).map(without_idle_rules)
"""Rules that any log with times can follow."""
