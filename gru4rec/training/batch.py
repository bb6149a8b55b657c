"""Everything that one update reads, as tensors made ahead on the CPU."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray
from gru4rec.config import Config, TrainingConfig
from gru4rec.model import Packing, streams
from gru4rec.sessions import (
    SessionArrays,
    SessionBatch,
    SessionParallelWindows,
    WholeSessions,
    sent_together,
    sides_of,
)
from gru4rec.training.candidates import NOTHING, Candidates, CandidateSampler
from gru4rec.training.counts import ALIKE, Counts, scaled
from gru4rec.training.teaching import SessionNeighbours, SoftTargets, taught

TERMINAL = -1
"""In `TrainingBatch.follows`: the session ends with the target."""
CUT = -2
"""There too: what follows is in another window."""

_NO_ROWS: IntArray = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class TrainingBatch:
    """One window to learn from: packed clicks, their targets and the candidates."""

    # M clicks, S segments, C candidates, K carried segments, V clicks before each that are read
    # again, R = M + K·V clicks that are read, U rows of the input table, F side inputs, T items
    # that teachers name after a click
    packing: Packing
    """How the clicks form segments."""
    carried: Tensor
    """Segments that go on from the batch before [K]."""
    carried_from: Tensor
    """The segments of that batch which they go on from; of whole sessions 0 to K − 1 [K]."""
    inputs: Tensor
    """Item of each click that is read [R]: of the M to learn from, then of those before the carried
    segments, the newest first."""
    sides: Tensor
    """Codes of the side inputs of each click that is read [R, F]."""
    input_rows: Tensor
    """Rows of the input table that are moved [U]; of a shared one, the candidates first."""
    input_places: Tensor
    """Place of each item of `inputs` in `input_rows` [R]."""
    candidates: Tensor
    """Items that are scored [C]."""
    targets: Tensor
    """Column of each click's target [M]."""
    soft_targets: Tensor
    """Columns of what teachers name [M, T], an item as often as it was drawn; T is 0 without."""
    correction: Tensor
    """What is subtracted from each column's scores [C], float32."""
    masked: Tensor
    """Flat places of the scores [M, C] that are no negatives."""
    weights: Tensor
    """What each click counts in the loss, 1 on average over the log [M]; [0] if all count alike."""
    rewards: Tensor
    """What each target is worth [M], float32; [0] if nothing is."""
    follows: Tensor
    """Row of the click on each target, or `TERMINAL`, or `CUT` [M]; [0] without rewards."""
    seed: int
    """Seed of the dropout masks."""
    outcomes: Tensor | None = None
    """Class of the outcome of each click's session [M], −1 where it is unknown; None without."""
    known_outcomes: float = 0.0
    """Clicks whose outcome is known; of a window that several ranks share, on average a rank's."""

    def to(self, device: torch.device) -> "TrainingBatch":
        """Return the batch on a device, sent in one piece."""
        if device.type == "cpu":
            return self
        tensors = {
            field.name: value
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        *there, ends = sent_together([*tensors.values(), self.packing.ends], device)
        packing = dataclasses.replace(self.packing, ends=ends)
        sent: dict[str, Any] = dict(zip(tensors, there, strict=True))
        return dataclasses.replace(self, packing=packing, **sent)


class TrainingBatches:
    """Makes the batch of any (epoch, window); the same one each time, whatever was made before."""

    def __init__(
        self,
        sessions: SessionArrays,
        support: IntArray,
        config: Config,
        *,
        neighbours: SessionNeighbours | None = None,
        soft_targets: SoftTargets | None = None,
    ) -> None:
        """Take sessions of two clicks or more each, the support of every item, and who teaches."""
        self.windows: Sequence[SessionBatch] = windows_of(sessions, config)
        self._soft_targets = soft_targets
        self._takes(sessions, config, Counts.of(sessions, len(support)), support, neighbours)

    def _takes(
        self,
        sessions: SessionArrays,
        config: Config,
        counts: Counts,
        support: IntArray,
        neighbours: SessionNeighbours | None,
    ) -> None:
        """Keep what batches are made of: `sessions`, and the `counts` of the log they are of."""
        self._neighbours, self._teaching = neighbours, config.training.teaching
        self.items, self.sides = sessions.items, sessions.sides
        self._weights = scaled(sessions.weights, counts.mean_weight)
        self._rewards = sessions.rewards
        self._ends = sessions.offsets[1:] - 1
        self._shared = config.encoder.embedding == "shared"
        self._seed = config.seed
        self._pairs, self.are_weighted = counts.pairs, counts.are_weighted
        self._outcomes = None
        if len(sessions.outcomes):
            self._outcomes = sessions.click_outcomes.astype(np.int8)
        self.sampler = sampler_of(counts.targets, support, config.training)

    def __len__(self) -> int:
        """Windows of an epoch."""
        return len(self.windows)

    @property
    def are_taught(self) -> bool:
        """Whether neighbours or teachers say something of the clicks."""
        return self._neighbours is not None or self._soft_targets is not None

    @property
    def clicks_per_window(self) -> float:
        """Clicks learned from in a window, on average."""
        return self._pairs / len(self)

    def make(self, epoch: int, window: int) -> TrainingBatch:
        """Return the batch of a window; its random draws are keyed by (seed, epoch, window)."""
        random = self._random_of(epoch, window)
        batch = self.windows[window]
        targets = self.items[batch.clicks + 1]
        if self._neighbours is not None:
            targets = taught(self._neighbours, batch.clicks, targets, self._teaching, random)
        named = NOTHING
        if self._soft_targets is not None:
            named = self._soft_targets.drawn(batch.clicks, random)
        candidates = self.sampler.candidates(targets, batch, random, named=named)
        read = np.concatenate((batch.clicks, batch.earlier.ravel()))
        inputs = self.items[read]
        rows, places = self._input_rows(inputs, candidates.items)
        seed = int(random.integers(2**63))
        return self._packed(batch, candidates, inputs, read, rows, places, seed)

    def _random_of(self, epoch: int, window: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self._seed, (epoch << 40) + window]))

    def _packed(
        self,
        batch: SessionBatch,
        candidates: Candidates,
        inputs: IntArray,
        read: IntArray,
        rows: IntArray,
        places: IntArray,
        seed: int,
    ) -> TrainingBatch:
        """Return all as tensors: `inputs` are the items of the clicks `read` [R], by place."""
        tensor = torch.from_numpy
        weights, rewards, follows, outcomes = self._weights, ALIKE, _NO_ROWS, None
        clicks = read[: len(batch.clicks)]
        targets = clicks + 1
        if self.are_weighted:
            weights = weights[targets]
        if self._rewards is not None:
            rewards = self._rewards[targets].astype(np.float32)
            follows = self._follows(batch, targets)
        if self._outcomes is not None:
            outcomes = tensor(self._outcomes[clicks].astype(np.int64))
        return TrainingBatch(
            packing=Packing.of(batch.layout),
            carried=tensor(batch.carried),
            carried_from=tensor(batch.carried_from),
            inputs=tensor(inputs),
            sides=tensor(sides_of(read, self.sides)),
            input_rows=tensor(rows),
            input_places=tensor(places),
            candidates=tensor(candidates.items),
            targets=tensor(candidates.targets),
            soft_targets=tensor(candidates.named),
            correction=tensor(candidates.log_expected.astype(np.float32)),
            masked=tensor(candidates.masked),
            weights=tensor(weights),
            rewards=tensor(rewards),
            follows=tensor(follows),
            seed=seed,
            outcomes=outcomes,
            known_outcomes=float(self._known(clicks)),
        )

    def _known(self, clicks: IntArray) -> int:
        """Return how many clicks have a known outcome, by their places."""
        return 0 if self._outcomes is None else int((self._outcomes[clicks] >= 0).sum())

    def _follows(self, batch: SessionBatch, targets: IntArray) -> IntArray:
        """Return `TrainingBatch.follows`, by the places of the targets among the clicks [M]."""
        ends = self._ends[np.searchsorted(self._ends, targets)]
        follows = np.where(targets == ends, TERMINAL, CUT)
        layout = batch.layout
        earlier = layout.positions > 0
        segments, positions = layout.segments[earlier], layout.positions[earlier]
        follows[layout.block_starts[positions - 1] + segments] = np.flatnonzero(earlier)
        return follows

    def _input_rows(self, inputs: IntArray, candidates: IntArray) -> tuple[IntArray, IntArray]:
        """Return the rows that inputs touch [U], each once, and the place of each input there [R].

        Of a shared table, candidates touch rows too: they come first.
        """
        if not self._shared:
            return np.unique(inputs, return_inverse=True)
        places = np.minimum(np.searchsorted(candidates, inputs), len(candidates) - 1)
        is_extra = candidates[places] != inputs
        extra, extra_places = np.unique(inputs[is_extra], return_inverse=True)
        places[is_extra] = len(candidates) + extra_places
        return np.concatenate((candidates, extra)), places


def windows_of(sessions: SessionArrays, config: Config) -> SessionParallelWindows | WholeSessions:
    """Return the windows of an epoch: of lanes, or of whole sessions if the encoder needs them.

    A session's last click is no input, so its windows have one click less than it.
    """
    starts, lengths = sessions.offsets[:-1], sessions.lengths - 1
    lanes, steps = config.training.lanes, config.training.steps
    if streams(config.encoder):
        return SessionParallelWindows(starts, lengths, lanes=lanes, steps=steps)
    max_length = config.encoder.max_length
    return WholeSessions(starts, lengths, clicks=lanes * steps, max_length=max_length)


def sampler_of(targets: IntArray, support: IntArray, training: TrainingConfig) -> CandidateSampler:
    """Return the sampler of a config; the logQ correction is for cross-entropy alone.

    `targets` says how often each item is one, `support` how often it was clicked [N].
    """
    corrected = training.loss == "cross_entropy"
    return CandidateSampler(
        support,
        targets,
        alpha=training.sample_alpha,
        draws=training.negatives,
        whole_below=training.negatives + training.lanes * training.steps,
        logq=training.logq if corrected else 0.0,
        by_support=corrected and training.logq_form == "support",
    )
