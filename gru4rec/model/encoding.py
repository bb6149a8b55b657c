"""Session vectors after given clicks, by running sessions through the encoder in windows."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray
from gru4rec.model.encoders import Packing, State
from gru4rec.model.network import Model
from gru4rec.sessions import SessionArrays, SessionParallelWindows, sides_of


@torch.inference_mode()
def session_vectors(
    model: Model, sessions: SessionArrays, clicks: IntArray, *, lanes: int = 256, steps: int = 32
) -> Iterator[tuple[IntArray, Tensor]]:
    """Yield rows of `clicks` [n] and the session vectors after them [n, D], each click once.

    `clicks` are places in `sessions.items`, each once. Windows bound the memory, also for a session
    of a million clicks; they do not change the vectors.
    """
    if len(sessions) == 1 and 0 < len(sessions.items) <= lanes:
        yield np.arange(len(clicks)), _of_one(model, sessions)[clicks]
        return
    row_of_click = np.full(len(sessions.items), -1)
    row_of_click[clicks] = np.arange(len(clicks))
    session = np.searchsorted(sessions.offsets, clicks, side="right") - 1
    read = np.zeros(len(sessions), dtype=np.int64)  # clicks of each session: none after the last
    np.maximum.at(read, session, clicks + 1 - sessions.offsets[session])
    device = model.output_table.device
    model.eval()
    after: State = ()
    for batch in SessionParallelWindows(sessions.offsets[:-1], read, lanes=lanes, steps=steps):
        packing = Packing.of(batch).to(device)
        carried, carried_from = (
            torch.from_numpy(a).to(device) for a in (batch.carried, batch.carried_from)
        )
        state = model.encoder.carry(len(batch.lengths), after, carried, carried_from)
        inputs = inputs_of(model, sessions, batch.clicks)
        vectors, after = model.encoder(inputs, packing, state)
        rows = row_of_click[batch.clicks]
        wanted = np.flatnonzero(rows >= 0)
        if len(wanted):
            yield rows[wanted], vectors.index_select(0, torch.from_numpy(wanted).to(device))


def _of_one(model: Model, session: SessionArrays) -> Tensor:
    """The vectors after every click of one session: one window of one lane."""
    device = model.output_table.device
    model.eval()
    every = np.arange(len(session.items))
    packing = Packing([1] * len(every), torch.from_numpy(every[-1:])).to(device)
    state = model.encoder.initial_state(1)
    vectors: Tensor = model.encoder(inputs_of(model, session, every), packing, state)[0]
    return vectors


def inputs_of(model: Model, sessions: SessionArrays, clicks: IntArray) -> Tensor:
    """What the encoder reads of clicks, by their places."""
    device = model.output_table.device
    items = torch.from_numpy(sessions.items[clicks]).to(device)
    return model.read(items, torch.from_numpy(sides_of(clicks, sessions.sides)).to(device))
