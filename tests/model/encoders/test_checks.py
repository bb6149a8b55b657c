"""Each encoder refuses settings that it cannot work with, before any log is read."""

import pytest

import gru4rec as g4r
from gru4rec.config import EncoderConfig
from gru4rec.errors import ConfigError
from gru4rec.model.encoders import ENCODERS, check_encoder, make_encoder

WHOLE = [name for name, kind in ENCODERS.items() if not kind.streams]


def refused(match: str, **settings: object) -> None:
    """The settings are refused by the recommender's constructor and by the encoder's maker."""
    config = EncoderConfig(**settings)
    with pytest.raises(ConfigError, match=match):
        g4r.GRU4Rec(g4r.Config(encoder=config, training=g4r.TrainingConfig(steps=1)))
    with pytest.raises(ConfigError, match=match):
        make_encoder(config, 3)


def test_an_unknown_encoder_is_refused_with_the_table():
    refused("no encoder 'grue'; choose from gru, lstm, .*, last_click", name="grue")


def test_heads_divide_the_units():
    heads = r"hidden_size 10 is no multiple of encoder\.attention_heads 4; change one of them"
    for name in ("transformer_gru", "sasrec"):
        refused(heads, name=name, hidden_size=10)


def test_units_that_auto_decides_are_checked_with_the_rest():
    config = EncoderConfig(name="transformer_gru", attention_heads=3)
    check_encoder(config)  # whether 3 heads divide the units is not known yet
    recommender = g4r.GRU4Rec(g4r.Config(encoder=config), device="cpu")
    log = g4r.generate_clicks(sessions=50, items=20, categories=2, seed=1)
    for learn in (recommender.decide, recommender.fit):
        with pytest.raises(ConfigError, match=r"hidden_size 100 .*attention_heads 3"):
            learn(log)


@pytest.mark.parametrize("name", WHOLE)
def test_dropout_of_a_carried_state_is_refused_where_none_is_carried(name):
    message = rf"state_dropout 0\.5 needs an encoder that streams, got '{name}'"
    refused(message, name=name, state_dropout=0.5)


@pytest.mark.parametrize("name", [name for name in ENCODERS if name != "gru"])
def test_onehot_inputs_are_for_the_gru(name):
    refused(rf"'onehot' needs encoder\.name 'gru', got '{name}'", name=name, embedding="onehot")


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_streams_or_says_how_many_clicks_it_reads(name):
    encoder = make_encoder(EncoderConfig(name=name, hidden_size=8, max_length=7), 3)
    assert encoder.streams == (encoder.max_length is None)
    assert encoder.max_length in (None, 7)
