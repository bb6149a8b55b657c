"""The encoder's state of running sessions: a row of numbers each, one step on with every click."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gru4rec.arrays import FloatArray, IntArray
from gru4rec.encoders import Packing, State
from gru4rec.encoding import session_vectors
from gru4rec.model import Model
from gru4rec.running_session import RunningSession, arrays_of
from gru4rec.side_inputs import SideInputs


# S sessions, F side inputs, D length of a session vector
@torch.inference_mode()
def next_states(
    model: Model, rows: Sequence[FloatArray | None], items: IntArray, sides: IntArray
) -> Sequence[FloatArray | None]:
    """The rows of sessions after one more click of each, on `items` [S] with `sides` [S, F].

    A row is the encoder's state and the session vector, one tensor after the other; None before
    the first click. An encoder that reads the last clicks again has none.
    """
    count = len(rows)
    if model.encoder.max_length is not None:
        return [None] * count
    if model.training:
        model.eval()
    device = model.output_table.device
    packing = Packing([count], torch.arange(count)).to(device)
    inputs = model.read(torch.from_numpy(items).to(device), torch.from_numpy(sides).to(device))
    vectors, after = model.encoder(inputs, packing, _unpacked(model, rows))
    packed = torch.cat([part.flatten(1) for part in (*after, vectors)], dim=1).cpu().numpy()
    return [packed[0]] if count == 1 else [row.copy() for row in packed]  # no row holds the others


def vectors_of(model: Model, sessions: Sequence[RunningSession], side_inputs: SideInputs) -> Tensor:
    """The session vectors of running sessions that have a click [S, D]."""
    width = model.encoder.output_size
    if model.encoder.max_length is None:
        rows = [session.state[-width:] for session in sessions if session.state is not None]
        return torch.from_numpy(np.stack(rows)).to(model.output_table.device)
    arrays = arrays_of(sessions, side_inputs, last=model.encoder.max_length)
    last = arrays.offsets[1:] - 1
    vectors = torch.empty(len(sessions), width, device=model.output_table.device)
    for clicks, found in session_vectors(model, arrays, last):
        vectors[torch.from_numpy(np.searchsorted(last, clicks)).to(vectors.device)] = found
    return vectors


def _unpacked(model: Model, rows: Sequence[FloatArray | None]) -> State:
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
