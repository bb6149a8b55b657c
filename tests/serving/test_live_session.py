"""A running session gives what the batch gives for the same clicks."""

import polars as pl
import pytest
from toys import clicks_of

import gru4rec as g4r


def test_click_by_click_equals_the_batch(trained):
    clicks = ["c00-0001", "c00-0002", "c01-0030", "c00-0002"]
    session = trained.start_session()
    for position, item in enumerate(clicks, start=1):
        assert session.click(item)
        batch = trained.recommend([clicks[:position]], k=60)
        live = session.recommend(k=60)
        assert live["item_id"].to_list() == batch["item_id"].to_list()
        assert live["score"].to_list() == pytest.approx(batch["score"].to_list(), abs=1e-4)


def test_before_a_known_click_the_popular_items_come(trained):
    session = trained.start_session()
    assert not session.click("never seen")
    assert session.recommend(k=3)["item_id"].to_list() == trained.catalog.item_ids.head(3).to_list()


def test_an_unknown_click_leaves_the_session_as_it_was(trained):
    session = trained.start_session()
    session.click("c00-0001")
    before = session.recommend()
    assert not session.click("never seen")
    assert session.recommend().equals(before)


def test_sessions_do_not_share_their_state(trained):
    one, other = trained.start_session(), trained.start_session()
    one.click("c00-0001")
    other.click("c02-0050")
    alone = trained.start_session()
    alone.click("c00-0001")
    assert one.recommend().equals(alone.recommend())
    assert not one.recommend().equals(other.recommend())


def test_the_table_has_rank_item_and_score(trained):
    session = trained.start_session()
    session.click("c00-0001")
    table = session.recommend(k=1000)
    assert table.columns == ["rank", "item_id", "score"]
    assert table.height == len(trained.catalog)
    assert table.schema["item_id"] == pl.String


def test_k_below_one_is_refused(trained):
    with pytest.raises(g4r.DataError, match="k must be at least 1"):
        trained.start_session().recommend(k=0)


def test_ids_of_another_type_are_cast_as_those_of_a_log_are(tiny):
    recommender = g4r.GRU4Rec(tiny, device="cpu").fit(clicks_of([[1, 2], [2, 3]]))
    session = recommender.start_session()
    assert session.click("1")
    assert session.recommend()["item_id"].to_list() == (
        recommender.recommend([["1"]])["item_id"].to_list()
    )
    assert not session.click("one")
    with pytest.raises(g4r.DataError, match="ids are integers or text"):
        session.click(1.5)
