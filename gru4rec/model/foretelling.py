"""What a model's head says of the outcome of sessions, after given clicks and as they run."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gru4rec.arraytypes import Float64Array, IntArray
from gru4rec.model.encoding import session_vectors
from gru4rec.model.network import Model
from gru4rec.model.outcome_head import OutcomeHead
from gru4rec.model.streaming import running_vectors
from gru4rec.sessions import RunningSession, SessionArrays, SideInputs, sent


# n clicks, S sessions, K classes
@torch.inference_mode()
def outcome_logits(model: Model, sessions: SessionArrays, clicks: IntArray) -> Tensor:
    """Return the logits after each given click, by its session up to and with it [n, K]."""
    head = _head_of(model)
    logits = torch.zeros(len(clicks), len(head), device=model.output_table.device)
    for rows, vectors in session_vectors(model, sessions, clicks):
        logits[sent(rows, logits.device)] = head(vectors)
    return logits.double().cpu()


def outcome_probabilities(model: Model, sessions: SessionArrays, clicks: IntArray) -> Float64Array:
    """Return the probability of each class after each given click [n, K]."""
    return _shares(outcome_logits(model, sessions, clicks))


@torch.inference_mode()
def running_outcomes(
    model: Model, sessions: Sequence[RunningSession], side_inputs: SideInputs
) -> Float64Array:
    """Return the probabilities for running sessions that have a click [S, K]."""
    head = _head_of(model)
    vectors_SD = torch.from_numpy(running_vectors(model, sessions, side_inputs))
    return _shares(head(vectors_SD.to(head.bias.device)).double().cpu())


def _head_of(model: Model) -> OutcomeHead:
    if model.outcome is None:
        raise ValueError("the model has no head for outcomes")
    return model.outcome


def _shares(logits: Tensor) -> Float64Array:
    shares: Float64Array = torch.softmax(logits, dim=1).numpy()
    return shares
