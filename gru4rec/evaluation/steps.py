"""Cut a log into steps of time: what was known at each, and what came after it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from gru4rec.clicks import seconds_of
from gru4rec.errors import DataError
from gru4rec.schema import SESSION_ID, TIMESTAMP
from gru4rec.untrusted import shown

_START, _LAST = "_start", "_last"


@dataclass(frozen=True)
class Step:
    """One cut through a log. No session is on both sides of it.

    Raise DataError for parts of which one could be learned that is measured.
    """

    number: int
    """From 1."""
    start: datetime
    """The moment of the cut."""
    known: pl.DataFrame
    """Sessions that ended before it, and began within the time that is learned from."""
    new: pl.DataFrame
    """Those of all sessions that ended since the step before; of the first step none."""
    test: pl.DataFrame
    """Sessions that begin within the time that is measured."""

    def __post_init__(self) -> None:
        for name, learned in (("known", self.known), ("new", self.new)):
            late = learned.filter(pl.col(TIMESTAMP) >= self.start)
            both = learned.join(self.test, on=SESSION_ID, how="semi")
            self._refuse(late, f"of what is {name} has a click at or after the cut")
            self._refuse(both, f"of what is {name} is measured too")
        early = self.test.filter(pl.col(TIMESTAMP) < self.start)
        self._refuse(early, "that is measured has a click before the cut")

    def _refuse(self, clicks: pl.DataFrame, why: str) -> None:
        """Raise DataError if there is a click that must not be."""
        if not clicks.is_empty():
            session = shown(clicks[SESSION_ID][0])
            raise DataError(
                f"step {self.number}, {self.start}: a leak, session {session} {why}; cut the log "
                "between sessions"
            )


def steps_of(clicks: pl.DataFrame, *, train: str, every: str, test: str) -> Iterator[Step]:
    """Yield the steps of a log, from the first start of a session to the last.

    The first cut lies `train` ("14d") after the first start, and each `every` ("1d") after the one
    before. A session that runs past a cut is known at the first cut after its last click, and
    measured where it begins. Raise DataError without times, and if the log is shorter than `train`.
    """
    if TIMESTAMP not in clicks.columns:
        raise DataError("steps are cut by time, and the click log has none", mend_with=[])
    spans = clicks.group_by(SESSION_ID).agg(
        pl.col(TIMESTAMP).min().alias(_START), pl.col(TIMESTAMP).max().alias(_LAST)
    )
    marked = clicks.join(spans, on=SESSION_ID, maintain_order="left")
    first, last = (spans.select(end).item() for end in (pl.col(_START).min(), pl.col(_START).max()))
    learned, between, measured = (
        timedelta(seconds=seconds_of(text)) for text in (train, every, test)
    )
    cut, before, number = first + learned, None, 1
    if cut > last:
        raise DataError(
            f"the sessions of the log begin between {first} and {last}, within {train}: nothing is "
            "left to measure; give a shorter train",
            mend_with=["train"],
        )
    start, ended = pl.col(_START), pl.col(_LAST)

    def of(rows: pl.Expr) -> pl.DataFrame:
        return marked.filter(rows).drop(_START, _LAST)

    while cut <= last:
        since = pl.lit(False) if before is None else (ended >= before) & (ended < cut)
        known = (start >= cut - learned) & (ended < cut)
        yield Step(number, cut, of(known), of(since), of((start >= cut) & (start < cut + measured)))
        cut, before, number = cut + between, cut, number + 1
