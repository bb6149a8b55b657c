"""What may be recommended: lists and clicked items, exactly, for every recommender."""

import logging

import pytest
from toys import clicks_of

import gru4rec as g4r
from gru4rec.clicks.item_lists import read_items
from gru4rec.serving.filters import ItemFilter

LOG = clicks_of([["a", "b", "c"], ["a", "b"], ["a", "d"]])  # clicks: a 3, b 2, c and d 1


def best(recommender: g4r.Recommender, session: list[str], k: int = 9, **only: object) -> list[str]:
    return recommender.recommend([session], k, **only)["item_id"].to_list()


@pytest.fixture(scope="module")
def popularity() -> g4r.Recommender:
    return g4r.Popularity().fit(LOG)


def test_denied_and_clicked_items_give_way_to_the_next(popularity):
    assert best(popularity, ["b"], k=2) == ["a", "b"]
    assert best(popularity, ["b"], k=2, deny=["a"]) == ["b", "c"]
    assert best(popularity, ["b", "b"], k=2, exclude_clicked=True) == ["a", "c"]
    assert best(popularity, ["b", "c"], deny=["a"], exclude_clicked=True) == ["d"]


def test_only_allowed_items_come_and_deny_wins(popularity):
    assert best(popularity, ["b"], allow=["d", "b"]) == ["b", "d"]
    assert best(popularity, ["b"], allow=["d", "b"], deny=["b"]) == ["d"]


def test_popular_items_for_unknown_sessions_obey_too(popularity):
    assert best(popularity, ["new"], k=2, deny=["a"]) == ["b", "c"]
    assert best(popularity, ["new"], allow=["c"]) == ["c"]


def test_each_session_is_left_its_own_items():
    table = g4r.Popularity().fit(LOG).recommend([["a"], ["b", "a"], []], 9, exclude_clicked=True)
    found = table.group_by("session_id", maintain_order=True).agg("item_id", "rank")
    assert found["item_id"].to_list() == [["b", "c", "d"], ["c", "d"], ["a", "b", "c", "d"]]
    assert found["rank"].to_list() == [[1, 2, 3], [1, 2], [1, 2, 3, 4]]


def test_unknown_ids_are_said_and_nothing_left_is_refused(popularity, caplog):
    with caplog.at_level(logging.WARNING):
        assert best(popularity, ["b"], k=1, deny=["x", "y"]) == ["a"]
    assert "2 items to deny are not in the catalog" in caplog.text
    with pytest.raises(g4r.DataError, match="a list of ids, got 'ab'"):
        best(popularity, ["b"], deny="ab")
    series = popularity.catalog.item_ids[2:]
    assert best(popularity, ["b"], allow=series) == ["c", "d"]
    for only in ({"deny": ["a", "b", "c", "d"]}, {"allow": []}, {"allow": ["x"]}):
        with pytest.raises(g4r.DataError, match="no item of the catalog is left"):
            best(popularity, ["b"], **only)


def test_what_lets_all_pass_is_no_filter(popularity):
    assert ItemFilter.of(popularity.catalog) is None
    assert ItemFilter.of(popularity.catalog, allow=["a", "b", "c", "d"]) is None


def test_items_are_read_from_lines_and_from_tables(tmp_path):
    (tmp_path / "lines.txt").write_text("a\n\n b \r\na\n")
    assert read_items(tmp_path / "lines.txt") == ["a", " b "]
    (tmp_path / "table.csv").write_text("sku,price\n7,1\n8,2\n7,3\n")
    assert read_items(tmp_path / "table.csv", item_col="sku") == [7, 8]
    clicks_of([["x", "y", "x"]]).write_parquet(tmp_path / "log.parquet")
    assert read_items(tmp_path / "log.parquet") == ["x", "y"]
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(g4r.DataError, match="has no item"):
        read_items(tmp_path / "none.txt")
    with pytest.raises(g4r.DataError, match="cannot read the items"):
        read_items(tmp_path / "missing.txt")


@pytest.mark.parametrize(
    ("catalog", "given", "found"),
    [
        (["5", "a"], 5, "5"),
        (["5", "a"], 5.0, "5"),
        (["5", "a"], "a", "a"),
        (["5", "a"], "b", None),
        ([5, 7], "5", 5),
        ([5, 7], 7.0, 7),
        ([5, 7], "five", None),
        ([5, 7], 10**30, None),
    ],
)
def test_ids_are_found_in_the_catalogs_type(catalog, given, found):
    items = g4r.Popularity().fit(clicks_of([catalog])).catalog
    index = items.find(given)
    assert (None if index is None else items.item_ids[index]) == found


@pytest.mark.parametrize("given", [1.5, True, None, ["a"], float("nan")])
def test_what_is_no_id_is_refused(given, popularity):
    with pytest.raises(g4r.DataError, match="ids are integers or text"):
        popularity.catalog.find(given)
