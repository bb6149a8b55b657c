"""Rules from the last item to others, by hand."""

import math

import polars.testing
import pytest
from toys import clicks_of

from gru4rec.recommenders.baselines import ItemKNN, Markov, SequentialRules

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


def scores_of(recommender, session: list[str]) -> dict[str, float]:
    table = recommender.recommend([session], k=100)
    return {row["item_id"]: row["score"] for row in table.to_dicts() if row["score"] > 0}


def test_a_sequential_rule_weighs_less_the_larger_its_gap():
    log = clicks_of([["a", "b", "c"], ["a", "c"], ["b", "a", "b"]])
    # a→b: gap 1 twice; a→c: gap 2 once, gap 1 once; b→c and b→a: gap 1; b→b: gap 2
    quadratic = SequentialRules(steps=2, weighting="quadratic").fit(log)
    assert scores_of(quadratic, ["c", "a"]) == pytest.approx({"b": 2, "c": 1 + 1 / 4})
    assert scores_of(quadratic, ["b"]) == pytest.approx({"c": 1, "a": 1, "b": 1 / 4})
    div = SequentialRules(steps=2, weighting="div").fit(log)
    assert scores_of(div, ["a"]) == pytest.approx({"b": 2, "c": 1 + 1 / 2})
    near = SequentialRules(steps=1, weighting="same").fit(log)
    assert scores_of(near, ["a"]) == pytest.approx({"b": 2, "c": 1})
    assert scores_of(near, ["c"]) == {}


def test_rules_are_the_same_however_many_rows_are_kept_at_once(monkeypatch, log):
    expected = SequentialRules(steps=15, weighting="div").fit(log).learned
    monkeypatch.setattr("gru4rec.recommenders.baselines.item_to_item._ROWS", 10)
    found = SequentialRules(steps=15, weighting="div").fit(log).learned
    polars.testing.assert_frame_equal(found, expected, rel_tol=1e-9)


def test_only_the_heaviest_rules_are_kept():
    log = clicks_of([["a", "b"], ["a", "b"], ["a", "c"], ["a", "d"]])
    kept = SequentialRules(rules=2, steps=1, weighting="same").fit(log)
    assert scores_of(kept, ["a"]) == {"b": 2, "c": 1}  # of c and d the lower index


def test_a_cosine_of_items_counts_sessions_and_is_damped():
    log = clicks_of([["a", "b", "a"], ["a", "b"], ["a", "c"]])  # clicks: a 4, b 2, c 1
    plain = ItemKNN(damping=0.0).fit(log)
    expected = {"b": 2 / math.sqrt(4 * 2), "c": 1 / math.sqrt(4 * 1)}
    assert scores_of(plain, ["a"]) == pytest.approx(expected)
    damped = ItemKNN().fit(log)
    expected = {"b": 2 / math.sqrt(24 * 22), "c": 1 / math.sqrt(24 * 21)}
    assert scores_of(damped, ["c", "a"]) == pytest.approx(expected)
    assert list(scores_of(ItemKNN(neighbours=1).fit(log), ["a"])) == ["b"]


def test_of_a_long_session_the_last_clicks_make_pairs():
    log = clicks_of([["a", "b", "c"]])
    assert scores_of(ItemKNN(max_clicks=2).fit(log), ["a"]) == {}
    assert list(scores_of(ItemKNN(max_clicks=2).fit(log), ["b"])) == ["c"]
