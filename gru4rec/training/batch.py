"""Everything that one update reads, as tensors made ahead on the CPU."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray
from gru4rec.config import Config
from gru4rec.model import Packing, streams
from gru4rec.sessions import (
    SessionArrays,
    SessionBatch,
    SessionParallelWindows,
    WholeSessions,
    sides_of,
)
from gru4rec.training.candidates import CandidateSampler


@dataclass(frozen=True)
class TrainingBatch:
    """One window to learn from: packed clicks, their targets and the candidates."""

    # M clicks, S segments, C candidates, K carried segments, U rows of the input table
    packing: Packing
    carried: Tensor
    """Segments that go on from the batch before [K]."""
    carried_from: Tensor
    """The segments of that batch which they go on from [K]."""
    inputs: Tensor
    """Item of each click [M]."""
    sides: Tensor
    """Codes of the side inputs of each click [M, F]."""
    input_rows: Tensor
    """Rows of the input table that are moved [U]; of a shared one, the candidates first."""
    input_places: Tensor
    """Place of each click's item in `input_rows` [M]."""
    candidates: Tensor
    """Items that are scored [C]."""
    targets: Tensor
    """Column of each click's target [M]."""
    correction: Tensor
    """What is subtracted from each column's scores [C], float32."""
    masked: Tensor
    """Flat places of the scores [M, C] that are no negatives."""
    seed: int
    """Seed of the dropout masks."""

    def to(self, device: torch.device) -> "TrainingBatch":
        """The batch on a device; from pinned memory the copies run on while the host goes on."""
        if device.type == "cpu":
            return self
        tensors: dict[str, Any] = {
            field.name: value.pin_memory().to(device, non_blocking=True)
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return dataclasses.replace(self, packing=self.packing.to(device), **tensors)


class TrainingBatches:
    """Makes the batch of any (epoch, window); the same one each time, whatever was made before."""

    def __init__(self, sessions: SessionArrays, support: IntArray, config: Config) -> None:
        """`sessions` each have two clicks or more."""
        training = config.training
        self._items, self._sides = sessions.items, sessions.sides
        self._shared = config.encoder.embedding == "shared"
        self._seed = config.seed
        self._pairs = len(sessions.items) - len(sessions)
        starts, lengths = sessions.offsets[:-1], sessions.lengths - 1
        lanes, steps = training.lanes, training.steps
        self._windows: Sequence[SessionBatch] = (
            SessionParallelWindows(starts, lengths, lanes=lanes, steps=steps)
            if streams(config.encoder)
            else WholeSessions(starts, lengths, clicks=lanes * steps)
        )
        first = np.zeros(len(sessions.items), dtype=bool)
        first[sessions.offsets[:-1]] = True
        self._sampler = CandidateSampler(
            support,
            np.bincount(sessions.items[~first], minlength=len(support)),
            alpha=training.sample_alpha,
            draws=training.negatives,
            whole_below=training.negatives + training.lanes * training.steps,
            logq=training.logq if training.loss == "cross_entropy" else 0.0,
            by_support=training.logq_form == "support" and training.loss == "cross_entropy",
        )

    def __len__(self) -> int:
        """Windows of an epoch."""
        return len(self._windows)

    @property
    def clicks_per_window(self) -> float:
        """Clicks learned from in a window, on average."""
        return self._pairs / len(self)

    def make(self, epoch: int, window: int) -> TrainingBatch:
        """The batch of a window; its random draws are keyed by (seed, epoch, window)."""
        random = np.random.Generator(np.random.Philox(key=[self._seed, (epoch << 40) + window]))
        batch = self._windows[window]
        candidates = self._sampler.candidates(self._items[batch.clicks + 1], batch, random)
        inputs = self._items[batch.clicks]
        rows, places = self._input_rows(inputs, candidates.items)
        tensor = torch.from_numpy
        return TrainingBatch(
            packing=Packing.of(batch.layout),
            carried=tensor(batch.carried),
            carried_from=tensor(batch.carried_from),
            inputs=tensor(inputs),
            sides=tensor(sides_of(batch.clicks, self._sides)),
            input_rows=tensor(rows),
            input_places=tensor(places),
            candidates=tensor(candidates.items),
            targets=tensor(candidates.targets),
            correction=tensor(candidates.log_expected.astype(np.float32)),
            masked=tensor(candidates.masked),
            seed=int(random.integers(2**63)),
        )

    def _input_rows(self, inputs: IntArray, candidates: IntArray) -> tuple[IntArray, IntArray]:
        """The rows that inputs touch, each once, and the place of each input among them."""
        if not self._shared:
            return np.unique(inputs, return_inverse=True)
        places = np.minimum(np.searchsorted(candidates, inputs), len(candidates) - 1)
        extra = candidates[places] != inputs
        more, more_places = np.unique(inputs[extra], return_inverse=True)
        places[extra] = len(candidates) + more_places
        return np.concatenate((candidates, more)), places
