"""What encoders share that read the last clicks of a session at once, not one by one."""

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import BoolArray, IntArray
from gru4rec.config import EncoderConfig
from gru4rec.errors import ConfigError
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.protocol import Encoder, State
from gru4rec.sessions import PackedLayout, sent

# Clicks that are encoded at once: what attention between all clicks of each sequence takes
# then fits into some hundred megabytes.
_CLICKS_AT_ONCE = 1 << 14

# M clicks of a batch, S its segments, K carried segments, E length of an input, D of a session
# vector, V = max_length − 1 clicks that are remembered of a session, P = M + S·V rows of the table
# of both, R clicks of the sequences that are encoded together, W of them whose vectors are wanted


class ContextEncoder(Encoder):
    """The vector after a click is a function of the last `max_length` clicks, that one included.

    Its state is their inputs, newest first [S, V, E], and how many there are [S]; before any click
    it is (). Sessions that come whole, as `sessions.WholeSessions` brings them, need no state, and
    pieces of endless ones that of the clicks before them.
    """

    streams = False
    max_length: int
    causal: bool
    """Whether `encode` gives the vectors of all prefixes of a sequence, not of the whole only."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.max_length = config.max_length

    @classmethod
    def check(cls, config: EncoderConfig) -> None:
        """See `Encoder.check`; no state is carried that components could be dropped of."""
        super().check(config)
        if config.state_dropout > 0:
            raise ConfigError(
                f"encoder.state_dropout {config.state_dropout} needs an encoder that streams, got "
                f"{config.name!r}; use training.hidden_dropout"
            )

    @abstractmethod
    def encode(self, inputs_ME: Tensor, packing: Packing, random: torch.Generator | None) -> Tensor:
        """Return vectors [M, D] of sequences of at most `max_length` clicks, packed.

        They are those after every click, or if it is not `causal`, after the last click of each
        sequence, in the rows of those.
        """

    def last_vectors(self, inputs_ME: Tensor, packing: Packing) -> Tensor:
        """See `Encoder.last_vectors`."""
        return self.encode(inputs_ME, packing, None).index_select(0, packing.ends)

    def initial_state(self, num_sessions: int) -> State:
        """Return nothing: there are no clicks to keep."""
        return ()

    def carry(
        self, num_sessions: int, after: State, carried_K: Tensor, carried_from_K: Tensor
    ) -> State:
        """See `Encoder.carry`."""
        if not after or not len(carried_K):
            return ()
        before = tuple(part.new_zeros(num_sessions, *part.shape[1:]) for part in after)
        for part, earlier in zip(before, after, strict=True):
            part.index_copy_(0, carried_K, earlier.index_select(0, carried_from_K))
        return before

    def reread(self, earlier_XE: Tensor, num_sessions: int) -> State:
        """Return the state of sessions after the last `max_length` − 1 clicks of each.

        `earlier` are their inputs, session after session, the newest click first [X, E]. It is
        asked for in training, of the pieces of an endless session.
        """
        earlier_KVE = earlier_XE.view(num_sessions, -1, self.input_size)
        counts_K = torch.full((num_sessions,), earlier_KVE.shape[1], device=earlier_XE.device)
        return earlier_KVE, counts_K

    def forward(
        self,
        inputs_ME: Tensor,
        packing: Packing,
        state: State,
        random: torch.Generator | None = None,
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`; in training, where sessions come whole, the state after is ()."""
        short = len(packing.block_sizes) <= self.max_length
        if self.training and not state and self.causal and short:
            return self.encode(inputs_ME, packing, random), ()
        table_PE, counts_S = inputs_ME, np.zeros(len(packing.ends), dtype=np.int64)
        if state:
            table_PE = torch.cat((inputs_ME, state[0].flatten(0, 1)))
            counts_S = state[1].cpu().numpy()
        clicks = _Clicks(packing.layout, counts_S, self.max_length - 1)
        vectors_MD = self._encode_all(table_PE, clicks, random)
        return vectors_MD, () if self.training else self._state_after(table_PE, clicks)

    def _encode_all(
        self, table_PE: Tensor, clicks: "_Clicks", random: torch.Generator | None
    ) -> Tensor:
        """Return the vectors after every click of the batch [M, D]."""
        device = table_PE.device
        vectors_WD, places_W = [], []
        for rows_R, packing, wanted_W in clicks.sequences(self.max_length, causal=self.causal):
            inputs_RE = table_PE.index_select(0, sent(rows_R, device))
            encoded_RD = self.encode(inputs_RE, packing.to(device), random)
            vectors_WD.append(encoded_RD.index_select(0, sent(wanted_W, device)))
            places_W.append(rows_R[wanted_W])
        order_M = sent(np.argsort(np.concatenate(places_W)), device)
        return torch.cat(vectors_WD).index_select(0, order_M)

    def _state_after(self, table_PE: Tensor, clicks: "_Clicks") -> State:
        """Return the inputs of the last clicks of each session, and how many there are."""
        rows_SV, counts_S = (sent(part, table_PE.device) for part in clicks.last())
        kept_PE = table_PE.index_select(0, rows_SV.flatten())
        return kept_PE.view(*rows_SV.shape, self.input_size), counts_S


