"""Every door takes the same ids: those of a log, of a running session, of a list by hand."""

import numpy as np
import polars as pl
import pytest

import gru4rec as g4r
from tests.toys import clicks_of


def popularity(sessions):
    return g4r.Popularity().fit(clicks_of(sessions))


def through_click(recommender, ids):
    session = recommender.start_session()
    for item in ids:
        session.click(item)
    return session.recommend(2, exclude_clicked=True)["item_id"].to_list()


def through_click_many(recommender, ids):
    ids = list(ids)
    recommender.click_many(np.zeros(len(ids), dtype=np.int64), ids)
    table = recommender.sessions.recommend_many([0], 2, exclude_clicked=True)
    return table["item_id"].to_list()


def through_allow(recommender, ids):
    allowed = recommender.recommend([[]], 9, allow=ids)["item_id"].to_list()
    others = [item for item in recommender.catalog.item_ids if item not in allowed]
    return others[:2]


DOORS = {
    "recommend": lambda r, ids: r.recommend([ids], 2, exclude_clicked=True)["item_id"].to_list(),
    "recommend for a generator": lambda r, ids: r.recommend(
        (session for session in [ids]), 2, exclude_clicked=True
    )["item_id"].to_list(),
    "click": through_click,
    "click_many": through_click_many,
    "deny": lambda r, ids: r.recommend([[]], 2, deny=ids)["item_id"].to_list(),
    "allow": through_allow,
}
KINDS = {
    "list": list,
    "tuple": tuple,
    "generator": iter,
    "NumPy array": np.array,
    "object array": lambda ids: np.array(ids, dtype=object),
    "NumPy scalars": lambda ids: [np.array([item])[0] for item in ids],
    "Polars series": pl.Series,
}
CATALOGS = {
    "integers": [[1, 2, 3, 4]],
    "texts": [["a", "b", "c", "d"]],
    "large": [[2**63 + 1, 2**63 + 2, 2**63 + 3, 2**63 + 4]],
}


@pytest.mark.parametrize("sessions", CATALOGS.values(), ids=CATALOGS)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_every_kind_of_list_goes_through_every_door(sessions, kind, door):
    first, second, *others = sessions[0]
    assert door(popularity(sessions), kind([first, second])) == others


def test_next_items_takes_every_kind_of_list():
    recommender = popularity([[1, 2]])
    for kind in KINDS.values():
        assert recommender.next_items(kind([1, 2]), np.int64(1))[0] == [1]


NO_LISTS = {
    "two dimensions": np.array([[1, 2], [3, 4]]),
    "nested": [[1], [2]],
    "truth values": [True],
    "dates": np.array(["2026-01-01"], dtype="datetime64[D]"),
    "table": pl.DataFrame({"a": [1]}),
}


@pytest.mark.parametrize("values", NO_LISTS.values(), ids=NO_LISTS)
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_what_is_no_list_of_ids_goes_through_none(values, door):
    recommender = popularity([[1, 2, 3]])
    if door is through_click and isinstance(values, pl.DataFrame):
        values = [values]  # a click takes an item, not a list
    with pytest.raises(g4r.DataError, match=r"id|list of sessions") as error:
        door(recommender, values)
    assert len(str(error.value).splitlines()) == 1


def test_a_text_is_no_list_of_ids():
    recommender = popularity([[1, 2, 3]])
    for call in (
        lambda: recommender.recommend([[1]], deny="12"),
        lambda: recommender.recommend([[1]], allow="12"),
        lambda: recommender.click_many("12", [1, 2]),
        lambda: recommender.click_many([1, 2], "12"),
        lambda: recommender.next_items("12"),
    ):
        with pytest.raises(g4r.DataError, match="a list of ids, got '12'"):
            call()


def test_an_array_of_two_dimensions_is_no_list_of_sessions():
    with pytest.raises(g4r.DataError, match="list of sessions"):
        popularity([[1, 2]]).recommend(np.array([[1, 2], [1, 2]]))


@pytest.mark.parametrize("text", ["007", "+1", "\uff11", " 1", "1.0"])
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_text_that_is_no_integer_is_unknown_at_every_door(text, door):
    recommender = popularity([[1, 1, 1, 7, 7, 3]])
    if door is DOORS["allow"]:
        with pytest.raises(g4r.DataError, match="no item of the catalog is left"):
            door(recommender, [text])
    else:
        assert door(recommender, [text]) == [1, 7]


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_an_item_of_twenty_digits_is_known_as_number_and_as_text(door):
    large = 12345678901234567890
    recommender = popularity([[large, large, 1, 1, 2, 3]])
    assert door(recommender, [large, 1]) == door(recommender, [str(large), "1"]) == [2, 3]


@pytest.mark.parametrize("sessions", CATALOGS.values(), ids=CATALOGS)
def test_what_recommend_returned_is_accepted_back(sessions):
    recommender = popularity(sessions)
    table = recommender.recommend(sessions, 2)
    assert recommender.recommend(table, 1).height == 1
    for back in (table["item_id"], table["item_id"].to_list(), table["item_id"].to_numpy()):
        left = recommender.recommend(sessions, 9, deny=back)["item_id"]
        assert not set(left) & set(table["item_id"])


def test_session_ids_are_taken_of_every_kind():
    recommender = popularity([[1, 2, 3]])
    recommender.click_many(np.array([5], dtype=np.uint16), [1])
    assert recommender.recommend_many((n for n in [np.int8(5)]), np.int8(1))["session_id"][0] == 5
    assert recommender.sessions.end(5.0)
