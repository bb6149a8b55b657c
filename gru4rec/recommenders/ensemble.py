"""Several GRU4Recs as one: their vectors side by side, one index, one query."""

from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import Float32Array, IntArray, Rows
from gru4rec.clicks import ClickSource
from gru4rec.errors import CheckpointError, ConfigError
from gru4rec.model import state_size
from gru4rec.recommenders.checkpoint import Checkpoint
from gru4rec.recommenders.gru4rec import GRU4Rec
from gru4rec.recommenders.indexed import Indexed
from gru4rec.recommenders.kept_items import KeptItems
from gru4rec.recommenders.parts import (
    in_common,
    load_with_parts,
    meta_of_parts,
    refuse_changed,
    refuse_different_inputs,
    refuse_other_parts,
)
from gru4rec.recommenders.updated_parts import updated_parts
from gru4rec.serving import AnyVectors, ItemIndex, RepeatHead, row_blocks
from gru4rec.sessions import RunningSession, SessionArrays, read_item_table
from gru4rec.training import parts_of_log, queries_after, scores_by


class Ensemble(Indexed):
    """Scores an item by the mean of several GRU4Recs' scores.

    Models by different seeds err on different targets. An item's vectors of all models, one after
    the other, are its vector here, and so it is with queries: the index is searched once, and a
    live session is one step of each model a click. The repeat heads are one too, the mean of their
    numbers.
    """

    name = "ensemble"
    # P parts, M clicks, N items, S sessions, D components of all parts' vectors

    parts: Sequence[GRU4Rec]

    def __init__(self, parts: Sequence[GRU4Rec], *, index: ItemIndex | None = None) -> None:
        """Join models of one log, fitted or not, and index their items, unless an `index` does.

        Raise ConfigError for less than two models, or if they do not go together.
        """
        refuse_different_inputs(parts, "an ensemble")
        strange = [part.name for part in parts if not isinstance(part, GRU4Rec)]
        if strange:
            raise ConfigError(f"the parts of an ensemble are GRU4Recs, got {', '.join(strange)}")
        if any(list(part.inputs) != list(parts[0].inputs) for part in parts):
            raise ConfigError("the models of an ensemble must all read the same side inputs")
        if len({part.device for part in parts}) > 1:
            raise ConfigError("the models of an ensemble must be on one device")
        self.parts, self.inputs, self.device = list(parts), parts[0].inputs, parts[0].device
        if all(part._catalog is not None for part in parts):
            self._join(index)

    def fit(self, clicks: ClickSource, *, valid: ClickSource | None = None) -> Self:
        """Fit every model on a click log; `valid` is as for GRU4Rec."""
        log, held_out = parts_of_log(clicks, valid, self.inputs)
        fitted = [copy(part).fit(log, valid=held_out) for part in self.parts]
        self.parts = fitted  # all of them, or none if a training fails
        self._join()
        return self

    def update(
        self, clicks: ClickSource, *, drop_unseen: str | None = None, **options: Any
    ) -> Self:
        """Update every part, all of them or none; see `Recommender.update`. Return self.

        The same items leave all parts.
        """
        parts = updated_parts(
            self.parts, "an ensemble", clicks, drop_unseen=drop_unseen, options=options
        )
        if parts is not None:
            self.parts = parts
            self._join(self.index.rebuilt(self.item_vectors()))
        return self

    def add_items(self, item_features: ClickSource) -> Self:
        """Add items to every model, or to none; see `GRU4Rec.add_items`. Return self."""
        items = read_item_table(item_features)
        parts = [copy(part).add_items(items) for part in self.parts]
        in_common(parts, "an ensemble")
        self.parts = parts
        self._join(self.index.extended(self.item_vectors()))
        return self

    def keep_items(self, kept: KeptItems) -> None:
        """See `Recommender.keep_items`."""
        for part in self.parts:
            part.keep_items(kept)
        self._join(self.index.rebuilt(self.item_vectors()))

    def _join(self, index: ItemIndex | None = None) -> None:
        """Take over what the models, once fitted, have in common; make one index and one head."""
        self.catalog, self.side_inputs = in_common(self.parts, "an ensemble")
        self._joined = [part.catalog for part in self.parts]
        self.meta = meta_of_parts(self.name, self.parts)
        vectors = self.item_vectors()
        if index is None:
            self.index = ItemIndex.build(vectors)
        else:
            self.index = index.with_vectors(self.kept_vectors())
        self._vectors_ND = torch.from_numpy(vectors).to(self.device)
        heads = [part.repeats or RepeatHead.neutral() for part in self.parts]
        mean = RepeatHead.mean(heads)
        self.repeats = None if mean.is_neutral else mean
        ends = np.cumsum([state_size(part.model) for part in self.parts]).tolist()
        self._states = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """See `Scorer.score`."""
        yield from scores_by(
            lambda asked: self._queries_after(sessions, asked),
            self._vectors_ND,
            sessions,
            clicks,
            self.repeats,
        )

    @torch.inference_mode()
    def queries(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """See `Indexed.queries`."""
        for rows in row_blocks(len(clicks), self.device):
            yield rows, self._queries_after(sessions, clicks[rows])

    def _queries_after(self, sessions: SessionArrays, clicks: IntArray) -> Tensor:
        """Return the queries [n, D] whose scores are the mean of those of the parts' queries."""
        refuse_changed(self.parts, self._joined, "an ensemble")
        of_parts = [queries_after(part.model, sessions, clicks) for part in self.parts]
        return torch.cat(of_parts, dim=1) / len(self.parts)

    def running_queries(self, sessions: Sequence[RunningSession]) -> Float32Array:
        """See `Indexed.running_queries`."""
        refuse_changed(self.parts, self._joined, "an ensemble")
        of_parts = []
        for part, place in zip(self.parts, self._states, strict=True):
            states = _slices([session.state for session in sessions], place)
            views = [
                RunningSession(session.items, session.sides, session.times, state=state)
                for session, state in zip(sessions, states, strict=True)
            ]
            of_parts.append(part.running_queries(views))
        return np.concatenate(of_parts, axis=1) / np.float32(len(self.parts))

    def next_states(
        self, states: Sequence[Float32Array | None], items: IntArray, sides: IntArray
    ) -> Sequence[Float32Array | None]:
        """See `Scorer.next_states`: the states of the models, one after the other."""
        refuse_changed(self.parts, self._joined, "an ensemble")
        of_parts = [
            part.next_states(_slices(states, place), items, sides)
            for part, place in zip(self.parts, self._states, strict=True)
        ]
        kept = [[row for row in rows if row is not None] for rows in zip(*of_parts, strict=True)]
        return [np.concatenate(rows) if rows else None for rows in kept]

    def item_vectors(self) -> Float32Array:
        """See `Indexed.item_vectors`."""
        return np.concatenate([part.item_vectors() for part in self.parts], axis=1)

    def kept_vectors(self) -> AnyVectors:
        """See `Indexed.kept_vectors`."""
        return np.concatenate([part.kept_vectors() for part in self.parts], axis=1)

    def settings_dict(self) -> dict[str, Any]:
        """See `Scorer.settings_dict`: those of the models stand with them."""
        return {}

    def contents(self) -> Checkpoint:
        """See `Scorer.contents`; the models are checkpoints in a folder of this one."""
        catalog = self.catalog
        return Checkpoint(
            self.settings_dict(), self.meta, catalog, index=self.index, parts=self.parts
        )

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> Self:
        """See `Recommender.load`."""
        return load_with_parts(cls, path, device)

    @classmethod
    def of(cls, saved: Checkpoint, *, device: str = "auto") -> Self:
        """See `Scorer.of`; the parts of the checkpoint are recommenders already."""
        parts = cast(Sequence[GRU4Rec], saved.parts)
        refuse_other_parts(saved, parts)
        size = len(saved.catalog), sum(part.index.width for part in parts)
        if saved.index is None or (len(saved.index), saved.index.width) != size:
            raise CheckpointError(
                "the index of the checkpoint does not fit its models; make the ensemble again"
            )
        ensemble = cls(parts, index=saved.index)
        ensemble.meta = saved.meta
        return ensemble


def _slices(states: Sequence[Float32Array | None], place: slice) -> Sequence[Float32Array | None]:
    """Return the part of each session's state that is one model's; None where it has none."""
    if place.start == place.stop:
        return [None] * len(states)
    return [None if state is None else state[place] for state in states]
