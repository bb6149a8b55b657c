"""SASRec: a plain causal transformer over item embeddings and positions."""

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.attention_block import attention_blocks, check_heads
from gru4rec.model.encoders.context import ContextEncoder
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.padding import Padding
from gru4rec.sessions import sent

# M clicks, E length of an input, H units


class SASRec(ContextEncoder):
    """Inputs + positions through `attention_blocks` blocks, and a last norm.

    Kang & McAuley, ICDM 2018 (arXiv 1808.09781). As in its code, a sequence stands at the right end
    of the window: the newest click has position 0, whatever the length. So each prefix is a
    sequence of its own. Other than there, blocks are pre-norm (arXiv 2002.04745).
    """

    causal = False

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        size = config.hidden_size
        self.widen = nn.Linear(input_size, size, bias=False) if input_size != size else None
        self.positions = nn.Parameter(torch.zeros(config.max_length, size))
        self.blocks = attention_blocks(config)
        self.norm = nn.LayerNorm(size)

    @classmethod
    def check(cls, config: EncoderConfig) -> None:
        """See `Encoder.check`; heads divide the units."""
        super().check(config)
        check_heads(config)

    def encode(self, inputs_ME: Tensor, packing: Packing, random: torch.Generator | None) -> Tensor:
        """See `ContextEncoder.encode`."""
        layout = packing.layout
        ages_M = layout.lengths[layout.segments] - 1 - layout.positions
        rows_MH = inputs_ME if self.widen is None else self.widen(inputs_ME)
        rows_MH = rows_MH + self.positions[sent(ages_M, inputs_ME.device)]
        padding = Padding(packing, inputs_ME.device)
        for block in self.blocks:
            rows_MH = block(rows_MH, padding, random)
        vectors_MH: Tensor = self.norm(rows_MH)
        return vectors_MH
