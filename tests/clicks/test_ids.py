"""What an id is: one rule for columns and for values."""

from decimal import Decimal

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import gru4rec as g4r
from gru4rec.clicks import at_least_one, column_of, id_as, ids_as, plain_id, plain_ids

IDS = {
    "int": (7, 7),
    "text": ("a b", "a b"),
    "NumPy integer": (np.uint8(7), 7),
    "NumPy text": (np.str_("a"), "a"),
    "whole float": (7.0, 7),
    "whole float32": (np.float32(7), 7),
    "whole decimal": (Decimal("7.00"), 7),
    "UTF-8 bytes": ("é".encode(), "é"),
    "array of one number": (np.array(7), 7),
    "tensor of one number": (torch.tensor(7), 7),
    "more than 64 bits": (2**70, 2**70),
}
NO_IDS = {
    "truth value": True,
    "NumPy truth value": np.bool_(1),
    "fraction": 7.5,
    "float that is not exact": 2.0**53,
    "nan": float("nan"),
    "infinity": np.inf,
    "decimal fraction": Decimal("7.5"),
    "endless decimal": Decimal("1e999999"),
    "no UTF-8": b"\xff",
    "half a pair": "\ud800",
    "nothing": None,
    "list": ["a"],
    "date": np.datetime64("2026-01-01"),
    "array": np.array([7]),
    "table": pl.DataFrame({"a": [1]}),
}


@pytest.mark.parametrize(("value", "plain"), IDS.values(), ids=IDS)
def test_whole_numbers_and_texts_of_any_kind_are_ids(value, plain):
    item = plain_id(value)
    assert item == plain
    assert type(item) in (int, str)


