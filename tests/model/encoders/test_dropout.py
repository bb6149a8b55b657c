"""Dropout by four draws of sixteen bits."""

import pytest
import torch

from gru4rec.model.encoders import dropout


def test_the_same_arguments_give_the_same_dropout_and_p_zeroes_a_share_of_p():
    values = torch.ones(400, 500)
    first = dropout(values, 0.3, torch.Generator().manual_seed(1))
    again = dropout(values, 0.3, torch.Generator().manual_seed(1))
    other = dropout(values, 0.3, torch.Generator().manual_seed(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    share = (first == 0).double().mean().item()
    assert share == pytest.approx(0.3, abs=0.005)  # 200 000 draws: five standard deviations
    assert first.max().item() == pytest.approx(1 / 0.7)


def test_without_a_generator_nothing_is_dropped():
    values = torch.ones(3, 3)
    assert torch.equal(dropout(values, 0.9, None), values)
