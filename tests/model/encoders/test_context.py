"""Encoders that read the last clicks at once: what they read, and their reference."""

import numpy as np
import pytest
import torch
from torch import nn

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders import ENCODERS, Packing, context
from gru4rec.model.encoders.bidirectional_gru import BidirectionalGRU
from gru4rec.model.encoders.padding import Padding
from gru4rec.model.encoders.transformer_gru import TransformerGRU

WHOLE = [name for name, kind in ENCODERS.items() if not kind.streams]


def encoder_of(kind, **settings: object):
    encoder = kind(EncoderConfig(hidden_size=8, **settings), 3)
    random = torch.Generator().manual_seed(3)
    for parameter in encoder.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=random) * 0.5)
    return encoder.eval()


def alone(length: int) -> Packing:
    return Packing.of_one_segment(length)


def clicks(length: int) -> torch.Tensor:
    return torch.randn(length, 3, generator=torch.Generator().manual_seed(length))


def test_these_encoders_read_sessions_whole():
    assert WHOLE == ["narm", "bidirectional_gru", "transformer_gru", "sasrec"]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", WHOLE)
def test_a_vector_is_that_of_the_last_clicks_alone_in_training_and_serving(name, training):
    encoder = encoder_of(ENCODERS[name], max_length=4)
    inputs = clicks(9)
    encoder.train(training)
    found, _ = encoder(inputs, alone(9), ())
    encoder.eval()
    for end in range(9):
        last = inputs[max(0, end - 3) : end + 1]
        expected, _ = encoder(last, alone(len(last)), ())
        assert torch.allclose(found[end], expected[-1], atol=1e-5)


@pytest.mark.parametrize("name", WHOLE)
def test_a_single_click_can_be_all_that_is_read(name):
    encoder = encoder_of(ENCODERS[name], max_length=1)
    found, state = encoder(clicks(3), alone(3), ())
    expected = torch.cat([encoder(click[None], alone(1), ())[0] for click in clicks(3)])
    assert torch.allclose(found, expected, atol=1e-5)
    assert torch.allclose(encoder(clicks(3)[:1], alone(1), state)[0], expected[:1], atol=1e-5)


def test_both_directions_end_in_the_vector():
    encoder = encoder_of(BidirectionalGRU)
    inputs = clicks(5)
    found, _ = encoder(inputs, alone(5), ())
    for end in range(5):
        prefix = inputs[: end + 1]
        finals = [
            gru(rows, alone(end + 1), gru.initial_state(1))[0][-1]
            for gru, rows in ((encoder.ahead, prefix), (encoder.back, prefix.flip(0)))
        ]
        assert torch.allclose(found[end], encoder.join(torch.cat(finals)), atol=1e-5)


def test_a_block_is_torchs_own_pre_norm_layer():
    encoder = encoder_of(TransformerGRU, attention_heads=2, attention_blocks=1)
    (block,) = encoder.blocks
    torchs = nn.TransformerEncoderLayer(
        8, 2, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    attention = torchs.self_attn
    parts = (block.query, block.key, block.value)
    attention.in_proj_weight.data.copy_(torch.cat([part.weight for part in parts]))
    attention.in_proj_bias.data.copy_(torch.cat([part.bias for part in parts]))
    pairs = (
        (attention.out_proj, block.output), (torchs.norm1, block.norm_attention),
        (torchs.norm2, block.norm_forward), (torchs.linear1, block.widen),
        (torchs.linear2, block.narrow),
    )  # fmt: skip
    for theirs, mine in pairs:
        theirs.load_state_dict(mine.state_dict())
    rows = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    mask = nn.Transformer.generate_square_subsequent_mask(6)
    expected = torchs(rows[None], src_mask=mask, is_causal=True)[0]
    found = block(rows, Padding(alone(6), rows.device), None)
    assert torch.allclose(found, expected, atol=1e-5)


def test_padding_there_and_back_is_the_same():
    packing = Packing.of_lengths(np.array([3, 2, 2, 1]))
    rows = torch.arange(16.0).view(8, 2)
    padding = Padding(packing, rows.device)
    padded = padding.pad(rows)
    assert padded.shape == (4, 3, 2)
    assert padded[3].tolist() == [[6, 7], [0, 0], [0, 0]]
    assert torch.equal(padding.pack(padded), rows)


@pytest.mark.parametrize("name", WHOLE)
def test_the_vectors_of_last_clicks_are_those_after_every_click_in_the_last_rows(name):
    encoder = encoder_of(ENCODERS[name], max_length=4)
    packing, inputs = Packing.of_lengths(np.array([4, 2, 2, 1])), clicks(9)
    every, _ = encoder(inputs, packing, ())
    assert torch.allclose(encoder.last_vectors(inputs, packing), every[packing.ends], atol=1e-6)


@pytest.mark.parametrize("name", WHOLE)
def test_how_many_clicks_are_encoded_at_once_changes_nothing(name, monkeypatch):
    encoder = encoder_of(ENCODERS[name], max_length=4)
    packing = Packing.of_lengths(np.array([9, 7, 2, 1]))
    inputs = clicks(19)
    whole, state = encoder(inputs, packing, ())
    monkeypatch.setattr(context, "_CLICKS_AT_ONCE", 5)
    pieces, state_of_pieces = encoder(inputs, packing, ())
    assert torch.allclose(pieces, whole, atol=1e-6)
    assert all(map(torch.equal, state, state_of_pieces))
    longest = 0
    for rows, _, _ in context._Clicks(packing.layout, np.zeros(4, dtype=np.int64), 3).sequences(
        4, causal=encoder.causal
    ):
        longest = max(longest, len(rows))
    assert longest <= 5 + 4