@pytest.mark.parametrize("value", NO_IDS.values(), ids=NO_IDS)
def test_anything_else_is_no_id_and_said_in_a_short_line(value):
    with pytest.raises(g4r.DataError, match="is no item id; ids are integers or text") as error:
        plain_id(value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 200


LISTS = {
    "list": ["1", 2],
    "tuple": ("1", 2),
    "generator": (value for value in ["1", 2]),
    "object array": np.array(["1", 2], dtype=object),
}


@pytest.mark.parametrize("values", LISTS.values(), ids=LISTS)
def test_lists_of_ids_of_any_kind_are_lists(values):
    assert plain_ids(values) == ["1", 2]


def test_columns_and_sets_of_ids():
    assert plain_ids(pl.Series([1, 2])) == [1, 2]
    assert plain_ids(np.array([1, 2], dtype=np.int16)) == [1, 2]
    assert plain_ids({1}, ordered=False) == [1]


NO_LISTS = {
    "text": "ab",
    "bytes": b"ab",
    "number": 7,
    "nothing": None,
    "mapping": {"a": 1},
    "set": {"a"},
    "two dimensions": np.array([[1, 2]]),
    "no dimension": np.array(7),
    "table": pl.DataFrame({"item_id": [1]}),
    "nested": [["a"]],
    "column of lists": pl.Series([[1]]),
}


@pytest.mark.parametrize("values", NO_LISTS.values(), ids=NO_LISTS)
def test_what_is_no_flat_list_of_ids_is_refused(values):
    with pytest.raises(g4r.DataError, match="ids"):
        plain_ids(values)


TEXTS = ["7", "-7", "0", "007", "+7", "-0", " 7", "7 ", "7\n", "\uff17", "7.0", "1e3", "", "x"]
TEXTS += [str(2**63 - 1), str(2**63), "9" * 30]


def test_a_text_is_an_integer_only_as_it_is_usually_written():
    integers = {"7": 7, "-7": -7, "0": 0, str(2**63 - 1): 2**63 - 1}
    column = pl.DataFrame({"id": TEXTS}).select(ids_as(pl.col("id"), pl.String(), pl.Int64()))["id"]
    assert column.to_list() == [integers.get(text) for text in TEXTS]
    for text in TEXTS[:-2]:
        assert id_as(text, text=False) == integers.get(text)


@given(st.lists(st.integers(-(2**63), 2**64 - 1) | st.text(max_size=3), max_size=5))
def test_column_and_value_agree(ids):
    column = column_of(ids, "id")
    for text, dtype in ((True, pl.String()), (False, pl.Int64()), (False, pl.UInt64())):
        cast = column.to_frame().select(ids_as(pl.col("id"), column.dtype, dtype))["id"]
        low, high = (-(2**63), 2**63) if dtype == pl.Int64 else (0, 2**64)
        values = [id_as(value, text=text) for value in ids]
        fitting = [
            value if text or (isinstance(value, int) and low <= value < high) else None
            for value in values
        ]
        assert cast.to_list() == fitting


COLUMNS = {
    "whole decimals": (pl.Series([Decimal("5.00"), Decimal("7.00")]), [5, 7], pl.Int64),
    "unsigned 64 bits": (pl.Series([2**64 - 1, 7], dtype=pl.UInt64), [2**64 - 1, 7], pl.UInt64),
    "decimals of 64 bits": (pl.Series([Decimal(2**64 - 1)] * 2), [2**64 - 1] * 2, pl.UInt64),
    "bytes": (pl.Series(["é".encode(), b"b"]), ["é", "b"], pl.String),
    "categories": (pl.Series(["b", "a"], dtype=pl.Categorical), ["b", "a"], pl.String),
    "small integers": (pl.Series([1, 2], dtype=pl.Int8), [1, 2], pl.Int8),
    "128 bits": (pl.Series([1, 2], dtype=pl.Int128), [1, 2], pl.Int64),
    "half floats": (pl.Series([1.0, 2.0], dtype=pl.Float16), [1, 2], pl.Int64),
}


@pytest.mark.parametrize(("column", "ids", "dtype"), COLUMNS.values(), ids=COLUMNS)
@pytest.mark.parametrize("name", ["session_id", "item_id"])
def test_columns_of_ids_become_integers_or_text(column, ids, dtype, name):
    table = pl.DataFrame({"session_id": [1, 1], "item_id": [1, 2]}).with_columns(column.alias(name))
    clicks = g4r.read_clicks(table).collect()
    assert clicks[name].to_list() == ids
    assert clicks.schema[name] == dtype


NO_COLUMNS = {
    "dates": pl.Series(["2026-01-01"]).str.to_date(),
    "times": pl.Series(["2026-01-01"]).str.to_datetime(),
    "truth values": pl.Series([True]),
    "fractions": pl.Series([1.5]),
    "decimal fractions": pl.Series([Decimal("1.50")]),
    "lists": pl.Series([[1]]),
    "structs": pl.Series([{"a": 1}]),
    "no UTF-8": pl.Series([b"\xff"]),
    "more than 64 bits": pl.Series([2**70], dtype=pl.Int128),
    "objects": pl.Series([object()], dtype=pl.Object),
    "half floats": pl.Series([2048.0], dtype=pl.Float16),
}


@pytest.mark.parametrize("column", NO_COLUMNS.values(), ids=NO_COLUMNS)
@pytest.mark.parametrize("name", ["session_id", "item_id"])
def test_columns_of_anything_else_are_refused_with_the_argument_to_mend_it(column, name):
    table = pl.DataFrame({"session_id": [1], "item_id": [1]}).with_columns(column.alias(name))
    with pytest.raises(g4r.DataError, match=f"{name} .*ids are integers or text") as error:
        g4r.read_clicks(table)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("k", [1, np.int8(1), 1.0, np.float64(1), Decimal(1), np.array(1)])
def test_a_count_is_a_whole_number_of_any_kind(k):
    assert at_least_one(k, "k") == 1


@pytest.mark.parametrize("k", [2.5, "3", None, True, [3], 0, -1, float("nan")])
def test_a_count_that_is_none_is_refused(k):
    with pytest.raises(g4r.DataError, match="k must be"):
        at_least_one(k, "k")
