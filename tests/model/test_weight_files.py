"""Weights in fewer bits: what a file keeps, and that keeping it again changes nothing."""

import pytest
import torch

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
    again = unpacked(found)["encoder.weight"]
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
    again = unpacked(found)
    assert again["encoder.weight"].dtype == again["sides.table"].dtype == torch.float32
    assert again["output_table"].dtype == torch.float16
    assert again["encoder.bias"].tolist() == pytest.approx([0.1, 0.2], rel=2**-8)


@pytest.mark.parametrize("encoder", ENCODER)
@pytest.mark.parametrize("items", ITEMS)
def test_packing_what_was_unpacked_gives_the_same(encoder, items):
    once = packed(WEIGHTS, encoder=encoder, items=items)
    again = packed(unpacked(once), encoder=encoder, items=items)
    assert once.keys() == again.keys()
    for name, weight in once.items():
        assert weight.dtype == again[name].dtype
        if name.endswith(".scale"):
            torch.testing.assert_close(weight, again[name])
        else:
            assert torch.equal(weight, again[name])


@pytest.mark.parametrize("encoder", ENCODER)
@pytest.mark.parametrize("items", ITEMS)
def test_the_layout_of_a_file_is_known_from_shapes_without_memory(encoder, items):
    shapes = {name: torch.empty_like(weight, device="meta") for name, weight in WEIGHTS.items()}
    stored = packed(WEIGHTS, encoder=encoder, items=items)
    assert file_layout(shapes, encoder=encoder, items=items) == {
        name: (weight.shape, weight.dtype) for name, weight in stored.items()
    }


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="choose from float32, bf16, int8"):
        packed(WEIGHTS, encoder="int4", items="float32")
    with pytest.raises(ConfigError, match="choose from float32, float16, sq8"):
        packed(WEIGHTS, encoder="int8", items="int8")
