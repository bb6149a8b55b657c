"""Weights in fewer bits: what a file keeps, and that keeping it again changes nothing."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.errors import ConfigError
from gru4rec.model.weight_files import ENCODER, ITEMS, file_layout, packed, unpacked

WEIGHTS = {
    "encoder.weight": torch.tensor([[1.0, -0.5, 0.3], [0.0, 0.0, 0.0]]),
    "encoder.bias": torch.tensor([0.1, 0.2]),
    "sides.table": torch.tensor([[0.7, 0.1]]),
    "output_table": torch.tensor([[0.1, 2.0], [3.0, -0.7]]),
    "bias": torch.tensor([0.3, 0.4]),
}


def test_int8_keeps_the_largest_of_a_row_and_the_others_by_steps_of_it():
    found = packed(WEIGHTS, encoder="int8", items="float32")
    assert found["encoder.weight"].dtype == torch.int8
    assert found["encoder.weight"].tolist() == [[127, -64, 38], [0, 0, 0]]
    again = unpacked(found, WEIGHTS)["encoder.weight"]
    assert again[0].tolist() == pytest.approx([1, -64 / 127, 38 / 127])
    assert again[1].tolist() == [0, 0, 0]


def test_biases_keep_their_bits_in_int8_and_everywhere_those_of_items():
    found = packed(WEIGHTS, encoder="int8", items="float16")
    assert torch.equal(found["encoder.bias"], WEIGHTS["encoder.bias"])
    assert torch.equal(found["bias"], WEIGHTS["bias"])


def test_tables_of_float16_stay_so_and_encoder_weights_come_back_as_float32():
    found = packed(WEIGHTS, encoder="bf16", items="float16")
    assert found["encoder.weight"].dtype == found["sides.table"].dtype == torch.bfloat16
    assert found["output_table"].dtype == torch.float16
    again = unpacked(found, WEIGHTS)
    assert again["encoder.weight"].dtype == again["sides.table"].dtype == torch.float32
    assert again["output_table"].dtype == torch.float16
    assert again["encoder.bias"].tolist() == pytest.approx([0.1, 0.2], rel=2**-8)


SPARSITY = pytest.mark.parametrize("sparsity", ["0", "0.5", "0.9"])


@pytest.mark.parametrize("encoder", ENCODER)
@pytest.mark.parametrize("items", ITEMS)
@SPARSITY
def test_packing_what_was_unpacked_gives_the_same(encoder, items, sparsity):
    stored_as = {"encoder": encoder, "items": items, "sparsity": sparsity}
    once = packed(WEIGHTS, **stored_as)
    again = packed(unpacked(once, WEIGHTS), **stored_as)
    assert once.keys() == again.keys()
    for name, weight in once.items():
        assert weight.dtype == again[name].dtype
        if name.endswith(".scale"):
            torch.testing.assert_close(weight, again[name])
        else:
            assert torch.equal(weight, again[name])


@pytest.mark.parametrize("encoder", ENCODER)
@pytest.mark.parametrize("items", ITEMS)
@SPARSITY
def test_the_layout_of_a_file_is_known_from_shapes_without_memory(encoder, items, sparsity):
    shapes = {name: torch.empty_like(weight, device="meta") for name, weight in WEIGHTS.items()}
    stored_as = {"encoder": encoder, "items": items, "sparsity": sparsity}
    stored = packed(WEIGHTS, **stored_as)
    assert file_layout(shapes, stored, **stored_as) == {
        name: (weight.shape, weight.dtype) for name, weight in stored.items()
    }


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="choose from float32, bf16, int8"):
        packed(WEIGHTS, encoder="int4", items="float32")
    with pytest.raises(ConfigError, match="choose from float32, float16, sq8, pq"):
        packed(WEIGHTS, encoder="int8", items="int8")


# without zeros


def test_half_of_a_matrix_is_kept_as_values_and_a_bit_for_each_entry():
    found = packed(WEIGHTS, encoder="float32", items="float32", sparsity="0.5")
    # 0.5 · 6 = 3 entries go: both that are 0 already and one more, the first of the three zeros
    assert found["encoder.weight"].tolist() == pytest.approx([1.0, -0.5, 0.3])
    assert found["encoder.weight.bits"].tolist() == [0b11100000]
    assert found["sides.table"].tolist() == pytest.approx([0.7])
    assert found["sides.table.bits"].tolist() == [0b10000000]
    assert torch.equal(found["encoder.bias"], WEIGHTS["encoder.bias"])
    assert torch.equal(found["output_table"], WEIGHTS["output_table"])


def test_without_sparsity_a_file_is_what_it_was():
    for sparsity in ({}, {"sparsity": "0"}):
        found = packed(WEIGHTS, encoder="float32", items="float32", **sparsity)
        assert found.keys() == WEIGHTS.keys()
        assert all(found[name] is weight for name, weight in WEIGHTS.items())


@pytest.mark.parametrize("sparsity", ["1", "-0.1", "nan", "inf", "a half", ""])
def test_what_is_no_share_is_refused(sparsity):
    with pytest.raises(ConfigError, match="sparsity must be"):
        packed(WEIGHTS, encoder="int8", items="float32", sparsity=sparsity)


@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 9),
    share=st.floats(0.01, 0.99),
    encoder=st.sampled_from(list(ENCODER)),
    seed=st.integers(0, 99),
)
def test_any_pruned_matrix_comes_back(rows, columns, share, encoder, seed):
    random = torch.Generator().manual_seed(seed)
    weights = {"encoder.weight": torch.randn(rows, columns, generator=random)}
    stored = packed(weights, encoder=encoder, items="float32", sparsity=str(share))
    again = unpacked(stored, weights)["encoder.weight"]
    assert again.shape == (rows, columns)
    assert (again == 0).sum() >= int(share * rows * columns)
    close = (again - weights["encoder.weight"]).abs()[again != 0]
    assert (close <= 0.01 * weights["encoder.weight"].abs().max()).all()
