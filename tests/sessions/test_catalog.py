"""item_id ↔ item index, and support."""

import polars as pl
import pytest

from gru4rec.sessions.catalog import Catalog


def catalog_of(items: list[object]) -> Catalog:
    return Catalog.of(pl.LazyFrame({"session_id": range(len(items)), "item_id": items}))


def test_items_stand_by_falling_support_and_equal_ones_by_id():
    catalog = catalog_of(["b", "c", "a", "c", "d", "d"])
    assert catalog.item_ids.to_list() == ["c", "d", "a", "b"]
    assert catalog.support.tolist() == [2, 2, 1, 1]


def test_the_order_of_the_rows_does_not_matter():
    items = ["b", "c", "a", "c", "d", "d"]
    assert catalog_of(items).item_ids.equals(catalog_of(items[::-1]).item_ids)


def test_items_of_one_click_sessions_are_in_it():
    assert len(catalog_of(["a", "b", "c"])) == 3


def test_unknown_items_encode_to_null():
    catalog = catalog_of(["a", "a", "b"])
    clicks = pl.LazyFrame({"session_id": [1, 1], "item_id": ["b", "zz"]})
    assert catalog.encode(clicks, "i").collect()["i"].to_list() == [1, None]
    assert catalog.find("b") == 1
    assert catalog.find("zz") is None


@pytest.mark.parametrize(
    ("known", "given"),
    [([7, 7, 8], ["8", "x"]), (["7", "7", "8"], [8, 99]), ([7, 7, 8], [8.0, 0.5])],
)
def test_ids_of_another_type_are_cast_to_the_catalogs(known, given):
    clicks = pl.LazyFrame({"session_id": [1, 1], "item_id": given})
    assert catalog_of(known).encode(clicks, "i").collect()["i"].to_list() == [1, None]


def test_a_catalog_survives_its_frame():
    catalog = catalog_of([3, 3, 1])
    again = Catalog.from_frame(catalog.to_frame())
    assert again.item_ids.equals(catalog.item_ids)
    assert again.support.tolist() == catalog.support.tolist()