class _Clicks:
    """Where the input of each click of each session stands in one table.

    The table holds the clicks of a batch in packed order [M], then, session after session, the V
    clicks before them that are remembered, newest first.
    """

    def __init__(self, layout: PackedLayout, counts_S: IntArray, num_kept: int) -> None:
        """`counts` are the clicks of each session that are remembered, `num_kept` is V."""
        self._layout, self._counts_S, self._num_kept = layout, counts_S, num_kept
        # The place of each row in its session, counted from the first click that is remembered:
        self._places_M = counts_S[layout.segments] + layout.positions

    def _rows(self, sessions: IntArray, places: IntArray) -> IntArray:
        """Return the rows of the table for places in sessions."""
        starts = self._layout.block_starts
        back = self._counts_S[sessions] - 1 - places  # ≥ 0 for those remembered
        new = starts[np.clip(-back - 1, 0, len(starts) - 1)] + sessions
        old = len(self._places_M) + sessions * self._num_kept + back
        return np.where(back >= 0, old, new)

    def sequences(
        self, longest: int, *, causal: bool
    ) -> Iterator[tuple[IntArray, Packing, IntArray]]:
        """Yield sequences of at most `longest` clicks that end with, or run through, every click.

        They come in bounded pieces: the rows of their clicks in packed order [R], their packing,
        and where in that order those clicks of the batch stand whose vectors are wanted [W]. Each
        click of the batch is wanted in one piece. If `causal`, one sequence serves the first
        `longest` clicks of a session; every other click has a sequence of its own, which ends with
        it.
        """
        sessions, ends, serves_all = self._needed_sequences(longest, causal=causal)
        lengths = np.minimum(ends + 1, longest)
        order = np.argsort(-lengths, kind="stable")
        piece = np.cumsum(lengths[order]) // _CLICKS_AT_ONCE
        for chosen in np.split(order, np.flatnonzero(np.diff(piece)) + 1):
            packing = Packing.of_lengths(lengths[chosen])
            places_R = packing.layout.places((ends - lengths + 1)[chosen])
            sequences_R = chosen[packing.layout.segments]
            rows_R = self._rows(sessions[sequences_R], places_R)
            wanted_R = serves_all[sequences_R] | (places_R == ends[sequences_R])
            in_batch_R = rows_R < len(self._places_M)
            yield rows_R, packing, np.flatnonzero(wanted_R & in_batch_R)

    def _needed_sequences(
        self, longest: int, *, causal: bool
    ) -> tuple[IntArray, IntArray, BoolArray]:
        """Return of each sequence its session, its last place, and whether all its clicks count."""
        session_M, lengths_S = self._layout.segments, self._layout.lengths
        own_M = self._places_M >= longest if causal else np.ones(len(session_M), dtype=bool)
        shared = np.unique(session_M[~own_M])
        total = np.minimum(longest, (self._counts_S + lengths_S)[shared])
        sessions = np.concatenate((shared, session_M[own_M]))
        ends = np.concatenate((total - 1, self._places_M[own_M]))
        return sessions, ends, np.arange(len(sessions)) < len(shared)

    def last(self) -> tuple[IntArray, IntArray]:
        """Return the rows of the last V clicks of each session, newest first, and their numbers.

        That is [S, V] and [S]. Where there are fewer than V, any row fills up.
        """
        sessions_S1 = np.arange(len(self._counts_S))[:, None]
        total_S = self._counts_S + self._layout.lengths
        places_SV = total_S[:, None] - 1 - np.arange(self._num_kept)
        rows_SV = self._rows(sessions_S1, np.maximum(places_SV, 0))
        return rows_SV, np.minimum(total_S, self._num_kept)
