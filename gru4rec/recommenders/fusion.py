"""Mix the recommendations of several recommenders into one."""

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import Float64Array, IntArray, Rows
from gru4rec.clicks import ClickSource
from gru4rec.errors import CheckpointError, ConfigError, DataError, choose
from gru4rec.layout import CONFIG
from gru4rec.metrics import mrr_at, ranks, recall_at, recall_plus_mrr
from gru4rec.recommenders.checkpoint import Checkpoint
from gru4rec.recommenders.kept_items import KeptItems
from gru4rec.recommenders.parts import (
    in_common,
    load_with_parts,
    meta_of_parts,
    refuse_changed,
    refuse_different_inputs,
    refuse_other_parts,
)
from gru4rec.recommenders.recommender import Recommender
from gru4rec.recommenders.updated_parts import updated_parts
from gru4rec.serving import in_row_chunks
from gru4rec.sessions import SessionArrays
from gru4rec.training import parts_of_log
from gru4rec.untrusted import fits, shown

logger = logging.getLogger(__name__)

_FIRST = 0.75  # weight of the first part where none are fitted (benchmarks/LOG.md, 2026-11-26)
_STEPS = {2: 20, 3: 10}  # weights that are tried are multiples of 1 / this; 5 for more parts
_MOST_TARGETS = 5000
_RANK_OFFSET = 60
_HEAVIEST = 1e18  # so that weights have a sum


def _reciprocal_ranks(recommender: Recommender, scores_MN: Tensor) -> Tensor:
    order = scores_MN.sort(dim=1, descending=True, stable=True).indices
    worth = 1 / (_RANK_OFFSET + 1 + torch.arange(scores_MN.shape[1], dtype=torch.float32))
    return torch.empty_like(scores_MN, dtype=torch.float32).scatter_(
        1, order, worth.to(scores_MN.device).expand(len(scores_MN), -1)
    )


HOW: Mapping[str, Callable[[Recommender, Tensor], Tensor]] = {
    "probabilities": lambda recommender, scores: recommender.probabilities(scores),
    "reciprocal_ranks": _reciprocal_ranks,
}
"""What of the parts is mixed: `probabilities`, see `Recommender.probabilities`, or 1 / (60 + rank)
(Cormack et al., SIGIR 2009)."""


