"""A GRU whose outputs are weighted by attention that asks with the last of them."""

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.context import ContextEncoder
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.padding import Padding


class NARM(ContextEncoder):
    """The encoder of NARM (Li et al., arXiv 1711.04725), with its weights normalised by softmax.

    For GRU outputs o_1 … o_t: a_tj = v · σ(A₁ o_t + A₂ o_j), c_t = Σ_j softmax_j(a_t1 … a_tt) o_j,
    vector = B [o_t, c_t]. The weights of earlier clicks change with every click, so it does not
    stream.
    """

    causal = True

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        width = config.hidden_size
        self.gru = GRU(config, input_size)
        self.of_query, self.of_key = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.weigh = nn.Linear(width, 1, bias=False)
        self.join = nn.Linear(2 * width, width, bias=False)

    # M clicks, S sequences, L clicks of the longest, E length of an input, H units
    def encode(self, inputs_ME: Tensor, packing: Packing, random: torch.Generator | None) -> Tensor:
        """See `ContextEncoder.encode`."""
        initial_state = self.gru.initial_state(len(packing.ends))
        outputs_MH, _ = self.gru(inputs_ME, packing, initial_state, random)
        padding = Padding(packing, inputs_ME.device)
        query_SLH, key_SLH, value_SLH = (
            padding.pad(part_MH)
            for part_MH in (self.of_query(outputs_MH), self.of_key(outputs_MH), outputs_MH)
        )
        # [S, L, L, H] in between: the largest tensor, so it gets no name that would keep it.
        scores_SLL = self.weigh(
            torch.sigmoid(query_SLH.unsqueeze(2) + key_SLH.unsqueeze(1))
        ).squeeze(3)
        longest = scores_SLL.shape[1]
        later_LL = torch.ones(longest, longest, dtype=torch.bool, device=scores_SLL.device).triu(1)
        weights_SLL = torch.softmax(scores_SLL.masked_fill(later_LL, -torch.inf), dim=2)
        context_MH = padding.pack(weights_SLL @ value_SLH)
        vectors_MH: Tensor = self.join(torch.cat((outputs_MH, context_MH), dim=1))
        return vectors_MH
