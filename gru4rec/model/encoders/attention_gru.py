"""A GRU whose outputs so far are weighted by attention: a running mean of constant size."""

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.protocol import Encoder, Packing, State


class AttentionGRU(Encoder):
    """The session vector joins the last GRU output with a weighted mean of all outputs so far.

    For GRU outputs o_1 … o_t: a_j = w · o_j, c_t = Σ_j softmax_j(a_1 … a_t) o_j, vector =
    W [o_t, c_t] + b. Since a_j does not depend on t, c_t is a running mean: with the log of the sum
    of weights L_t = log(exp L_{t−1} + exp a_t),

        c_t = exp(L_{t−1} − L_t) c_{t−1} + exp(a_t − L_t) o_t,

    in which nothing overflows and early prefixes do not underflow, whatever the scores. Its state
    is that of the GRU, c and L.
    """

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        super().__init__()
        self.output_size = config.hidden_size
        self.gru = GRU(config, input_size)
        self.attention = nn.Linear(config.hidden_size, 1, bias=False)
        self.join = nn.Linear(2 * config.hidden_size, config.hidden_size)

    def initial_state(self, num_sessions: int) -> State:
        """The GRU's state, a mean of zeros [num_sessions, H] and a sum of no weights, log 0."""
        mean = self.join.weight.new_zeros(num_sessions, self.output_size)
        log_sum = mean.new_full((num_sessions, 1), -torch.inf)
        return (*self.gru.initial_state(num_sessions), mean, log_sum)

    def forward(
        self, inputs: Tensor, packing: Packing, state: State, random: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """See `Encoder.forward`."""
        *gru_state, mean, log_sum = state
        outputs, after = self.gru(inputs, packing, tuple(gru_state), random)
        means, log_sums = running_mean(outputs, self.attention(outputs), packing, mean, log_sum)
        vectors = self.join(torch.cat((outputs, means), dim=1))
        ends = packing.ends
        return vectors, (*after, means.index_select(0, ends), log_sums.index_select(0, ends))


def running_mean(
    values: Tensor, scores: Tensor, packing: Packing, mean: Tensor, log_sum: Tensor
) -> tuple[Tensor, Tensor]:
    """Means of the values so far, weighted by the exp of their scores, after every click [M, H].

    And the logs of the sums of weights [M, 1]. `mean` [S, H] and `log_sum` [S, 1] are those before
    each segment.
    """
    means, log_sums = [], []
    sizes = packing.block_sizes
    blocks = zip(torch.split(values, sizes), torch.split(scores, sizes), strict=True)
    for value, score in blocks:
        before = log_sum[: len(value)]
        log_sum = torch.logaddexp(before, score)
        mean = mean[: len(value)] * torch.exp(before - log_sum) + value * torch.exp(score - log_sum)
        means.append(mean)
        log_sums.append(log_sum)
    return torch.cat(means), torch.cat(log_sums)
