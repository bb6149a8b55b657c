"""item_id ↔ item index, and support."""

import numpy as np
import polars as pl
import pytest
from toys import clicks_of

from gru4rec.errors import DataError
from gru4rec.sessions.catalog import Catalog


def catalog_of(items: list[object]) -> Catalog:
    return Catalog.of(pl.LazyFrame({"session_id": range(len(items)), "item_id": items}))


def test_a_catalog_that_grows_moves_no_item():
    catalog = Catalog.of(clicks_of([["a", "b", "a"], ["c", "b", "a"]]).lazy())
    grown = catalog.grown(clicks_of([["d", "c", "d", "c", "c", "c"], ["e"]]).lazy())
    assert grown.item_ids.to_list() == ["a", "b", "c", "d", "e"]
    assert grown.support.tolist() == [3, 2, 5, 2, 1]
    assert catalog.support.tolist() == [3, 2, 1]
    scores, items = grown.popular(3)
    assert items.tolist() == [2, 0, 1]
    assert scores.tolist() == pytest.approx([5 / 13, 3 / 13, 2 / 13])
    assert grown.popular(2, np.array([True, False, False, True, True]))[1].tolist() == [0, 3]
    assert Catalog.from_frame(grown.to_frame()).support.tolist() == grown.support.tolist()


def test_a_catalog_takes_no_clicks_on_items_of_another_type():
    catalog = Catalog.of(clicks_of([["a", "b"]]).lazy())
    with pytest.raises(DataError, match="type Int64, and those of the catalog of type String"):
        catalog.grown(clicks_of([[1, 2]]).lazy())


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
