"""Over lanes, where sessions begin within a segment, an encoder does as over packed segments."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders import ENCODERS, Encoder, Packing, make_encoder
from gru4rec.sessions.batching import SessionParallelWindows

OVER_LANES = [name for name, encoder in ENCODERS.items() if encoder.takes_lanes]
FORMS = {f"{name}, {layers} layers": (name, {"num_layers": layers}) for name in OVER_LANES
         for layers in (1, 2)} | {
    "gru, reset before": ("gru", {"reset_gate": "before"}),
    "conv_gru, one click": ("conv_gru", {"conv_width": 1}),
    "conv_gru, wide": ("conv_gru", {"conv_width": 6}),
}  # fmt: skip
LENGTHS = np.array([3, 1, 9, 2, 12, 5, 1, 300, 4, 3, 1])  # one of them takes further lanes
SIZE = 6


def encoder_of(name: str, settings: dict[str, object]) -> Encoder:
    config = EncoderConfig(name=name, hidden_size=SIZE, **settings)
    encoder = make_encoder(config, SIZE)
    random = torch.Generator().manual_seed(5)
    for parameter in encoder.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=random) * 0.5)
    return encoder


def gradients_of(encoder: Encoder) -> list[Tensor]:
    gradients = [parameter.grad.clone() for parameter in encoder.parameters()]
    encoder.zero_grad()
    return gradients


def test_all_that_stream_take_lanes():
    assert {name for name, encoder in ENCODERS.items() if encoder.streams} == set(OVER_LANES)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("lanes", "steps"), [(1, 4), (3, 1), (4, 5)])
def test_vectors_and_gradients_are_those_of_packed_segments(form, lanes, steps):
    encoder = encoder_of(*FORMS[form])
    random = torch.Generator().manual_seed(1)
    inputs = torch.randn(LENGTHS.sum(), SIZE, generator=random)
    into = torch.randn(LENGTHS.sum(), SIZE, generator=random)
    windows = SessionParallelWindows(
        np.cumsum(LENGTHS) - LENGTHS, LENGTHS, lanes=lanes, steps=steps
    )
    after, state = (), encoder.initial_state(lanes)
    for number, batch in enumerate(windows):
        packing = Packing.of(batch.layout)
        carried = [torch.from_numpy(part) for part in (batch.carried, batch.carried_from)]
        before = encoder.carry(len(packing.ends), after, *carried)
        packed, after = encoder(inputs[batch.clicks], packing, before)
        (packed * into[batch.clicks]).sum().backward()
        expected = gradients_of(encoder)

        grids = windows.grids(range(number, number + 1))
        begins, ends = torch.from_numpy(grids.begins), torch.from_numpy(grids.ends[0])
        clicks = torch.from_numpy(grids.clicks)
        vectors, state = encoder(inputs[clicks.clamp_min(0)], Packing.of_lanes(begins, ends), state)
        filled = clicks >= 0
        (vectors[filled] * into[clicks[filled]]).sum().backward()

        order = np.argsort(batch.clicks)
        torch.testing.assert_close(
            vectors[filled][clicks[filled].argsort()], packed[order], rtol=1e-5, atol=1e-6
        )
        for gradient, wanted in zip(gradients_of(encoder), expected, strict=True):
            torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5)
        after, state = (tuple(part.detach() for part in parts) for parts in (after, state))
