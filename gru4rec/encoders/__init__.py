"""The table of encoders; a new one is a file here and a line in it."""

from collections.abc import Mapping

from gru4rec.config import EncoderConfig
from gru4rec.encoders.gru import GRU
from gru4rec.encoders.protocol import Encoder, Packing, State, dropout
from gru4rec.errors import choose

ENCODERS: Mapping[str, type[GRU]] = {"gru": GRU}


def make_encoder(config: EncoderConfig, input_size: int | None) -> Encoder:
    """The encoder of a config. Raises ConfigError for a name that is not in the table."""
    return choose("encoder", config.name, ENCODERS)(config, input_size)


__all__ = ["ENCODERS", "Encoder", "Packing", "State", "dropout", "make_encoder"]
