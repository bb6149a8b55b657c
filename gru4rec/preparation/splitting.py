"""Say where a prepared log is cut, and what its card says of that: by all sessions' spans."""

from datetime import timedelta

from gru4rec.clicks import START, Cut, Spans, cut_parts, nearest
from gru4rec.preparation.card import Card
from gru4rec.preparation.recipe import Split

_FAIR_SHARE = 0.005  # of the sessions, in a day that is a part
_STARTS = (0.01, 0.5, 0.99)  # the shares of sessions whose last start the card gives


def cut_as_asked(split: Split, spans: Spans) -> tuple[dict[str, Cut], Card]:
    """Return (the cut of each part, what the card says of them).

    A part that `split` leaves out is what suits the log. Raise DataError for one that it cannot
    have.
    """
    usual = "1d" if spans.timed and _days_suit(spans) else "10%"
    asked = {"valid": split.valid or usual, "test": split.test or usual}
    wanted = {name: None if part == "none" else part for name, part in asked.items()}
    cuts = cut_parts(spans, **wanted, by=split.split_by)
    lines = {name: {"asked": asked[name], "at": spans.shown(cut.at)} for name, cut in cuts.items()}
    return cuts, {"by": split.split_by, "cuts": lines}


def times_of(spans: Spans) -> dict[str, str] | None:
    """Return when the first sessions started and the last click came; None without times."""
    if not spans.timed:
        return None
    count = spans.count()
    times = {
        "first": spans.nth_start(0),
        **{f"{at:.0%} started by": spans.nth_start(nearest(at, count)) for at in _STARTS},
        "last click": spans.latest_end(),
    }
    return {name: str(time) for name, time in times.items()}


def _days_suit(spans: Spans) -> bool:
    """Whether the last two days have a fair share of the sessions each, and leave more than half.

    They have none if a few stray clicks come days after all others.
    """
    count, last_click = spans.count(), spans.latest_end()
    two, one = (
        count - spans.before(START, last_click - timedelta(days=days)).count() for days in (2, 1)
    )
    shares = [(two - one) / count, one / count]
    return min(shares) >= _FAIR_SHARE and sum(shares) < 0.5
