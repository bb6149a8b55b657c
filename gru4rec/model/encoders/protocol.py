"""What every encoder is: packed clicks and a state in, session vectors and a state out."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.errors import ConfigError
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.kernels import kernels_for

State = tuple[Tensor, ...]
"""What an encoder remembers: tensors with one row per session, opaque to all others."""


class Encoder(nn.Module, ABC):
    """Turns the clicks so far into the session vector."""

    # M clicks, S segments, K carried segments, E length of an input, D of a session vector, H units
    streams = True
    """Whether a click moves a state one step on. One that does not reads the last clicks again, and
    learns from sessions that come whole."""
    max_length: int | None = None
    """Clicks that a session vector is made of at most: the last so many. None: all of them."""
    takes_lanes = False
    """Whether it heeds that sessions begin within lanes (`Packing.of_lanes`)."""
    takes_products = False
    """Whether its inputs may be the input products of its gates, as `onehot` makes them."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        """Take settings that `check` finds good, all decided, and the length E of an input."""
        super().__init__()
        self.input_size, self.output_size = input_size, config.hidden_size

    @classmethod
    def check(cls, config: EncoderConfig) -> None:
        """Raise ConfigError for settings that contradict each other in this encoder.

        `hidden_size` may still be open.
        """
        if config.embedding == "onehot" and not cls.takes_products:
            raise ConfigError(
                f"encoder.embedding 'onehot' needs encoder.name 'gru', got {config.name!r}; use "
                "'separate' or 'shared'"
            )

    @abstractmethod
    def initial_state(self, num_sessions: int) -> State:
        """Return the state of sessions without a click [num_sessions, …], on its own device."""

    def carry(
        self, num_sessions: int, after: State, carried_K: Tensor, carried_from_K: Tensor
    ) -> State:
        """Return the state that each segment starts from.

        For segment `carried_K[i]` it is row `carried_from_K[i]` of the state `after` the window
        before; for the others it is the initial state. `after` is () in the first window.
        """
        state = self.initial_state(num_sessions)
        for before, earlier in zip(state, after, strict=False):
            before.index_copy_(0, carried_K, earlier.index_select(0, carried_from_K))
        return state

    def initialize(self, random: torch.Generator) -> None:
        """Draw each matrix uniform ±√(6 / (rows + columns)), gate by gate; every vector is 0.

        Layer norms begin as torch makes them. Called where no gradient is kept.
        """
        for module in self.modules():
            gates = getattr(module, "num_gates", 1)
            for parameter in module.parameters(recurse=False):
                if parameter.dim() > 1:
                    glorot(parameter, parameter.shape[0] // gates, parameter.shape[1], random)
                else:
                    parameter.zero_()
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()

    def gates(self, inputs_ME: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the reset and the update gates after each click of one session [layers, M, H].

        Update is the share of the new state that the click brings, whichever way the cell counts
        it. An encoder without such gates returns None.
        """
        return None

    @abstractmethod
    def forward(
        self,
        inputs_ME: Tensor,
        packing: Packing,
        state: State,
        random: torch.Generator | None = None,
    ) -> tuple[Tensor, State]:
        """Return session vectors after every click [M, D], and the state after every segment.

        `inputs` are input embeddings in packed order; `state` is that before each segment [S, …].
        `random` draws what dropout needs; without it nothing is dropped.
        """

    def last_vectors(self, inputs_ME: Tensor, packing: Packing) -> Tensor:
        """Return the session vector after the last click of each session [S, D].

        The sessions come whole, or with their last `max_length` clicks.
        """
        state = self.initial_state(len(packing.ends))
        vectors_MD, _ = self(inputs_ME, packing, state)
        last_SD: Tensor = vectors_MD.index_select(0, packing.ends)
        return last_SD


def glorot(weight: Tensor, rows: int, columns: int, random: torch.Generator) -> None:
    """Fill a weight with draws uniform ±√(6 / (rows + columns))."""
    bound = math.sqrt(6 / (rows + columns))
    weight.uniform_(-bound, bound, generator=random)


def dropout(values: Tensor, probability: float, random: torch.Generator | None) -> Tensor:
    """Zero each component with `probability`, scale the others by 1 / (1 − probability).

    Sixteen random bits decide on a component: the probability is exact to 1e-5. Four components
    share a draw, which is several times faster on a CPU than torch's dropout. No global generator
    is touched.
    """
    if random is None or probability == 0:
        return values
    bits = dropout_bits(values.numel(), random, values.device)
    if kernels_for(values):
        from gru4rec.model.encoders.dropout_kernels import drop

        return drop(values, bits, probability)
    kept = bits.view(values.shape) >= least_kept(probability)
    return values * kept.to(values.dtype).mul_(1 / (1 - probability))


def dropout_bits(count: int, random: torch.Generator, device: torch.device) -> Tensor:
    """Draw the sixteen bits of each of so many components, as numbers [count]."""
    draws = torch.empty((count + 3) // 4, dtype=torch.int64, device=device)
    draws.random_(-(2**63), None, generator=random)
    return draws.view(torch.int16)[:count]


def least_kept(probability: float) -> int:
    """Return the smallest number of bits with which a component is not dropped."""
    return round(probability * 2**16) - 2**15
