"""The encoder's state of running sessions: a row of numbers each, one step on with every click."""

from collections.abc import Sequence

import numpy as np
import torch

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.model.encoders import Packing, State
from gru4rec.model.encoding import inputs_of
from gru4rec.model.network import Model
from gru4rec.model.one_click import row_after_click
from gru4rec.sessions import RunningSession, SideInputs, arrays_of

# Whose last clicks an encoder reads together: with 50 each, as many as it takes in training.
_SESSIONS_AT_ONCE = 256


# S sessions, F side inputs, M clicks, E length of an input, D of a session vector
def states_after(
    model: Model, rows: Sequence[Float32Array | None], items_S: IntArray, sides_SF: IntArray
) -> Sequence[Float32Array | None]:
    """Return the rows of sessions after one more click of each.

    A row is the encoder's state and the session vector, one tensor after the other; None before
    the first click. An encoder that does not stream has none.
    """
    count = len(rows)
    if not model.encoder.streams:
        return [None] * count
    if count == 1 and (row := row_after_click(model, rows[0], items_S[0])) is not None:
        return [row]
    return _states_after(model, rows, items_S, sides_SF)


@torch.inference_mode()
def _states_after(
    model: Model, rows: Sequence[Float32Array | None], items_S: IntArray, sides_SF: IntArray
) -> Sequence[Float32Array]:
    count = len(rows)
    if model.training:
        model.eval()
    device = model.output_table.device
    packing = Packing.of_single_clicks(count).to(device)
    inputs_SE = model.read(
        torch.from_numpy(items_S).to(device), torch.from_numpy(sides_SF).to(device)
    )
    vectors_SD, after = model.encoder(inputs_SE, packing, _unpacked(model, rows))
    parts = [part.flatten(1) for part in (*after, vectors_SD)]
    packed = torch.cat(parts, dim=1).cpu().numpy()
    return [packed[0]] if count == 1 else [row.copy() for row in packed]  # no row holds the others


def running_queries(
    model: Model, sessions: Sequence[RunningSession], side_inputs: SideInputs
) -> Float32Array:
    """Return what `Model.query_vectors` makes of running sessions that have a click."""
    vectors_SD = running_vectors(model, sessions, side_inputs)
    if model.scores_by_q:
        on_device = torch.from_numpy(vectors_SD).to(model.output_table.device)
        with torch.inference_mode():
            queries: Float32Array = model.query_vectors(on_device).cpu().numpy()
        return queries
    if model.cosine:
        squares_S = np.vecdot(vectors_SD, vectors_SD)
        lengths_S: Float32Array = np.maximum(np.sqrt(squares_S), 1e-12)
        return vectors_SD / lengths_S[:, None] * np.float32(model.scale)
    ones_S1 = np.ones((len(vectors_SD), 1), dtype=np.float32)
    return np.concatenate((vectors_SD, ones_S1), axis=1)


def running_vectors(
    model: Model, sessions: Sequence[RunningSession], side_inputs: SideInputs
) -> Float32Array:
    """Return the session vectors of running sessions that have a click [S, D].

    They stand in their states. An encoder that does not stream reads the last clicks again.
    """
    encoder = model.encoder
    if encoder.streams:
        size = encoder.output_size
        rows = [session.state[-size:] for session in sessions if session.state is not None]
        return np.array(rows)
    starts = range(0, len(sessions), _SESSIONS_AT_ONCE)
    pieces = (sessions[start : start + _SESSIONS_AT_ONCE] for start in starts)
    of_pieces = [_of_last_clicks(model, piece, side_inputs) for piece in pieces]
    return np.concatenate(of_pieces)


def state_size(model: Model) -> int:
    """Return how many numbers are kept of a running session; 0 if the encoder does not stream."""
    encoder = model.encoder
    if not encoder.streams:
        return 0
    return encoder.output_size + sum(part.numel() for part in encoder.initial_state(1))


@torch.inference_mode()
def _of_last_clicks(
    model: Model, sessions: Sequence[RunningSession], side_inputs: SideInputs
) -> Float32Array:
    """Return session vectors [S, D] from the clicks themselves."""
    arrays = arrays_of(sessions, side_inputs, last=model.encoder.max_length)
    longest_first = np.argsort(-arrays.lengths, kind="stable")
    packing = Packing.of_lengths(arrays.lengths[longest_first])
    places_M = packing.layout.places(arrays.offsets[longest_first])
    model.eval()
    inputs_ME = inputs_of(model, arrays, places_M)
    last_SD = model.encoder.last_vectors(inputs_ME, packing.to(inputs_ME.device))
    vectors_SD = np.empty(last_SD.shape, dtype=np.float32)
    vectors_SD[longest_first] = last_SD.cpu().numpy()
    return vectors_SD


def _unpacked(model: Model, rows: Sequence[Float32Array | None]) -> State:
    """Return the state that rows hold, the initial one for None."""
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
