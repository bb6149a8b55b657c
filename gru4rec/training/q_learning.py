"""Learn Q, the reward that follows an item, beside what comes next: SQN and SA2C of the field.

Xin et al. (SIGIR 2020, arXiv 2006.05779) give a recommender a second head that learns Q by temporal
differences from the sessions as they are; with sampled negative actions and advantages in Xin et
al. (WSDM 2022, arXiv 2111.03474). The state is the session vector, an action an item, the reward
that of the type of the click on it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gru4rec.model import QHead
from gru4rec.training.batch import TERMINAL, TrainingBatch

_NEGATIVES = 10  # actions of each click that were not taken, as in the papers

# M clicks, C candidates, D of a session vector, A actions of a click: the target, then negatives


@dataclass(frozen=True)
class QLoss:
    """What a window says of Q."""

    loss: Tensor
    """Mean squared temporal difference []."""
    advantages: Tensor
    """By how much Q of the target is above the mean of its actions, at least 0 [M]."""


def q_loss(
    head: QHead,
    vectors_MD: Tensor,
    outputs_CD: Tensor,
    batch: TrainingBatch,
    *,
    discount: float,
    random: torch.Generator,
) -> QLoss:
    """Return the loss of one of the two heads, drawn by lot, and the advantages of the targets.

    For a target a with reward r, Q(s, a) is to be r + discount · Q'(s', best a'), where s' is the
    state after a, the best item is that of the head itself and Q' the other head; r alone where the
    session ends. An item that was not taken has reward 0 and leaves the state as it is. Best items
    are those among the candidates. A click whose next state is in another window says nothing.
    """
    num_clicks, num_outputs = len(vectors_MD), len(outputs_CD)
    device = vectors_MD.device
    own = batch.seed & 1  # known to the host, which waits for no device
    negatives_MA = torch.randint(
        num_outputs, (num_clicks, _NEGATIVES), generator=random, device=device
    )
    actions_MA = torch.cat((batch.targets.unsqueeze(1), negatives_MA), dim=1)
    queries_MD = head.queries(vectors_MD, own)
    q_MA = (outputs_CD[actions_MA] @ queries_MD.unsqueeze(2)).squeeze(2)
    with torch.no_grad():
        best_M = (queries_MD @ outputs_CD.t()).argmax(1)
        other_M = (head.queries(vectors_MD, 1 - own) * outputs_CD[best_M]).sum(1)
        goes_on_M = batch.follows >= 0
        after_M = torch.where(goes_on_M, other_M[batch.follows.clamp_min(0)], 0.0)
        wanted_MA = discount * other_M.unsqueeze(1).repeat(1, actions_MA.shape[1])
        wanted_MA[:, 0] = batch.rewards + discount * after_M
        # Of a negative that is the target after all, the target says what it is worth.
        counts_MA = torch.ones_like(wanted_MA)
        counts_MA[:, 1:] = (negatives_MA != batch.targets.unsqueeze(1)).float() / _NEGATIVES
        counts_MA[:, 0] = (batch.follows >= TERMINAL).float()
        others_M1 = q_MA.mean(1, keepdim=True)
        advantages_M = (q_MA[:, :1] - others_M1).clamp_min(0).squeeze(1)
    squares_MA = (q_MA - wanted_MA).square() * counts_MA
    return QLoss(squares_MA.sum(1).mean(), advantages_M)