class Fusion(Recommender):
    """Scores an item by the weighted sum of what its parts make of it.

    A session model and a neighbour method err on different sessions: the mixture of GRU4Rec and
    VSTAN does better than each of them. Weights are not negative and add to 1. Where none are
    given, `fit` chooses them by Recall@20 + MRR@20 on the validation sessions; without those the
    first part weighs 0.75 and the others share the rest.
    """

    name = "fusion"
    # P parts, M clicks, N items

    def __init__(
        self,
        parts: Sequence[Recommender],
        *,
        weights: Sequence[float] | None = None,
        how: str = "probabilities",
    ) -> None:
        """Mix `parts` by `weights`, of what `how` makes of their scores.

        Raise ConfigError for less than two parts, bad weights, an unknown `how`, and parts that
        read different side inputs.
        """
        choose("way of fusion", how, HOW)
        refuse_different_inputs(parts, "a fusion")
        chosen = _default_weights(len(parts)) if weights is None else np.asarray(weights, float)
        if len(chosen) != len(parts) or not (
            (chosen >= 0).all() and (chosen < _HEAVIEST).all() and chosen.any()
        ):
            raise ConfigError(
                f"weights must be {len(parts)} numbers that are not negative and not all 0, got "
                f"{shown(chosen.tolist())}"
            )
        self.parts, self.how, self._asked = list(parts), how, weights
        self.weights: list[float] = (chosen / chosen.sum()).tolist()
        self.reads_times = any(part.reads_times for part in parts)
        if all(part._catalog is not None for part in parts):
            self._join()

    def fit(self, clicks: ClickSource, *, valid: ClickSource | None = None) -> Self:
        """Fit every part on a click log, and with `valid` the weights, unless they are given.

        `valid` is a log, or a part of `clicks` to hold out ("1d", "10%"), as for GRU4Rec.
        """
        inputs = [name for part in self.parts for name in part.inputs]
        log, held_out = parts_of_log(clicks, valid, inputs)
        for part in self.parts:
            part.fit(log, valid=held_out)
        self._join()
        if self._asked is not None:
            return self
        self.weights = _default_weights(len(self.parts)).tolist()
        return self if held_out is None else self.weigh(held_out)

    def weigh(self, held_out: ClickSource) -> Self:
        """Choose the weights on sessions that no part has learned from; return self.

        Of all weights that are multiples of a step, take those with the largest Recall@20 + MRR@20,
        on at most 5,000 targets. Raise DataError if no session has two clicks on known items.
        """
        sessions = self.reader.prefixes(held_out).with_targets()
        clicks = sessions.prefixes(most=_MOST_TARGETS)
        if not len(clicks):
            raise DataError("no session to fit the weights of a fusion on has two known clicks")
        tried = torch.tensor(list(_simplex(len(self.parts))), dtype=torch.float32)
        ranks_of_tried = torch.empty(len(tried), len(clicks), dtype=torch.float64)
        for rows, mixed_PMN in self._parts_scores(sessions, clicks):
            targets = torch.from_numpy(sessions.items[clicks[rows] + 1]).to(mixed_PMN.device)
            for number, weights in enumerate(tried.to(mixed_PMN.device)):
                scores = torch.tensordot(weights, mixed_PMN, dims=1)
                ranks_of_tried[number, rows] = ranks(scores, targets).cpu()
        best = int(np.argmax([recall_plus_mrr(tried_ranks) for tried_ranks in ranks_of_tried]))
        self.weights = tried[best].tolist()
        named = zip(self.parts, self.weights, strict=True)
        logger.info(
            "fusion: weights %s: Recall@20 %.4f, MRR@20 %.4f on %d targets",
            ", ".join(f"{part.name} {weight:.2f}" for part, weight in named),
            recall_at(20, ranks_of_tried[best]), mrr_at(20, ranks_of_tried[best]), len(clicks),
        )  # fmt: skip
        return self

    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """See `Scorer.score`."""
        weights = torch.tensor(self.weights, dtype=torch.float32)
        for rows, mixed_PMN in self._parts_scores(sessions, clicks):
            yield rows, torch.tensordot(weights.to(mixed_PMN.device), mixed_PMN, dims=1)

    def _parts_scores(
        self, sessions: SessionArrays, clicks: IntArray
    ) -> Iterator[tuple[Rows, Tensor]]:
        """Yield rows of `clicks`, and what each part makes of the items after them [P, M, N]."""
        refuse_changed(self.parts, self._joined, "a fusion")
        size = len(self.catalog)
        parts = [in_row_chunks(part.score(sessions, clicks), size) for part in self.parts]
        for scored in zip(*parts, strict=True):
            mixed = [
                HOW[self.how](part, scores).to(dtype=torch.float32, device="cpu")
                for part, (_, scores) in zip(self.parts, scored, strict=True)
            ]
            yield scored[0][0], torch.stack(mixed)

    def update(
        self, clicks: ClickSource, *, drop_unseen: str | None = None, **options: Any
    ) -> Self:
        """Update every part, all of them or none; see `Recommender.update`. Return self.

        The same items leave all parts. What says how a model learns is for the parts that
        learn so.
        """
        parts = updated_parts(
            self.parts, "a fusion", clicks, drop_unseen=drop_unseen, options=options
        )
        if parts is not None:
            self.parts = parts
            self._join()
        return self

    def keep_items(self, kept: KeptItems) -> None:
        """See `Recommender.keep_items`."""
        for part in self.parts:
            part.keep_items(kept)
        self._join()

    def _join(self) -> None:
        """Take over what the parts, once fitted, have in common."""
        self.catalog, self.side_inputs = in_common(self.parts, "a fusion")
        self._joined = [part.catalog for part in self.parts]
        self.meta = meta_of_parts(self.name, self.parts)

    def settings_dict(self) -> dict[str, Any]:
        """See `Scorer.settings_dict`."""
        return {"how": self.how, "weights": self.weights}

    def contents(self) -> Checkpoint:
        """See `Scorer.contents`; the parts are checkpoints in a folder of this one."""
        return Checkpoint(self.settings_dict(), self.meta, self.catalog, parts=self.parts)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> Self:
        """See `Recommender.load`."""
        return load_with_parts(cls, path, device)

    @classmethod
    def of(cls, saved: Checkpoint, *, device: str = "auto") -> Self:
        """See `Scorer.of`; the parts of the checkpoint are recommenders already."""
        weights, how = (saved.config.get(name) for name in ("weights", "how"))
        if not fits(weights, Sequence[float]) or not isinstance(how, str):
            raise CheckpointError(
                f"{CONFIG} of a fusion has weights and how, got {shown(dict(saved.config))}"
            )
        parts = cast(Sequence[Recommender], saved.parts)
        refuse_other_parts(saved, parts)
        return cls(parts, weights=weights, how=how)


def _default_weights(parts: int) -> Float64Array:
    """Return 0.75 for the first, the rest for the others alike."""
    return np.array([_FIRST, *[(1 - _FIRST) / (parts - 1)] * (parts - 1)])


def _simplex(parts: int) -> Iterator[tuple[float, ...]]:
    """Yield all weights that are multiples of a step and add to 1."""
    steps = _STEPS.get(parts, 5)
    for cuts in itertools.combinations_with_replacement(range(steps + 1), parts - 1):
        yield tuple(np.diff((0, *cuts, steps)) / steps)
