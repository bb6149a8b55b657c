"""What serving asks of a recommender: to follow running sessions, and to find the best items."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from gru4rec.arraytypes import Float32Array, Float64Array, IntArray, Rows
from gru4rec.serving.filters import ItemFilter
from gru4rec.serving.repeat_head import RepeatHead
from gru4rec.sessions import Follows, OutcomeClasses, RunningSession, SessionArrays


class Answering(Follows, Protocol):
    """A recommender, as far as serving knows it."""

    repeats: RepeatHead | None
    """See `Recommender.repeats`."""

    outcome_classes: OutcomeClasses
    """See `Recommender.outcome_classes`."""

    @property
    def parts(self) -> "Sequence[Answering]":
        """The recommenders that make it."""

    def top(
        self,
        sessions: SessionArrays,
        clicks: IntArray,
        k: int,
        *,
        item_filter: ItemFilter | None = None,
    ) -> Iterator[tuple[Rows, Float32Array, IntArray]]:
        """See `Recommender.top`."""

    def top_running(
        self, sessions: Sequence[RunningSession], k: int, *, item_filter: ItemFilter | None = None
    ) -> tuple[Float32Array, IntArray]:
        """See `Recommender.top_running`."""

    def outcomes_after(self, sessions: SessionArrays, clicks: IntArray) -> Float64Array:
        """See `Recommender.outcomes_after`."""

    def running_outcomes(self, sessions: Sequence[RunningSession]) -> Float64Array:
        """See `Recommender.running_outcomes`."""

    def check_outcome(self) -> None:
        """See `Recommender.check_outcome`."""
