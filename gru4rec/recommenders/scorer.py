"""What a kind of recommender says: how it learns, how it scores, what its checkpoint holds."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import Float32Array, Float64Array, IntArray, Rows
from gru4rec.clicks import ClickSource
from gru4rec.errors import DataError, NotFittedError
from gru4rec.recommenders.checkpoint import Checkpoint
from gru4rec.recommenders.meta import Meta
from gru4rec.serving import ItemFilter, RepeatHead, SessionStore, top_k
from gru4rec.sessions import (
    NO_OUTCOME,
    NO_SIDE_INPUTS,
    Catalog,
    OutcomeClasses,
    RunningSession,
    SessionArrays,
    SideInputs,
    arrays_of,
)


class Scorer(ABC):
    """Scores the catalog for the clicks of a session so far: what `Recommender` is built on.

    A kind of recommender has a `name` and settings, learns in `fit`, scores in `score`, and says in
    `contents` and `of` what its checkpoint holds. Everything else follows from these; what it can
    do sooner than by all scores, it overrides.
    """

    # M clicks, N items, S sessions, F side inputs

    name: ClassVar[str]
    """The name of its kind, in checkpoints and tables."""
    meta: Meta
    """What `meta.json` says of it."""
    side_inputs: SideInputs = NO_SIDE_INPUTS
    """What it reads of a click besides its item."""
    inputs: Sequence[str] = ()
    """Names of the side inputs that `fit` is to make of a log."""
    outcome_classes: OutcomeClasses = NO_OUTCOME
    """The classes of the outcome of a session, if it has learned to tell it."""
    repeats: RepeatHead | None = None
    """The head that scores a session's own items anew, if there is one."""
    device: torch.device = torch.device("cpu")
    """Where it computes."""
    reads_times: bool = False
    """Whether it asks when clicks were made."""
    _catalog: Catalog | None = None
    _sessions: SessionStore | None = None

    @property
    def catalog(self) -> Catalog:
        """The items it knows; to set them ends all running sessions.

        Raises NotFittedError before `fit`.
        """
        if self._catalog is None:
            raise NotFittedError(f"this {type(self).__name__} has not learned yet; call fit first")
        return self._catalog

    @catalog.setter
    def catalog(self, catalog: Catalog) -> None:
        self._catalog, self._sessions = catalog, None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle has of it: all but its running sessions."""
        return {name: value for name, value in vars(self).items() if name != "_sessions"}

    @abstractmethod
    def fit(self, clicks: ClickSource, *, valid: ClickSource | None = None) -> Self:
        """Learn from a click log; return self. `valid` is for measuring, never for learning."""

    @abstractmethod
    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """Score all items after each given click, by its session up to and with it.

        `clicks` are places in `sessions.items`, rising. Yield rows of `clicks` and the scores of
        all items after them [n, N], each row once, in order, in pieces of `serving.chunks`.
        """

    @abstractmethod
    def settings_dict(self) -> dict[str, Any]:
        """Return its settings as plain values, as `config.json` has them."""

    @abstractmethod
    def contents(self) -> Checkpoint:
        """Return what its checkpoint holds. Raise NotFittedError before `fit`."""

    @classmethod
    @abstractmethod
    def of(cls, saved: Checkpoint, *, device: str = "auto") -> Self:
        """Return the recommender of a checkpoint; the inverse of `contents`.

        Raise CheckpointError if it does not fit together.
        """

    # What follows from these, and may be overridden.

    def probabilities(self, scores_MN: Tensor) -> Tensor:
        """Return scores as shares of 1 [M, N]: divided by their sum, those below 0 as 0."""
        positive = scores_MN.clamp_min(0)
        return positive / positive.sum(1, keepdim=True).clamp_min(torch.finfo(positive.dtype).tiny)

    def top(
        self,
        sessions: SessionArrays,
        clicks: IntArray,
        k: int,
        *,
        item_filter: ItemFilter | None = None,
    ) -> Iterator[tuple[Rows, Float32Array, IntArray]]:
        """Find the best `k` items after each given click, as the recommender retrieves them.

        Yield rows of `clicks`, scores [n, k] and item indexes [n, k], each row once. k is at most
        the size of the catalog. Items that the filter does not let pass score −∞.
        """
        for rows, scores in self.score(sessions, clicks):
            if item_filter is not None:
                item_filter.mask(scores, sessions, clicks[rows])
            best = top_k(scores, k)
            yield rows, scores.gather(1, best).cpu().numpy(), best.cpu().numpy()

    def top_running(
        self, sessions: Sequence[RunningSession], k: int, *, item_filter: ItemFilter | None = None
    ) -> tuple[Float32Array, IntArray]:
        """Return scores and items [S, k] of the best after running sessions that have a click."""
        arrays = arrays_of(sessions, self.side_inputs)
        scores = np.empty((len(sessions), k), dtype=np.float32)
        items = np.empty((len(sessions), k), dtype=np.int64)
        last_clicks = arrays.offsets[1:] - 1
        top = self.top(arrays, last_clicks, k, item_filter=item_filter)
        for rows, best_scores, best_items in top:
            scores[rows], items[rows] = best_scores, best_items
        return scores, items

    def next_states(
        self, states: Sequence[Float32Array | None], items: IntArray, sides: IntArray
    ) -> Sequence[Float32Array | None]:
        """Return what to keep of running sessions besides their clicks after one more click [S].

        `states` were kept before, None at first; `items` [S] and `sides` [S, F] are of the clicks.
        Nothing is kept unless a recommender says otherwise.
        """
        return [None] * len(states)

    def outcomes_after(self, sessions: SessionArrays, clicks: IntArray) -> Float64Array:
        """Return the probability of each class of the outcome after each given click [M, K].

        By the session up to and with the click, as in `score`. Raise DataError as `check_outcome`.
        """
        raise self._knows_no_outcome()

    def running_outcomes(self, sessions: Sequence[RunningSession]) -> Float64Array:
        """Return the same for running sessions that have a click [S, K]."""
        raise self._knows_no_outcome()

    def check_outcome(self) -> None:
        """Raise DataError if the recommender has not learned the outcome of sessions."""
        if not len(self.outcome_classes):
            raise self._knows_no_outcome()

    def _knows_no_outcome(self) -> DataError:
        return DataError(
            f"this {self.name} has not learned the outcome of sessions; ask a gru4rec that was "
            "trained with outcome",
            mend_with=["outcome"],
        )
