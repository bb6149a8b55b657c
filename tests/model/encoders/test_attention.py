"""Attention over GRU outputs against direct computation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders import Packing
from gru4rec.model.encoders.attention_gru import AttentionGRU, running_mean
from gru4rec.model.encoders.narm import NARM

# T clicks of one session, H units


def alone(length: int) -> Packing:
    return Packing.of_one_segment(length)


def nothing_before(width: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(1, width).double(), torch.full((1, 1), -torch.inf).double()


def direct(values_TH: torch.Tensor, scores_T: torch.Tensor) -> torch.Tensor:
    return torch.stack(
        [
            torch.softmax(scores_T[: end + 1], 0) @ values_TH[: end + 1]
            for end in range(len(scores_T))
        ]
    )


@given(
    length=st.integers(1, 60), size=st.sampled_from([0.0, 1.0, 50.0, 1e4]), seed=st.integers(0, 99)
)
def test_the_running_mean_is_the_softmax_weighted_mean_whatever_the_scores(length, size, seed):
    random = torch.Generator().manual_seed(seed)
    values = torch.randn(length, 3, generator=random, dtype=torch.float64)
    scores = size * torch.randn(length, 1, generator=random, dtype=torch.float64)
    means, _ = running_mean(values, scores, alone(length), *nothing_before(3))
    assert torch.allclose(means, direct(values, scores[:, 0]), atol=1e-9)


def test_scores_that_rise_and_fall_over_a_long_session_lose_nothing():
    scores = torch.linspace(-500, 500, 2_000).double()
    values = torch.randn(2_000, 2, generator=torch.Generator().manual_seed(1)).double()
    for order in (scores, scores.flip(0)):
        means, _ = running_mean(values, order[:, None], alone(2_000), *nothing_before(2))
        assert torch.allclose(means, direct(values, order), atol=1e-9)


def test_gradients_of_the_running_mean_pass_gradcheck():
    random = torch.Generator().manual_seed(2)
    values = torch.randn(6, 2, generator=random).double().requires_grad_()
    scores = torch.randn(6, 1, generator=random).double().requires_grad_()
    packing, (mean, log_sum) = Packing.of_lengths(np.array([4, 2])), nothing_before(2)
    before = mean.expand(2, 2), log_sum.expand(2, 1)
    assert torch.autograd.gradcheck(
        lambda v, s: running_mean(v, s, packing, *before), (values, scores)
    )


def encoder_of(kind: type, **settings: object):
    encoder = kind(EncoderConfig(hidden_size=4, **settings), 3)
    random = torch.Generator().manual_seed(3)
    for parameter in encoder.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=random))
    return encoder.eval()


def outputs_of(encoder, inputs: torch.Tensor) -> torch.Tensor:
    return encoder.gru(inputs, alone(len(inputs)), encoder.gru.initial_state(1))[0]


def test_equal_scores_join_the_last_output_with_the_plain_mean():
    encoder = encoder_of(AttentionGRU)
    encoder.attention.weight.data.zero_()
    inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(4))
    outputs = outputs_of(encoder, inputs)
    means = outputs.cumsum(0) / torch.arange(1, 6)[:, None]
    expected = encoder.join(torch.cat((outputs, means), 1))
    found, _ = encoder(inputs, alone(5), encoder.initial_state(1))
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("length", [1, 7])
def test_narm_asks_with_the_last_output(length):
    encoder = encoder_of(NARM)
    inputs = torch.randn(length, 3, generator=torch.Generator().manual_seed(5))
    outputs = outputs_of(encoder, inputs)
    found, _ = encoder(inputs, alone(length), ())
    for end in range(length):
        seen = outputs[: end + 1]
        scores = torch.sigmoid(encoder.of_query(seen[-1]) + encoder.of_key(seen))
        context = torch.softmax(encoder.weigh(scores)[:, 0], 0) @ seen
        expected = encoder.join(torch.cat((seen[-1], context)))
        assert torch.allclose(found[end], expected, atol=1e-5)
