"""The first-order chain by hand."""

import pytest
from toys import clicks_of

from gru4rec.baselines import Markov

LOG = clicks_of([["a", "b", "a", "c"], ["a", "b"], ["c", "b"], ["d"]])  # a→b 2, a→c 1, b→a 1, c→b 1


def test_the_most_frequent_followers_of_the_last_item_come_first():
    table = Markov().fit(LOG).recommend([["c", "a"]], k=2)
    assert table["item_id"].to_list() == ["b", "c"]
    assert table["score"].to_list() == pytest.approx([2 + 3 / 10, 1 + 2 / 10])


def test_items_that_never_followed_come_by_their_popularity():
    table = Markov().fit(LOG).recommend([["b"], ["d"]], k=4)
    assert table["item_id"].to_list() == ["a", "b", "c", "d"] * 2


def test_followers_do_not_cross_sessions():
    table = Markov().fit(LOG).recommend([["d"]], k=4)
    assert max(table["score"].to_list()) < 1


def test_popularity_tells_equal_counts_apart_however_large_they_are():
    log = clicks_of([["a", "x"]] * 2000 + [["a", "y"]] * 2000 + [["x"]])
    found = Markov().fit(log).recommend([["a"]], k=2)
    assert found["item_id"].to_list() == ["x", "y"]
