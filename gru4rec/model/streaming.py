"""The encoder's state of running sessions: a row of numbers each, one step on with every click."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.model.encoders import ContextEncoder, Packing, State
from gru4rec.model.encoding import inputs_of
from gru4rec.model.network import Model
from gru4rec.sessions import RunningSession, SideInputs, arrays_of

# Whose last clicks an encoder reads together: with 50 each, as many as it takes in training.
_SESSIONS_AT_ONCE = 256


# S sessions, F side inputs, D length of a session vector
@torch.inference_mode()
def states_after(
    model: Model, rows: Sequence[Float32Array | None], items: IntArray, sides: IntArray
) -> Sequence[Float32Array | None]:
    """The rows of sessions after one more click of each, on `items` [S] with `sides` [S, F].

    A row is the encoder's state and the session vector, one tensor after the other; None before
    the first click. An encoder that reads the last clicks again has none.
    """
    count = len(rows)
    if isinstance(model.encoder, ContextEncoder):
        return [None] * count
    if model.training:
        model.eval()
    device = model.output_table.device
    packing = Packing([count], torch.arange(count)).to(device)
    inputs = model.read(torch.from_numpy(items).to(device), torch.from_numpy(sides).to(device))
    vectors, after = model.encoder(inputs, packing, _unpacked(model, rows))
    packed = torch.cat([part.flatten(1) for part in (*after, vectors)], dim=1).cpu().numpy()
    return [packed[0]] if count == 1 else [row.copy() for row in packed]  # no row holds the others


def running_vectors(
    model: Model, sessions: Sequence[RunningSession], side_inputs: SideInputs
) -> Tensor:
    """The session vectors of running sessions that have a click [S, D]."""
    encoder, device = model.encoder, model.output_table.device
    if isinstance(encoder, ContextEncoder):
        starts = range(0, len(sessions), _SESSIONS_AT_ONCE)
        pieces = [sessions[start : start + _SESSIONS_AT_ONCE] for start in starts]
        return torch.cat([_of_last_clicks(model, encoder, each, side_inputs) for each in pieces])
    rows = [
        session.state[-encoder.output_size :] for session in sessions if session.state is not None
    ]
    return torch.from_numpy(np.stack(rows)).to(device)


def _of_last_clicks(
    model: Model,
    encoder: ContextEncoder,
    sessions: Sequence[RunningSession],
    side_inputs: SideInputs,
) -> Tensor:
    """The session vectors of an encoder that reads the last clicks at once [S, D]."""
    arrays = arrays_of(sessions, side_inputs, last=encoder.max_length)
    longest_first = np.argsort(-arrays.lengths, kind="stable")
    packing = Packing.of_lengths(arrays.lengths[longest_first])
    places = arrays.offsets[longest_first][packing.sequences] + packing.positions
    packing = packing.to(model.output_table.device)
    model.eval()
    encoded = encoder.encode(inputs_of(model, arrays, places), packing, None)
    vectors = torch.empty(len(sessions), encoder.output_size, device=encoded.device)
    vectors[longest_first] = encoded.index_select(0, packing.ends)
    return vectors


def _unpacked(model: Model, rows: Sequence[Float32Array | None]) -> State:
    """The state that rows hold, the initial one for None."""
    initial = model.encoder.initial_state(1)
    if not initial:
        return ()
    first = torch.cat([part.flatten(1) for part in initial], dim=1).cpu().numpy()[0]
    size = len(first)
    stacked = np.stack([first if row is None else row[:size] for row in rows])
    parts = torch.split(torch.from_numpy(stacked), [part.numel() for part in initial], dim=1)
    return tuple(
        part.reshape(len(rows), *like.shape[1:]).to(like.device)
        for part, like in zip(parts, initial, strict=True)
    )
