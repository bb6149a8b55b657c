"""Which entries of a matrix are pruned."""

import pytest
import torch

from gru4rec.errors import ConfigError
from gru4rec.model.bit_masks import count_in, with_zeros, without_zeros
from gru4rec.model.pruning import check_sparsity, is_pruned, kept_entries

MATRIX = torch.tensor([[3.0, -1.0, 0.5], [-4.0, 0.25, 2.0]])


@pytest.mark.parametrize(
    ("sparsity", "kept"),
    [
        (0.0, [[1, 1, 1], [1, 1, 1]]),
        (0.3, [[1, 1, 1], [1, 0, 1]]),  # 0.3 · 6 = 1.8: one entry goes
        (0.5, [[1, 0, 0], [1, 0, 1]]),
        (0.9, [[0, 0, 0], [1, 0, 0]]),
    ],
)
def test_the_entries_of_least_magnitude_go(sparsity, kept):
    assert kept_entries(MATRIX, sparsity).int().tolist() == kept


def test_of_equal_magnitudes_the_first_go():
    assert kept_entries(torch.tensor([[1.0, -1.0], [1.0, 1.0]]), 0.5).int().tolist() == [
        [0, 0],
        [1, 1],
    ]


def test_pruning_what_was_pruned_changes_nothing():
    once = MATRIX * kept_entries(MATRIX, 0.5)
    assert torch.equal(once * kept_entries(once, 0.5), once)


def test_matrices_of_the_encoder_and_of_side_inputs_are_pruned_alone():
    assert is_pruned("encoder.weight", MATRIX)
    assert is_pruned("sides.table", MATRIX)
    assert not is_pruned("output_table", MATRIX)
    assert not is_pruned("encoder.bias", MATRIX[0])


@pytest.mark.parametrize("sparsity", [1, 1.5, -0.1, float("nan"), float("inf")])
def test_what_is_no_share_of_weights_is_refused(sparsity):
    with pytest.raises(ConfigError, match="from 0 on and below 1"):
        check_sparsity(sparsity)


def test_a_bit_for_each_entry_says_where_the_others_are():
    matrix = torch.tensor([[0.0, 5.0, 0.0], [0.0, 0.0, 6.0], [0.0, 0.0, 7.0]])
    values, bits = without_zeros(matrix)
    assert values.tolist() == [5, 6, 7]
    assert bits.tolist() == [0b01000100, 0b10000000]
    assert count_in(bits, 9) == 3
    assert torch.equal(with_zeros(values, bits, matrix.shape), matrix)


def test_a_matrix_of_zeros_comes_back():
    values, bits = without_zeros(torch.zeros(2, 2))
    assert torch.equal(with_zeros(values, bits, torch.Size([2, 2])), torch.zeros(2, 2))
