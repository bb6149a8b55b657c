"""What a table says of items: what is read of each column, and what is refused."""

import json
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gru4rec as g4r
from gru4rec.sessions import Attributes, Catalog, attributes_of, read_item_table

TABLE = pl.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "category": ["shoes", "shoes", "hats", None],
        "brand": [7, 7, 8, 9],
        "price": [1.0, 2.5, None, 9.0],
        "title": ["one", "two", "three", "four"],
        "text": [[1.0, 0.0], [0.0, 1.0], None, [1.0, 1.0]],
    }
)


def test_a_value_that_two_items_share_has_a_code_and_others_have_none():
    attributes = Attributes.of(TABLE.select("item_id", "category", "title"))
    assert attributes.to_dict() == {"category": {"values": {"values": ["shoes"]}}}
    assert attributes.coded(TABLE).codes.tolist() == [[1], [1], [0], [0]]


def test_whole_numbers_are_categories_and_stand_in_parts():
    attributes = Attributes.of(TABLE.select("item_id", "brand"))
    # 7 is shared; the parts are below 8, from 8 on, from 9 on
    assert attributes.num_codes == 1 + 3
    assert attributes.coded(TABLE).codes.tolist() == [[1, 2], [1, 2], [0, 3], [0, 4]]


def test_numbers_and_days_stand_in_parts_with_as_many_items_each():
    numbers = pl.DataFrame({"item_id": range(100), "price": np.linspace(0.5, 50.0, 100)})
    codes = Attributes.of(numbers).coded(numbers).codes[:, 0]
    counts = np.bincount(codes)
    assert counts[0] == 0
    assert len(counts) == 11
    assert abs(counts[1:] - 10).max() <= 1
    assert (np.diff(codes) >= 0).all()
    days = pl.DataFrame({"item_id": [1, 2], "day": [date(2026, 1, 1), date(2026, 2, 1)]})
    assert Attributes.of(days).coded(days).codes.tolist() == [[1], [2]]
    later = days.with_columns(pl.col("day").cast(pl.Datetime("us")))
    assert Attributes.of(days).coded(later).codes.tolist() == [[1], [2]]


def test_vectors_have_mean_0_and_a_mean_length_of_1():
    coded = Attributes.of(TABLE.select("item_id", "text")).coded(TABLE)
    known = coded.numbers[[0, 1, 3]]
    assert np.allclose(known.mean(0), 0, atol=1e-6)
    assert np.linalg.norm(known, axis=1).mean() == pytest.approx(1, abs=1e-6)
    assert coded.numbers[2].tolist() == [0, 0]
    assert coded.are_known.tolist() == [True, True, False, True]


def test_what_a_later_table_lacks_is_not_known_and_said(caplog):
    attributes = Attributes.of(TABLE)
    later = pl.DataFrame({"item_id": ["e"], "category": ["shoes"], "brand": ["7"]})
    coded = attributes.coded(later)
    assert coded.codes[0, :3].tolist() == [1, 2, 3]  # of a text that is a number, too
    assert not coded.numbers.any()
    assert "lacks the attribute 'price'" in caplog.text


@given(
    st.lists(st.one_of(st.none(), st.sampled_from(["x", "y", "ü"])), min_size=4, max_size=9),
    st.lists(st.one_of(st.none(), st.floats(allow_nan=True)), min_size=9, max_size=9),
    st.booleans(),
)
def test_what_is_read_is_the_same_from_a_file(texts, numbers, flag):
    table = pl.DataFrame({"item_id": range(len(texts)), "text": [*texts]})
    table = table.with_columns(price=pl.Series(numbers[: len(texts)], dtype=pl.Float64), flag=flag)
    attributes = Attributes.of(table)
    again = Attributes.from_dict(json.loads(json.dumps(attributes.to_dict())))
    one, other = attributes.coded(table), again.coded(table)
    assert np.array_equal(one.codes, other.codes)
    assert one.codes.max() <= attributes.num_codes
    assert all(len({*column}) <= 1 + attributes.num_codes for column in one.codes.T)


def test_items_of_a_catalog_stand_in_its_order_and_absent_ones_are_not_known():
    catalog = Catalog(pl.Series(["c", "x", "a", "b"]), np.array([3, 2, 1, 1]))
    attributes, coded = attributes_of(TABLE, catalog)
    assert "title" not in attributes.columns
    assert coded.are_known.tolist() == [True, False, True, True]
    assert coded.codes[2, 0] == coded.codes[3, 0] == 1
    with pytest.raises(g4r.DataError, match="none of the items of the log"):
        attributes_of(TABLE, Catalog(pl.Series(["x"]), np.array([1])))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0], [1.0, 2.0], None], r"have \[1, 2\] numbers"),
        ([[1.0, None], [1.0, 2.0], None], "has what is no number"),
        ([[float("inf")], [1.0], None], "has what is no number"),
        ([["a"], ["b"], None], "no category, number, time or list of numbers"),
        ([{"a": 1}, None, None], "leave the column out"),
        ([b"a", b"a", None], "leave the column out"),
        (["a", "b", "c"], "no attribute of the table"),
        ([None, None, None], "no attribute of the table"),
    ],
)
def test_a_column_of_which_nothing_can_be_read_is_refused(values, message):
    with pytest.raises(g4r.DataError, match=message):
        Attributes.of(pl.DataFrame({"item_id": [1, 2, 3], "given": values}))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("category", [["shoes"]], "another than when the model learned"),
        ("price", [[1.0]], "another than when the model learned"),
        ("text", ["shoes"], "another than when the model learned"),
        ("text", [[1.0, 2.0, 3.0]], "give lists of 2"),
    ],
)
def test_a_column_of_another_kind_is_refused(name, values, message):
    with pytest.raises(g4r.DataError, match=message):
        Attributes.of(TABLE).coded(pl.DataFrame({"item_id": ["e"], name: values}))


@pytest.mark.parametrize(
    "columns",
    [
        {"a": {"colours": {"values": ["x"]}}},
        {"a": {"values": {"values": [1]}}},
        {"a": {"values": {}}},
        {"a": {"values": {"values": ["x"], "more": 1}}},
        {"a": {"parts": {"cuts": "abc"}}},
        {"a": {"vectors": {"means": [0.0], "scale": "1"}}},
    ],
)
def test_nonsense_from_a_file_is_refused(columns):
    with pytest.raises(ValueError, match="an attribute cannot be read"):
        Attributes.from_dict(columns)


def test_a_table_is_read_from_any_file_and_the_first_row_of_an_item_counts(tmp_path, caplog):
    (tmp_path / "items.csv").write_text("sku,category\na,shoes\nb,hats\na,socks\n")
    table = read_item_table(tmp_path / "items.csv", item_col="sku")
    assert table.to_dicts() == [
        {"item_id": "a", "category": "shoes"},
        {"item_id": "b", "category": "hats"},
    ]
    assert "the first counts" in caplog.text
    table.with_columns(at=pl.lit(1)).write_parquet(tmp_path / "timed.parquet")
    assert read_item_table(tmp_path / "timed.parquet", time_col="at").equals(table)
    with pytest.raises(g4r.ConfigError, match="no column of the table of items 'x'"):
        read_item_table(tmp_path / "timed.parquet", session_col="x")
    (tmp_path / "bare.csv").write_text("item_id\na\n")
    with pytest.raises(g4r.DataError, match="no column besides item_id"):
        read_item_table(tmp_path / "bare.csv")
    with pytest.raises(g4r.DataError, match="cannot take the table of items"):
        read_item_table(tmp_path / "none.csv")
