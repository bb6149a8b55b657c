"""The table of encoders; a new one is a file here and a line in it."""

from collections.abc import Mapping

from gru4rec.config import EncoderConfig
from gru4rec.errors import choose
from gru4rec.model.encoders.attention_gru import AttentionGRU
from gru4rec.model.encoders.bidirectional_gru import BidirectionalGRU
from gru4rec.model.encoders.conv_gru import ConvGRU
from gru4rec.model.encoders.gru import GRU
from gru4rec.model.encoders.last_click import LastClick
from gru4rec.model.encoders.lstm import LSTM, RNN
from gru4rec.model.encoders.narm import NARM
from gru4rec.model.encoders.packing import Packing
from gru4rec.model.encoders.protocol import Encoder, State, dropout, glorot
from gru4rec.model.encoders.sasrec import SASRec
from gru4rec.model.encoders.transformer_gru import TransformerGRU

ENCODERS: Mapping[str, type[Encoder]] = {
    "gru": GRU,
    "lstm": LSTM,
    "rnn": RNN,
    "attention_gru": AttentionGRU,
    "narm": NARM,
    "conv_gru": ConvGRU,
    "bidirectional_gru": BidirectionalGRU,
    "transformer_gru": TransformerGRU,
    "sasrec": SASRec,
    "last_click": LastClick,
}


def check_encoder(config: EncoderConfig) -> None:
    """Raise ConfigError for a name that is not in the table, and as `Encoder.check` does."""
    choose("encoder", config.name, ENCODERS).check(config)


def make_encoder(config: EncoderConfig, input_size: int) -> Encoder:
    """Return the encoder of a config, for inputs of that length.

    Raise ConfigError as `check_encoder` does.
    """
    check_encoder(config)
    return ENCODERS[config.name](config, input_size)


def streams(config: EncoderConfig) -> bool:
    """Whether the encoder of a config streams. Raise ConfigError for an unknown name."""
    return choose("encoder", config.name, ENCODERS).streams


__all__ = [
    "ENCODERS",
    "Encoder",
    "Packing",
    "State",
    "check_encoder",
    "dropout",
    "glorot",
    "make_encoder",
    "streams",
]
