"""Recommend by a model, its catalog and its index: what a trained model can do, however it came."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gru4rec.arraytypes import Float32Array, Float64Array, IntArray, Rows
from gru4rec.config import Config
from gru4rec.model import (
    Model,
    outcome_probabilities,
    running_outcomes,
    running_queries,
    session_vectors,
    states_after,
)
from gru4rec.recommenders.indexed import Indexed
from gru4rec.recommenders.meta import Meta
from gru4rec.serving import AnyVectors, ItemIndex, RepeatHead
from gru4rec.sessions import Catalog, RunningSession, SessionArrays, SideInputs
from gru4rec.training import scores_after


class OfModel(Indexed):
    """Scores items by an encoder of the session's clicks."""

    # N items, S sessions, D components of an item vector

    config: Config
    """Its settings."""
    model: Model

    def _take(
        self,
        config: Config,
        model: Model,
        catalog: Catalog,
        side_inputs: SideInputs,
        index: ItemIndex,
        meta: Meta,
    ) -> None:
        """Become the recommender of a model. Raise ValueError if the head of `meta` is none."""
        head = None if meta.repeats is None else RepeatHead.from_dict(meta.repeats)
        self.repeats = None if head is None or head.is_neutral else head
        self.config, self.model, self.index, self.meta = config, model, index, meta
        self.catalog, self.side_inputs = catalog, side_inputs
        self.outcome_classes = meta.outcome_classes

    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """See `Scorer.score`."""
        return scores_after(self.model, sessions, clicks, self.repeats)

    @torch.inference_mode()
    def queries(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """See `Indexed.queries`."""
        for rows, vectors in session_vectors(self.model, sessions, clicks):
            yield rows, self.model.query_vectors(vectors)

    def running_queries(self, sessions: Sequence[RunningSession]) -> Float32Array:
        """See `Indexed.running_queries`: of the session vectors that are kept."""
        return running_queries(self.model, sessions, self.side_inputs)

    def next_states(
        self, states: Sequence[Float32Array | None], items: IntArray, sides: IntArray
    ) -> Sequence[Float32Array | None]:
        """See `Scorer.next_states`: the encoder's state and vector, if it streams."""
        return states_after(self.model, states, items, sides)

    @property
    def model_settings(self) -> Config:
        """See `Recommender.model_settings`."""
        return self.config

    def outcomes_after(self, sessions: SessionArrays, clicks: IntArray) -> Float64Array:
        """See `Scorer.outcomes_after`."""
        self.check_outcome()
        return outcome_probabilities(self.model, sessions, clicks)

    def running_outcomes(self, sessions: Sequence[RunningSession]) -> Float64Array:
        """See `Scorer.running_outcomes`: by the session vectors that are kept."""
        self.check_outcome()
        return running_outcomes(self.model, sessions, self.side_inputs)

    def settings_dict(self) -> dict[str, Any]:
        """See `Scorer.settings_dict`."""
        return self.config.to_dict()

    def item_vectors(self) -> Float32Array:
        """See `Indexed.item_vectors`."""
        return vectors_of(self.model)

    def kept_vectors(self) -> AnyVectors:
        """See `Indexed.kept_vectors`."""
        return kept_vectors_of(self.model)


@torch.inference_mode()
def vectors_of(model: Model) -> Float32Array:
    """Return the vectors of the items of a model [N, D], see `Model.item_vectors`."""
    vectors: Float32Array = model.item_vectors().cpu().numpy()
    return vectors


@torch.inference_mode()
def kept_vectors_of(model: Model) -> AnyVectors:
    """Return the same in the precision of the model's table, which holds them exactly."""
    vectors: AnyVectors = model.item_vectors().to(model.output_table.dtype).cpu().numpy()
    return vectors
