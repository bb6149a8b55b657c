"""The causal convolution against a sum worked click by click."""

import numpy as np
import torch

from gru4rec.config import EncoderConfig
from gru4rec.model.encoders import Packing
from gru4rec.model.encoders.conv_gru import ConvGRU


def test_the_gru_reads_each_embedding_plus_a_causal_convolution():
    encoder = ConvGRU(EncoderConfig(hidden_size=4, conv_width=3), 2)
    random = torch.Generator().manual_seed(1)
    for parameter in encoder.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=random))
    sessions = [torch.randn(length, 2, generator=random) for length in (4, 2, 1)]
    read = []
    for session in sessions:
        padded = torch.cat((torch.zeros(2, 2), session))
        # newest first: W_0 meets x_t, W_1 meets x_{t−1}, W_2 meets x_{t−2}
        windows = torch.stack(
            [padded[place : place + 3].flip(0).flatten() for place in range(len(session))]
        )
        read.append(session + torch.relu(encoder.conv(windows)))
    packing = Packing.of_lengths(np.array([4, 2, 1]))
    rows = [(s, p) for p in range(4) for s in range(3) if p < len(sessions[s])]
    expected, _ = encoder.gru(
        torch.stack([read[s][p] for s, p in rows]), packing, encoder.gru.initial_state(3)
    )
    inputs = torch.stack([sessions[s][p] for s, p in rows])
    found, _ = encoder(inputs, packing, encoder.initial_state(3))
    assert torch.allclose(found, expected, atol=1e-6)
