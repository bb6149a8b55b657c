"""The table of encoders; a new one is a file here and a line in it."""

from collections.abc import Mapping
from typing import Protocol

from gru4rec.config import EncoderConfig
from gru4rec.errors import choose
from gru4rec.model.encoders.attention_gru import AttentionGRU
from gru4rec.model.encoders.bidirectional_gru import BidirectionalGRU
from gru4rec.model.encoders.context import ContextEncoder
from gru4rec.model.encoders.conv_gru import ConvGRU
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.last_click import LastClick
from gru4rec.model.encoders.lstm import LSTM, RNN
from gru4rec.model.encoders.narm import NARM
from gru4rec.model.encoders.protocol import Encoder, Packing, State, dropout, glorot
from gru4rec.model.encoders.transformer_gru import TransformerGRU


class _Make(Protocol):
    whole_sessions: bool

    def __call__(self, config: EncoderConfig, input_size: int | None) -> Encoder: ...


ENCODERS: Mapping[str, _Make] = {
    "gru": GRU,
    "lstm": LSTM,
    "rnn": RNN,
    "attention_gru": AttentionGRU,
    "narm": NARM,
    "conv_gru": ConvGRU,
    "bidirectional_gru": BidirectionalGRU,
    "transformer_gru": TransformerGRU,
    "last_click": LastClick,
}


def make_encoder(config: EncoderConfig, input_size: int | None) -> Encoder:
    """The encoder of a config. Raises ConfigError for a name that is not in the table."""
    return choose("encoder", config.name, ENCODERS)(config, input_size)


def reads_whole_sessions(config: EncoderConfig) -> bool:
    """Whether the encoder of a config learns from sessions that come whole."""
    return choose("encoder", config.name, ENCODERS).whole_sessions


__all__ = [
    "ENCODERS",
    "ContextEncoder",
    "Encoder",
    "Packing",
    "State",
    "dropout",
    "glorot",
    "make_encoder",
    "reads_whole_sessions",
]  # fmt: skip
