"""Popularity by hand."""

import polars as pl
import pytest
from toys import clicks_of

from gru4rec.recommenders.baselines import Popularity, RecentPopularity, SessionPopularity


def test_items_come_by_their_clicks_whatever_the_session():
    recommender = Popularity().fit(clicks_of([["a", "b", "b"], ["c", "b", "a"]]))
    table = recommender.recommend([["c"], ["b"]], k=3)
    assert table["item_id"].to_list() == ["b", "a", "c"] * 2
    assert table["score"].to_list() == [3, 2, 1] * 2


def test_lately_is_the_newest_share_of_the_clicks_by_time():
    log = clicks_of([["a", "a", "a"], ["b", "c"]])
    recommender = RecentPopularity(share=0.4).fit(log)
    table = recommender.recommend([["a"]], k=3)
    assert dict(zip(table["item_id"], table["score"], strict=True)) == {"a": 0, "b": 1, "c": 1}
    times = pl.Series([9, 8, 7, 1, 2]) * 86_400 + 1_700_000_000
    timed = RecentPopularity(share=0.4).fit(log.with_columns(timestamp=times))
    assert timed.recommend([["b"]], k=1).row(0)[2:] == ("a", 2.0)


def test_the_clicks_of_the_session_come_first_then_the_popular():
    recommender = SessionPopularity().fit(clicks_of([["a", "b", "b"], ["c", "b", "a"]]))
    table = recommender.recommend([["c", "a", "c"], ["b"]], k=3)
    assert table["item_id"].to_list() == ["c", "a", "b", "b", "a", "c"]
    expected = [2 + 1 / 7, 1 + 2 / 7, 3 / 7, 1 + 3 / 7, 2 / 7, 1 / 7]
    assert table["score"].to_list() == pytest.approx(expected)
