"""Session vectors after given clicks, by running sessions through the encoder in windows."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray
from gru4rec.model.encoders import Packing, State
from gru4rec.model.network import Model
from gru4rec.sessions import (
    ORDINARY_CLICKS,
    SessionArrays,
    SessionParallelWindows,
    bulk_of,
    sent,
    sides_of,
)

# M clicks of a window, W of them whose vectors are wanted, E length of an input, D of a vector


@torch.inference_mode()
def session_vectors(
    model: Model, sessions: SessionArrays, clicks: IntArray
) -> Iterator[tuple[IntArray, Tensor]]:
    """Yield rows of `clicks` [n] and the session vectors after them [n, D], each click once.

    `clicks` are places in `sessions.items`, each once. Windows bound the memory, also for a session
    of a million clicks. They do not change the vectors. Of an endless session an encoder with a
    `max_length` reads what it sees only.
    """
    device = model.output_table.device
    bulk = bulk_of(device)
    if len(sessions) == 1 and 0 < len(sessions.items) <= bulk.lanes:
        yield np.arange(len(clicks)), _of_one(model, sessions)[clicks]
        return
    if not len(clicks):
        return
    asked, session = np.unique(sessions.sessions_of(clicks), return_inverse=True)
    starts = sessions.offsets[asked]
    starts += _unseen(model, clicks - starts[session], session)
    read = np.zeros(len(asked), dtype=np.int64)  # clicks of each session: none after the last
    np.maximum.at(read, session, clicks + 1 - starts[session])
    row_of_click = np.full(clicks.max() + 1 - starts[0], -1)
    row_of_click[clicks - starts[0]] = np.arange(len(clicks))
    model.eval()
    after: State = ()
    for batch in SessionParallelWindows(starts, read, lanes=bulk.lanes, steps=bulk.steps):
        packing = Packing.of(batch.layout).to(device)
        carried = sent(batch.carried, device), sent(batch.carried_from, device)
        state = model.encoder.carry(len(packing.ends), after, *carried)
        inputs_ME = inputs_of(model, sessions, batch.clicks)
        vectors_MD, after = model.encoder(inputs_ME, packing, state)
        rows_M = row_of_click[batch.clicks - starts[0]]
        wanted_W = np.flatnonzero(rows_M >= 0)
        if len(wanted_W):
            yield rows_M[wanted_W], vectors_MD.index_select(0, sent(wanted_W, device))


def _unseen(model: Model, places: IntArray, session: IntArray) -> IntArray:
    """Return how many clicks each session begins with that no vector is made of [S].

    Vectors are those after the clicks at `places` of a `session`, each of which has some [n]. Few
    clicks count as none.
    """
    longest = model.encoder.max_length
    if longest is None:
        return np.zeros(session.max() + 1, dtype=np.int64)
    first = np.full(session.max() + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, session, places)
    unseen = first - longest + 1
    return np.where(unseen > ORDINARY_CLICKS, unseen, 0)


def _of_one(model: Model, session: SessionArrays) -> Tensor:
    """Return the vectors after every click of one session [M, D]: one window of one lane."""
    model.eval()
    every_M = np.arange(len(session.items))
    packing = Packing.of_one_segment(len(every_M)).to(model.output_table.device)
    state = model.encoder.initial_state(1)
    vectors_MD: Tensor = model.encoder(inputs_of(model, session, every_M), packing, state)[0]
    return vectors_MD


def inputs_of(model: Model, sessions: SessionArrays, clicks_M: IntArray) -> Tensor:
    """Return what the encoder reads of clicks [M, E], by their places."""
    device = model.output_table.device
    items_M = sent(sessions.items[clicks_M], device)
    return model.read(items_M, sent(sides_of(clicks_M, sessions.sides), device))
