"""A block of causal self-attention and a feed-forward net over packed sequences."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from gru4rec.config import EncoderConfig
from gru4rec.errors import ConfigError
from gru4rec.model.encoders.padding import Padding
from gru4rec.model.encoders.protocol import dropout

# M clicks, S sequences, L clicks of the longest, H units, N heads of K = H/N


class AttentionBlock(nn.Module):
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


def attention_blocks(config: EncoderConfig) -> nn.ModuleList:
    """Return the blocks of a config, one after the other."""
    return nn.ModuleList(
        AttentionBlock(config.hidden_size, config.attention_heads, config.layer_dropout)
        for _ in range(config.attention_blocks)
    )


def check_heads(config: EncoderConfig) -> None:
    """Raise ConfigError if the heads do not divide the units, where these are decided."""
    if (config.hidden_size or 0) % config.attention_heads:
        raise ConfigError(
            f"encoder.hidden_size {config.hidden_size} is no multiple of "
            f"encoder.attention_heads {config.attention_heads}; change one of them"
        )
