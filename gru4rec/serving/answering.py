"""What serving asks of a recommender: to follow running sessions, and to answer them."""

from collections.abc import Sequence
from typing import Protocol

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.serving.filters import ItemFilter
from gru4rec.sessions import Follows, RunningSession


class Answering(Follows, Protocol):
    """A recommender, as far as the answers for running sessions know it."""

    def best_next(
        self, sessions: Sequence[RunningSession], k: int, only: ItemFilter | None
    ) -> tuple[Float32Array, IntArray]:
        """See `Recommender.best_next`."""
