"""What encoders share that read the last clicks of a session at once, not one by one."""

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from gru4rec.arrays import IntArray
from gru4rec.config import EncoderConfig
from gru4rec.encoders.protocol import Encoder, Packing, State
from gru4rec.errors import ConfigError


class ContextEncoder(Encoder):
    """The vector after a click is a function of the last `max_length` clicks, that one included.

    Its state is their input embeddings, newest first [S, max_length − 1, E], and how many there are
    [S]; before any click it is (). Sessions that come whole, as `batching.WholeSessions` brings
    them, need no state.
    """

    whole_sessions = True
    causal: bool
    """Whether `encode` gives the vectors of all prefixes of a sequence, not of the whole only."""

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        super().__init__()
        if input_size is None:
            raise TypeError("this encoder keeps input embeddings, not ready-made products")
        if config.state_dropout > 0:
            raise ConfigError(
                f"encoder.state_dropout {config.state_dropout} needs an encoder that streams, got "
                f"{config.name!r}; use training.hidden_dropout"
            )
        self.output_size = config.hidden_size
        self.max_length, self._input_size = config.max_length, input_size

    @abstractmethod
    def encode(self, inputs: Tensor, packing: Packing, random: torch.Generator | None) -> Tensor:
        """Vectors [M, D] of sequences of at most `max_length` clicks, packed [M, E].

        After every click, or if it is not `causal`, after the last click of each, in those rows.
        """

    def initial_state(self, num_sessions: int) -> State:
        """Nothing: no clicks to keep."""
        return ()

    def carry(
        self, num_sessions: int, after: State, carried: Tensor, carried_from: Tensor
    ) -> State:
        """See `Encoder.carry`."""
        if not after or not len(carried):
            return ()
        kept, counts = after
        before = (
            kept.new_zeros(num_sessions, *kept.shape[1:]),
            counts.new_zeros(num_sessions),
        )
        for part, earlier in zip(before, after, strict=True):
            part.index_copy_(0, carried, earlier.index_select(0, carried_from))
        return before

    def forward(
        self, inputs: Tensor, packing: Packing, state: State, random: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`; in training, where sessions come whole, the state after is ()."""
        num_sessions, kept = packing.block_sizes[0], self.max_length - 1
        short = len(packing.block_sizes) <= self.max_length
        if self.training and not state and self.causal and short:
            return self.encode(inputs, packing, random), ()
        counts = np.zeros(num_sessions, dtype=np.int64)
        pool = inputs
        if state:
            pool = torch.cat((inputs, state[0].flatten(0, 1)))
            counts = state[1].cpu().numpy()
        clicks = _Clicks(packing, counts, kept)
        rows, sequences, places = clicks.sequences(self.max_length, causal=self.causal)
        device = inputs.device
        packed = pool.index_select(0, torch.from_numpy(rows).to(device))
        encoded = self.encode(packed, sequences.to(device), random)
        vectors = encoded.index_select(0, torch.from_numpy(places).to(device))
        if self.training:
            return vectors, ()
        last, counts = clicks.last(kept)
        after = pool.index_select(0, torch.from_numpy(last).to(device).flatten())
        after = after.view(num_sessions, kept, self._input_size)
        return vectors, (after, torch.from_numpy(counts).to(device))


class _Clicks:
    """Where the input embedding of each click of each session stands in one table.

    The table holds the clicks of a batch in packed order [M], then, session after session, the
    `kept` clicks before them that are remembered, newest first.
    """

    def __init__(self, packing: Packing, counts: IntArray, kept: int) -> None:
        """`counts`: clicks of each session that are remembered [S]."""
        self._starts, self._counts, self._kept = packing.starts, counts, kept
        self._session = packing.sequences  # of each row [M]
        self._place = counts[self._session] + packing.positions  # of each row in its session [M]
        self._lengths = np.bincount(self._session)  # in the batch [S]

    def _row(self, session: IntArray, place: IntArray) -> IntArray:
        """The row of a session's click, counted from the first that is remembered."""
        back = self._counts[session] - 1 - place  # ≥ 0 for those remembered
        new = self._starts[np.clip(-back - 1, 0, len(self._starts) - 1)] + session
        old = len(self._session) + session * self._kept + back
        return np.where(back >= 0, old, new)

    def sequences(self, longest: int, *, causal: bool) -> tuple[IntArray, Packing, IntArray]:
        """Sequences of at most `longest` clicks that end with, or run through, every click.

        Returns the rows of their clicks in packed order, their packing, and where in it the vector
        of each row of the batch is found [M]. If `causal`, one sequence serves the first `longest`
        clicks of a session; every other click has one of its own, which ends with it.
        """
        own = np.ones(len(self._session), dtype=bool)
        if causal:
            own = self._place >= longest
            shared = np.unique(self._session[~own])
            total = np.minimum(longest, (self._counts + self._lengths)[shared])
        else:
            shared = total = np.empty(0, dtype=np.int64)
        session = np.concatenate((shared, self._session[own]))
        end = np.concatenate((total - 1, self._place[own]))
        length = np.minimum(end + 1, longest)

        order = np.argsort(-length, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        packing = Packing.of_lengths(length[order])
        of_row = order[packing.sequences]
        rows = self._row(session[of_row], (end - length + 1)[of_row] + packing.positions)

        places = np.empty(len(self._session), dtype=np.int64)
        places[own] = packing.ends.numpy()[rank[len(shared) :]]
        if causal:
            of_session = np.zeros(len(self._lengths), dtype=np.int64)
            of_session[shared] = rank[: len(shared)]
            places[~own] = packing.starts[self._place[~own]] + of_session[self._session[~own]]
        return rows, packing, places

    def last(self, count: int) -> tuple[IntArray, IntArray]:
        """The rows of the last `count` clicks of each session, newest first [S, count], any row
        where there are fewer; and how many there are [S]."""
        session = np.arange(len(self._lengths))[:, None]
        total = self._counts + self._lengths
        place = total[:, None] - 1 - np.arange(count)
        return self._row(session, np.maximum(place, 0)), np.minimum(total, count)
