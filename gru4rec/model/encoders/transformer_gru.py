"""A GRU, then causal self-attention over its outputs."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders.context import ContextEncoder
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.padding import Padding
from gru4rec.model.encoders.protocol import Packing, dropout


class _Block(nn.Module):
    """x + attention(norm x), then x + feed-forward(norm x): pre-norm (arXiv 2002.04745)."""

    def __init__(self, width: int, heads: int, layer_dropout: float) -> None:
        super().__init__()
        self._heads, self._dropout = heads, layer_dropout
        self.norm_attention, self.norm_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.output = (nn.Linear(width, width) for _ in range(4))
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, rows: Tensor, padding: Padding, random: torch.Generator | None) -> Tensor:
        """Packed rows [M, H] to packed rows."""
        normed = self.norm_attention(rows)
        # A click sees itself and those before it: never what fills a sequence up at its end.
        query, key, value = (
            self._by_head(padding.pad(part(normed))) for part in (self.query, self.key, self.value)
        )
        seen = scaled_dot_product_attention(query, key, value, is_causal=True)
        seen = self.output(padding.pack(seen.transpose(1, 2).flatten(2)))
        rows = rows + dropout(seen, self._dropout, random)
        forward = self.narrow(gelu(self.widen(self.norm_forward(rows))))
        return rows + dropout(forward, self._dropout, random)

    def _by_head(self, padded_SLD: Tensor) -> Tensor:
        sequences, longest, width = padded_SLD.shape
        by_head = padded_SLD.view(sequences, longest, self._heads, width // self._heads)
        return by_head.transpose(1, 2)


class TransformerGRU(ContextEncoder):
    """GRU outputs through `attention_blocks` blocks of `attention_heads` heads, and a last norm.

    The positions of clicks come from the GRU; there is no encoding of them besides.
    """

    causal = True

    def __init__(self, config: EncoderConfig, input_size: int | None) -> None:
        super().__init__(config, input_size)
        self.gru = GRU(config, input_size)
        self.blocks = nn.ModuleList(
            _Block(config.hidden_size, config.attention_heads, config.layer_dropout)
            for _ in range(config.attention_blocks)
        )
        self.norm = nn.LayerNorm(config.hidden_size)

    def encode(self, inputs: Tensor, packing: Packing, random: torch.Generator | None) -> Tensor:
        """See `ContextEncoder.encode`."""
        rows, _ = self.gru(inputs, packing, self.gru.initial_state(len(packing.ends)), random)
        padding = Padding(packing, inputs.device)
        for block in self.blocks:
            rows = block(rows, padding, random)
        vectors: Tensor = self.norm(rows)
        return vectors
