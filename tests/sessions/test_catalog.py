"""item_id ↔ item index, and support."""

import copy
from datetime import datetime

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


def timed(clicks: list[tuple[str, int]]) -> pl.LazyFrame:
    """A log of sessions of one click, each on an item on a day of March 2026."""
    return pl.LazyFrame(
        {
            "session_id": range(len(clicks)),
            "item_id": [item for item, _ in clicks],
            "timestamp": [datetime(2026, 3, day) for _, day in clicks],
        }
    )


def test_a_catalog_knows_the_last_click_on_each_item():
    catalog = Catalog.of(timed([("a", 3), ("b", 2), ("a", 1)]))
    grown = catalog.grown(timed([("c", 9), ("b", 4), ("b", 5), ("a", 1)]))
    days = pl.col("last_click").dt.day()
    assert catalog.to_frame().select("item_id", days).rows() == [("a", 3), ("b", 2)]
    assert grown.to_frame().select("item_id", days).rows() == [("a", 3), ("b", 5), ("c", 9)]
    again = Catalog.from_frame(grown.to_frame())
    assert again.to_frame().equals(grown.to_frame())
    day = 86_400
    assert grown.clicked_within(6 * day).tolist() == [0, 1, 2]
    assert grown.clicked_within(6 * day - 1).tolist() == [1, 2]
    assert grown.clicked_within(1).tolist() == [2]
    taken = grown.take(np.array([1, 2]))
    assert taken.to_frame().equals(grown.to_frame()[1:])
    assert (taken.find("b"), taken.find("a")) == (0, None)
    copied = copy.deepcopy(grown)
    assert copied.last_click is not grown.last_click
    assert copied.to_frame().equals(grown.to_frame())


def test_of_clicks_without_times_nobody_knows_the_last():
    with_times, without = timed([("a", 3), ("b", 2)]), timed([("a", 3)]).drop("timestamp")
    for catalog in (
        Catalog.of(without),
        Catalog.of(with_times).grown(without),
        Catalog.of(without).grown(with_times),
    ):
        assert catalog.last_click is None
        assert catalog.to_frame().columns == ["item_id", "support"]
        assert Catalog.from_frame(catalog.to_frame()).last_click is None
        assert catalog.take(np.array([0])).last_click is None
        with pytest.raises(ValueError, match="does not know the last clicks"):
            catalog.clicked_within(1)


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
