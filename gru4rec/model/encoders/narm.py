"""A GRU whose outputs are weighted by attention that asks with the last of them."""

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.context import ContextEncoder
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.padding import Padding
from gru4rec.model.encoders.protocol import Packing


class NARM(ContextEncoder):
    """The encoder of NARM (Li et al., arXiv 1711.04725), with its weights normalised by softmax.

    For GRU outputs o_1 … o_t: a_tj = v · σ(A₁ o_t + A₂ o_j), c_t = Σ_j softmax_j(a_t1 … a_tt) o_j,
    vector = B [o_t, c_t]. The weights of earlier clicks change with every click, so it does not
    stream.
    """

    causal = True

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        super().__init__(config, input_size)
        width = config.hidden_size
        self.gru = GRU(config, input_size)
        self.of_query, self.of_key = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.weigh = nn.Linear(width, 1, bias=False)
        self.join = nn.Linear(2 * width, width, bias=False)

    def encode(self, inputs: Tensor, packing: Packing, random: torch.Generator | None) -> Tensor:
        """See `ContextEncoder.encode`."""
        outputs, _ = self.gru(inputs, packing, self.gru.initial_state(len(packing.ends)), random)
        padding = Padding(packing, inputs.device)
        query, key, value = (
            padding.pad(part) for part in (self.of_query(outputs), self.of_key(outputs), outputs)
        )
        scores = self.weigh(torch.sigmoid(query.unsqueeze(2) + key.unsqueeze(1))).squeeze(3)
        longest = scores.shape[1]
        later = torch.ones(longest, longest, dtype=torch.bool, device=scores.device).triu(1)
        weights = torch.softmax(scores.masked_fill(later, -torch.inf), dim=2)
        vectors: Tensor = self.join(torch.cat((outputs, padding.pack(weights @ value)), dim=1))
        return vectors
