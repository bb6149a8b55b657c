"""Recommend by an index of item vectors: what a model and an ensemble of models have in common."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gru4rec.arraytypes import Float32Array, IntArray, Rows
from gru4rec.recommenders.recommender import Recommender
from gru4rec.serving import AnyVectors, ItemFilter, ItemIndex, retrieve
from gru4rec.sessions import (
    NO_SIDE_INPUTS,
    ItemLinks,
    OwnItems,
    RunningSession,
    SessionArrays,
    arrays_of,
    own_items_of,
)

_NO_SESSIONS = arrays_of([], NO_SIDE_INPUTS)  # what a search without a filter is told of sessions


class Indexed(Recommender):
    """Makes a query of a session's clicks; its dot products with item vectors are the scores."""

    # M clicks, N items, S sessions, D components of an item vector

    index: ItemIndex
    device: torch.device

    @abstractmethod
    def queries(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """Yield rows of `clicks` and the queries after them [n, D], each row once."""

    @abstractmethod
    def running_queries(self, sessions: Sequence[RunningSession]) -> Float32Array:
        """Return the queries of running sessions that have a click [S, D]."""

    @abstractmethod
    def item_vectors(self) -> Float32Array:
        """Return the vectors [N, D] of items whose dot products with a query are the scores."""

    @abstractmethod
    def kept_vectors(self) -> AnyVectors:
        """Return the same in the precision of the item table, which holds them exactly."""

    def probabilities(self, scores_MN: Tensor) -> Tensor:
        """Return scores as shares of 1 [M, N]: their softmax, as cross-entropy learns them."""
        return torch.softmax(scores_MN, dim=1)

    @torch.inference_mode()
    def top(
        self,
        sessions: SessionArrays,
        clicks: IntArray,
        k: int,
        *,
        item_filter: ItemFilter | None = None,
    ) -> Iterator[tuple[Rows, Float32Array, IntArray]]:
        """See `Scorer.top`: search the index, or on a GPU score all items if it is exact."""
        if self.device.type != "cpu" and self.index.is_exact:
            yield from super().top(sessions, clicks, k, item_filter=item_filter)
            return
        links = None if self.repeats is None else ItemLinks.of(sessions)
        for rows, queries in self.queries(sessions, clicks):
            own = None if links is None else links.own_items(clicks[rows])
            asked = queries.cpu().numpy()
            yield rows, *self._search(asked, k, item_filter, sessions, clicks[rows], own)

    def top_running(
        self, sessions: Sequence[RunningSession], k: int, *, item_filter: ItemFilter | None = None
    ) -> tuple[Float32Array, IntArray]:
        """See `Scorer.top_running`: by the states that are kept."""
        arrays, clicks = _NO_SESSIONS, _NO_SESSIONS.items
        if item_filter is not None:  # which reads earlier clicks to leave out clicked items
            last = None if item_filter.exclude_clicked else 1
            arrays = arrays_of(sessions, self.side_inputs, last=last)
            clicks = arrays.offsets[1:] - 1
        queries = self.running_queries(sessions)
        own = None
        if self.repeats is not None:
            own = own_items_of([session.items for session in sessions])
        return self._search(queries, k, item_filter, arrays, clicks, own)

    def _search(
        self,
        queries_SD: Float32Array,
        k: int,
        item_filter: ItemFilter | None,
        sessions: SessionArrays,
        clicks: IntArray,
        own: OwnItems | None,
    ) -> tuple[Float32Array, IntArray]:
        """See `retrieve`; `clicks` are the last ones of the sessions [S]."""
        return retrieve(
            self.index, queries_SD, k, sessions, clicks,
            item_filter=item_filter, head=self.repeats, own=own,
        )  # fmt: skip
