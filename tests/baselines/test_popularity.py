"""Popularity by hand."""

from toys import clicks_of

from gru4rec.baselines import Popularity


def test_items_come_by_their_clicks_whatever_the_session():
    recommender = Popularity().fit(clicks_of([["a", "b", "b"], ["c", "b", "a"]]))
    table = recommender.recommend([["c"], ["b"]], k=3)
    assert table["item_id"].to_list() == ["b", "a", "c"] * 2
    assert table["score"].to_list() == [3, 2, 1] * 2
