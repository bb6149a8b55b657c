"""SASRec by direct computation of one head, and what its positions are counted from."""

import numpy as np
import pytest
import torch
from torch.nn.functional import gelu, layer_norm

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders import Packing
from gru4rec.model.encoders.sasrec import SASRec


@pytest.fixture
def encoder() -> SASRec:
    config = EncoderConfig(name="sasrec", hidden_size=4, attention_heads=1, max_length=6)
    encoder = SASRec(config, 4).eval()
    with torch.no_grad():
        encoder.initialize(torch.Generator().manual_seed(1))
    return encoder


def direct(encoder: SASRec, inputs_LH: torch.Tensor) -> torch.Tensor:
    """The vector after the last of L clicks, step by step."""
    (block,) = encoder.blocks
    rows = inputs_LH + encoder.positions[: len(inputs_LH)].flip(0)
    normed = layer_norm(rows, (4,))
    query, key, value = block.query(normed), block.key(normed), block.value(normed)
    seen = []
    for click in range(len(rows)):
        weights = torch.softmax(query[click] @ key[: click + 1].T / 2, dim=0)
        seen.append(weights @ value[: click + 1])
    rows = rows + block.output(torch.stack(seen))
    rows = rows + block.narrow(gelu(block.widen(layer_norm(rows, (4,)))))
    return layer_norm(rows, (4,))[-1]


@torch.no_grad()
def test_the_vector_after_each_click_by_direct_computation(encoder):
    inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))
    vectors, _ = encoder(inputs, Packing.of_one_segment(5), ())
    for click in range(5):
        assert torch.allclose(vectors[click], direct(encoder, inputs[: click + 1]), atol=1e-5)


@torch.no_grad()
def test_the_newest_click_has_the_first_position_whatever_the_length(encoder):
    moved = torch.tensor([3.0, 0, 0, 0])
    encoder.positions[0] += moved  # the newest click alone
    packing = Packing.of_lengths(np.array([3, 1]))
    inputs = torch.randn(4, 4, generator=torch.Generator().manual_seed(3))
    before = encoder.last_vectors(inputs, packing)
    encoder.positions[0] -= moved
    encoder.positions[1:3] += moved  # of the clicks before: there is none in the second session
    after = encoder.last_vectors(inputs, packing)
    encoder.positions[1:3] -= moved
    plain = encoder.last_vectors(inputs, packing)
    assert not torch.allclose(before[0], plain[0])
    assert not torch.allclose(before[1], plain[1])
    assert not torch.allclose(after[0], plain[0])
    assert torch.equal(after[1], plain[1])
