"""What every encoder is: packed clicks and a state in, session vectors and a state out."""

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from gru4rec.arraytypes import IntArray
from gru4rec.sessions import SessionBatch, block_sizes_of

State = tuple[Tensor, ...]
"""What an encoder remembers: tensors with one row per session, opaque to all others."""


@dataclass(frozen=True)
class Packing:
    """How the rows of a batch form sequences: as in `SessionBatch`, longest first."""

    block_sizes: list[int]
    """Clicks at each position [L]."""
    ends: Tensor
    """Row of the last click of each segment [S]."""

    @cached_property
    def starts(self) -> IntArray:
        """Row where each position begins [L]."""
        return np.asarray(np.cumsum(self.block_sizes) - np.array(self.block_sizes))

    @cached_property
    def positions(self) -> IntArray:
        """Position of each row in its sequence [M]."""
        return np.repeat(np.arange(len(self.block_sizes)), self.block_sizes)

    @cached_property
    def sequences(self) -> IntArray:
        """Sequence of each row [M]."""
        return np.arange(len(self.positions)) - self.starts[self.positions]

    @classmethod
    def of_lengths(cls, lengths: IntArray) -> Self:
        """The packing of sequences of these lengths, falling [S], on the CPU."""
        sizes = block_sizes_of(lengths)
        starts = np.cumsum(sizes) - sizes
        return cls(sizes.tolist(), torch.from_numpy(starts[lengths - 1] + np.arange(len(lengths))))

    @classmethod
    def of(cls, batch: SessionBatch) -> Self:
        """The packing of a batch, on the CPU."""
        return cls(batch.block_sizes.tolist(), torch.from_numpy(batch.ends))

    def to(self, device: torch.device) -> Self:
        """The packing with its tensors on a device; its block sizes are read by the host."""
        return dataclasses.replace(self, ends=self.ends.to(device, non_blocking=True))


class Encoder(nn.Module, ABC):
    """Turns the clicks so far into the session vector."""

    output_size: int
    """Length D of the session vector."""
    whole_sessions = False
    """Whether it learns from sessions that come whole, not in windows of lanes."""

    @abstractmethod
    def initial_state(self, num_sessions: int) -> State:
        """The state of sessions without a click, on the encoder's device [num_sessions, …]."""

    def carry(
        self, num_sessions: int, after: State, carried: Tensor, carried_from: Tensor
    ) -> State:
        """The state before each of the sessions: for those `carried` the rows `carried_from` of a
        state `after` earlier clicks, for the others the initial one."""
        state = self.initial_state(num_sessions)
        for before, earlier in zip(state, after, strict=False):
            before.index_copy_(0, carried, earlier.index_select(0, carried_from))
        return state

    def initialize(self, random: torch.Generator) -> None:
        """Draw each matrix uniform ±√(6 / (rows + columns)), gate by gate; biases 0, norms 1."""
        for module in self.modules():
            gates = getattr(module, "gates", 1)
            for parameter in module.parameters(recurse=False):
                if parameter.dim() > 1:
                    glorot(parameter, parameter.shape[0] // gates, parameter.shape[1], random)
                else:
                    parameter.zero_()
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()

    def gates(self, inputs: Tensor) -> tuple[Tensor, Tensor] | None:
        """The reset and the update gates after each click of one session [layers, M, H] each.

        Update is the share of the new state that the click brings, whichever way the cell counts
        it. `inputs` are those of `forward` [M, E]. None for an encoder without such gates.
        """
        return None

    @abstractmethod
    def forward(
        self, inputs: Tensor, packing: Packing, state: State, random: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """Session vectors after every click [M, D], and the state after every segment [S, …].

        `inputs` are input embeddings [M, E] in packed order; `state` is that before each segment
        [S, …]. `random` draws what dropout needs; without it nothing is dropped.
        """


def glorot(weight: Tensor, rows: int, columns: int, random: torch.Generator) -> None:
    """Fill a weight with draws uniform ±√(6 / (rows + columns))."""
    bound = math.sqrt(6 / (rows + columns))
    weight.uniform_(-bound, bound, generator=random)


def dropout(values: Tensor, probability: float, random: torch.Generator | None) -> Tensor:
    """Zero each component with `probability`, scale the others by 1 / (1 − probability).

    Sixteen random bits decide on a component (the probability is exact to 1e-5), so that four share
    a draw: that is several times faster on a CPU than torch's dropout, and touches no global
    generator.
    """
    if random is None or probability == 0:
        return values
    draws = torch.empty((values.numel() + 3) // 4, dtype=torch.int64, device=values.device)
    draws.random_(-(2**63), None, generator=random)
    bits = draws.view(torch.int16)[: values.numel()].view(values.shape)
    kept = bits >= round(probability * 2**16) - 2**15
    return values * kept.to(values.dtype).mul_(1 / (1 - probability))
