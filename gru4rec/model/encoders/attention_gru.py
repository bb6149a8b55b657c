"""A GRU whose outputs so far are weighted by attention: a running mean of constant size."""

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.protocol import Encoder, State

# M clicks, S segments, E length of an input, H units, B clicks at one position


class AttentionGRU(Encoder):
    """The session vector joins the last GRU output with a weighted mean of all outputs so far.

    For GRU outputs o_1 … o_t: a_j = w · o_j, c_t = Σ_j softmax_j(a_1 … a_t) o_j, vector =
    W [o_t, c_t] + b. Since a_j does not depend on t, c_t is a running mean: with the log of the sum
    of weights L_t = log(exp L_{t−1} + exp a_t),

        c_t = exp(L_{t−1} − L_t) c_{t−1} + exp(a_t − L_t) o_t,

    in which nothing overflows and early prefixes do not underflow, whatever the scores. Its state
    is that of the GRU, c and L.
    """

    takes_lanes = True

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.gru = GRU(config, input_size)
        self.attention = nn.Linear(config.hidden_size, 1, bias=False)
        self.join = nn.Linear(2 * config.hidden_size, config.hidden_size)

    def initial_state(self, num_sessions: int) -> State:
        """Return the GRU's state, a mean of zeros [num_sessions, H], and log 0 of no weights."""
        mean_SH = self.join.weight.new_zeros(num_sessions, self.output_size)
        log_sum_S1 = mean_SH.new_full((num_sessions, 1), -torch.inf)
        return (*self.gru.initial_state(num_sessions), mean_SH, log_sum_S1)

    def forward(
        self,
        inputs_ME: Tensor,
        packing: Packing,
        state: State,
        random: torch.Generator | None = None,
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`."""
        *gru_state, mean_SH, log_sum_S1 = state
        outputs_MH, after = self.gru(inputs_ME, packing, tuple(gru_state), random)
        means_MH, log_sums_M1 = running_mean(
            outputs_MH, self.attention(outputs_MH), packing, mean_SH, log_sum_S1
        )
        vectors_MH = self.join(torch.cat((outputs_MH, means_MH), dim=1))
        ends = packing.ends
        return vectors_MH, (
            *after, means_MH.index_select(0, ends), log_sums_M1.index_select(0, ends)
        )  # fmt: skip


def running_mean(
    values_MH: Tensor, scores_M1: Tensor, packing: Packing, mean_SH: Tensor, log_sum_S1: Tensor
) -> tuple[Tensor, Tensor]:
    """Return means of the values so far, weighted by the exp of their scores [M, H].

    And the logs of the sums of those weights [M, 1]. `mean` and `log_sum` are those before each
    segment; where a session begins in a lane there are none.
    """
    means, log_sums = [], []
    sizes = packing.block_sizes
    begins_M1 = None if packing.begins is None else packing.begins.unsqueeze(1)
    blocks = zip(torch.split(values_MH, sizes), torch.split(scores_M1, sizes), strict=True)
    mean_BH, log_sum_B1 = mean_SH, log_sum_S1
    for position, (value_BH, score_B1) in enumerate(blocks):
        before_B1 = log_sum_B1[: len(value_BH)]
        if begins_M1 is not None:
            begins_B1 = torch.split(begins_M1, sizes)[position]
            before_B1 = before_B1.masked_fill(begins_B1, -torch.inf)
        log_sum_B1 = torch.logaddexp(before_B1, score_B1)
        earlier_BH = mean_BH[: len(value_BH)] * torch.exp(before_B1 - log_sum_B1)
        mean_BH = earlier_BH + value_BH * torch.exp(score_B1 - log_sum_B1)
        means.append(mean_BH)
        log_sums.append(log_sum_B1)
    return torch.cat(means), torch.cat(log_sums)
