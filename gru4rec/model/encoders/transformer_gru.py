"""A GRU, then causal self-attention over its outputs."""

import torch
from torch import Tensor, nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.attention_block import attention_blocks, check_heads
from gru4rec.model.encoders.context import ContextEncoder
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.padding import Padding

# M clicks, E length of an input, H units


class TransformerGRU(ContextEncoder):
    """GRU outputs through `attention_blocks` blocks of `attention_heads` heads, and a last norm.

    The positions of clicks come from the GRU; there is no encoding of them besides.
    """

    causal = True

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.gru = GRU(config, input_size)
        self.blocks = attention_blocks(config)
        self.norm = nn.LayerNorm(config.hidden_size)

    @classmethod
    def check(cls, config: EncoderConfig) -> None:
        """See `Encoder.check`; heads divide the units."""
        super().check(config)
        check_heads(config)

    def encode(self, inputs_ME: Tensor, packing: Packing, random: torch.Generator | None) -> Tensor:
        """See `ContextEncoder.encode`."""
        initial_state = self.gru.initial_state(len(packing.ends))
        rows_MH, _ = self.gru(inputs_ME, packing, initial_state, random)
        padding = Padding(packing, inputs_ME.device)
        for block in self.blocks:
            rows_MH = block(rows_MH, padding, random)
        vectors_MH: Tensor = self.norm(rows_MH)
        return vectors_MH
