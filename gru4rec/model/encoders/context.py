"""What encoders share that read the last clicks of a session at once, not one by one."""

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray
from gru4rec.config import EncoderConfig
from gru4rec.errors import ConfigError
from gru4rec.model.encoders.protocol import Encoder, Packing, State

# Clicks that are encoded at once: what attention between all clicks of each sequence takes
# then fits into some hundred megabytes.
_CLICKS_AT_ONCE = 1 << 14


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
        """Float32Array [M, D] of sequences of at most `max_length` clicks, packed [M, E].

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
        device = inputs.device
        parts, found = [], []
        for rows, sequences, ends in clicks.sequences(self.max_length, causal=self.causal):
            packed = pool.index_select(0, torch.from_numpy(rows).to(device))
            encoded = self.encode(packed, sequences.to(device), random)
            parts.append(encoded.index_select(0, torch.from_numpy(ends).to(device)))
            found.append(rows[ends])
        order = torch.from_numpy(np.argsort(np.concatenate(found))).to(device)
        vectors = torch.cat(parts).index_select(0, order)
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

    def sequences(
        self, longest: int, *, causal: bool
    ) -> Iterator[tuple[IntArray, Packing, IntArray]]:
        """Sequences of at most `longest` clicks that end with, or run through, every click.

        In bounded pieces: the rows of their clicks in packed order, their packing, and where in
        that order the vectors of clicks of the batch stand, each of them in one piece. If `causal`,
        one sequence serves the first `longest` clicks of a session; every other click has one of
        its own, which ends with it.
        """
        own = self._place >= longest if causal else np.ones(len(self._session), dtype=bool)
        shared = np.unique(self._session[~own])
        total = np.minimum(longest, (self._counts + self._lengths)[shared])
        session = np.concatenate((shared, self._session[own]))
        end = np.concatenate((total - 1, self._place[own]))
        serves_all = np.arange(len(session)) < len(shared)
        length = np.minimum(end + 1, longest)

        order = np.argsort(-length, kind="stable")
        piece = np.cumsum(length[order]) // _CLICKS_AT_ONCE
        for some in np.split(order, np.flatnonzero(np.diff(piece)) + 1):
            packing = Packing.of_lengths(length[some])
            of_row = some[packing.sequences]
            place = (end - length + 1)[of_row] + packing.positions
            rows = self._row(session[of_row], place)
            wanted = serves_all[of_row] | (place == end[of_row])
            yield rows, packing, np.flatnonzero(wanted & (rows < len(self._session)))

    def last(self, count: int) -> tuple[IntArray, IntArray]:
        """The rows of the last `count` clicks of each session, newest first [S, count], any row
        where there are fewer; and how many there are [S]."""
        session = np.arange(len(self._lengths))[:, None]
        total = self._counts + self._lengths
        place = total[:, None] - 1 - np.arange(count)
        return self._row(session, np.maximum(place, 0)), np.minimum(total, count)
