"""A GRU, then causal self-attention over its outputs."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from gru4rec.config import EncoderConfig
from gru4rec.errors import ConfigError
from gru4rec.model.encoders.context import ContextEncoder
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.padding import Padding
from gru4rec.model.encoders.protocol import dropout

# M clicks, S sequences, L clicks of the longest, E length of an input, H units, N heads of K = H/N


class _Block(nn.Module):
    """x + attention(norm x), then x + feed-forward(norm x): pre-norm (arXiv 2002.04745)."""

    def __init__(self, width: int, heads: int, layer_dropout: float) -> None:
        super().__init__()
        self._heads, self._dropout = heads, layer_dropout
        self.norm_attention, self.norm_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, rows_MH: Tensor, padding: Padding, random: torch.Generator | None) -> Tensor:
        """Return the packed rows [M, H] after the block."""
        normed_MH = self.norm_attention(rows_MH)
        # A click sees itself and those before it: never what fills a sequence up at its end.
        query_SNLK, key_SNLK, value_SNLK = (
            self._by_head(padding.pad(part(normed_MH)))
            for part in (self.query, self.key, self.value)
        )
        seen_SNLK = scaled_dot_product_attention(query_SNLK, key_SNLK, value_SNLK, is_causal=True)
        seen_MH = self.output(padding.pack(seen_SNLK.transpose(1, 2).flatten(2)))
        rows_MH = rows_MH + dropout(seen_MH, self._dropout, random)
        forward_MH = self.narrow(gelu(self.widen(self.norm_forward(rows_MH))))
        return rows_MH + dropout(forward_MH, self._dropout, random)

    def _by_head(self, padded_SLH: Tensor) -> Tensor:
        """Return the parts of the heads [S, N, L, K]."""
        sequences, longest, width = padded_SLH.shape
        by_head_SLNK = padded_SLH.view(sequences, longest, self._heads, width // self._heads)
        return by_head_SLNK.transpose(1, 2)


class TransformerGRU(ContextEncoder):
    """GRU outputs through `attention_blocks` blocks of `attention_heads` heads, and a last norm.

    The positions of clicks come from the GRU; there is no encoding of them besides.
    """

    causal = True

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.gru = GRU(config, input_size)
        self.blocks = nn.ModuleList(
            _Block(config.hidden_size, config.attention_heads, config.layer_dropout)
            for _ in range(config.attention_blocks)
        )
        self.norm = nn.LayerNorm(config.hidden_size)

    @classmethod
    def check(cls, config: EncoderConfig) -> None:
        """See `Encoder.check`; heads divide the units."""
        super().check(config)
        if (config.hidden_size or 0) % config.attention_heads:
            raise ConfigError(
                f"encoder.hidden_size {config.hidden_size} is no multiple of "
                f"encoder.attention_heads {config.attention_heads}; change one of them"
            )

    def encode(self, inputs_ME: Tensor, packing: Packing, random: torch.Generator | None) -> Tensor:
        """See `ContextEncoder.encode`."""
        initial_state = self.gru.initial_state(len(packing.ends))
        rows_MH, _ = self.gru(inputs_ME, packing, initial_state, random)
        padding = Padding(packing, inputs_ME.device)
        for block in self.blocks:
            rows_MH = block(rows_MH, padding, random)
        vectors_MH: Tensor = self.norm(rows_MH)
        return vectors_MH
