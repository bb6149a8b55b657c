"""The protocol of evaluation, on logs small enough for paper."""

import math

import polars as pl
import pytest
from toys import clicks_of

import gru4rec as g4r

TRAIN = clicks_of([["a", "a", "a", "b", "b", "c"], ["d"]])  # popularity: a, b, then c and d


def values(table: pl.DataFrame) -> dict[tuple[str, int], float]:
    return {(row["metric"], row["k"]): row["value"] for row in table.iter_rows(named=True)}


def test_every_metric_equals_its_value_on_paper():
    # Targets b (rank 2), a (1), c (4: d ties with it); then b (2).
    test = clicks_of([["a", "b", "a", "c"], ["c", "b"], ["a"]])
    table = g4r.evaluate({"p": g4r.Popularity().fit(TRAIN)}, test, ks=[1, 2, 4])
    found = values(table)
    assert table["num_targets"].unique().to_list() == [4]
    assert found["recall", 1] == 1 / 4
    assert found["recall", 2] == 3 / 4
    assert found["recall", 4] == 1
    assert found["mrr", 1] == 1 / 4
    assert found["mrr", 2] == pytest.approx((1 / 2 + 1 + 1 / 2) / 4)
    assert found["mrr", 4] == pytest.approx((1 / 2 + 1 + 1 / 4 + 1 / 2) / 4)


def test_clicks_on_unknown_items_are_dropped_counted_and_missed_in_the_all_variants():
    # [x a y b] leaves [a b]: one known target b (rank 2), one unknown target y; [z] leaves nothing.
    test = clicks_of([["x", "a", "y", "b"], ["z"]])
    table = g4r.evaluate({"p": g4r.Popularity().fit(TRAIN)}, test, ks=[2])
    found = values(table)
    assert found["recall", 2] == 1
    assert found["recall_all", 2] == 1 / 2
    assert found["mrr_all", 2] == 1 / 4
    assert table.filter(metric="recall")["num_targets"].item() == 1
    assert table.filter(metric="recall_all")["num_targets"].item() == 2
    assert table["num_unknown"].unique().to_list() == [3]


def test_items_seen_in_the_session_are_not_left_out():
    test = clicks_of([["a", "a"]])
    assert values(g4r.evaluate({"p": g4r.Popularity().fit(TRAIN)}, test, ks=[1]))["recall", 1] == 1


@pytest.mark.parametrize(
    ("ties", "expected"), [("conservative", 0), ("standard", 1), ("median", 0)]
)
def test_a_constant_scorer_over_more_than_40_items_has_the_recall_of_its_tie_rule(ties, expected):
    items = [f"{i:02d}" for i in range(41)]
    constant = g4r.Popularity().fit(clicks_of([items]))
    table = g4r.evaluate({"constant": constant}, clicks_of([items]), ks=[20], ties=ties)
    assert values(table)["recall", 20] == expected


def test_the_whole_catalog_is_ranked():
    # With 1 000 items before it the target is found only if they were sampled away.
    train = clicks_of([[f"i{n}" for n in range(1000)] * 2, ["rare"]])
    test = clicks_of([["i1", "rare"]])
    assert (
        values(g4r.evaluate({"p": g4r.Popularity().fit(train)}, test, ks=[20]))["recall", 20] == 0
    )


def test_recommenders_come_in_their_order_and_each_by_its_own_catalog():
    other = g4r.Popularity().fit(clicks_of([["a", "b"]]))
    table = g4r.evaluate(
        {"z": g4r.Popularity().fit(TRAIN), "a": other}, clicks_of([["a", "c", "b"]]), ks=[1]
    )
    assert table["recommender"].unique(maintain_order=True).to_list() == ["z", "a"]
    assert table.filter(recommender="a")["num_unknown"].to_list() == [1] * 4


def test_ndcg_popularity_coverage_and_tie_rate_on_paper():
    # Popularity of 7 clicks: a 3, b 2, c and d 1. Targets b (rank 2), a (1), c (4: tied with d).
    test = clicks_of([["a", "b", "a", "c"]])
    asked = ["ndcg", "popularity", "coverage", "tie_rate"]
    table = g4r.evaluate({"p": g4r.Popularity().fit(TRAIN)}, test, ks=[2, 4], metrics=asked)
    found = values(table)
    assert found["ndcg", 2] == pytest.approx((1 / math.log2(3) + 1) / 3)
    assert found["ndcg_all", 4] == pytest.approx((1 / math.log2(3) + 1 + 1 / math.log2(5)) / 3)
    assert found["popularity", 2] == pytest.approx((3 / 7 + 2 / 7) / 2)
    assert found["coverage", 2] == 2 / 4
    assert found["coverage", 4] == 1
    assert found["tie_rate", None] == pytest.approx(1 / 3)


def test_all_equal_scores_are_a_tie_rate_of_one():
    items = [f"{i:02d}" for i in range(41)]
    constant = g4r.Popularity().fit(clicks_of([items]))
    table = g4r.evaluate({"p": constant}, clicks_of([items]), metrics=["tie_rate"])
    assert values(table) == {("tie_rate", None): 1}


def test_slices_are_means_over_their_targets():
    # Known targets: b, a, c of a session of 4 at positions 1, 2, 3; b of one of 2.
    test = clicks_of([["a", "b", "a", "c"], ["x", "c", "b"], ["a"]])
    table = g4r.evaluate(
        {"p": g4r.Popularity().fit(TRAIN)},
        test,
        ks=[2],
        metrics=["recall"],
        by=["length", "position", "support"],
    )
    found = {row["slice"]: (row["value"], row["num_targets"]) for row in table.to_dicts()[2:]}
    assert {part: each for part, each in found.items() if each[1]} == {
        "length 2": (1, 1),
        "length 4": (2 / 3, 3),
        "position 1": (1, 2),
        "position 2": (1, 1),
        "position 3": (0, 1),
        # a has 3 of 7 clicks, b begins at 3/7, c at 5/7
        "support head": (1, 1),
        "support middle": (1, 2),
        "support tail": (0, 1),
    }
    assert found["length 3"] == (None, 0)
    assert table["slice"][:2].to_list() == ["all", "all"]


def test_a_difference_of_a_recommender_to_itself_is_nothing_and_to_a_worse_one_is_sure():
    train = g4r.generate_clicks(sessions=300, items=40, seed=1)
    test = g4r.generate_clicks(sessions=100, items=40, seed=2)
    peers = {"markov": g4r.Markov().fit(train), "popularity": g4r.Popularity().fit(train)}
    table = g4r.evaluate(peers, test, ks=[5], metrics=["recall"], against="popularity")
    better, _, none, _ = table.to_dicts()
    assert better["difference"] == pytest.approx(better["value"] - none["value"])
    assert 0 < better["difference_low"] < better["difference"] < better["difference_high"]
    assert (none["difference"], none["difference_low"], none["difference_high"]) == (0, 0, 0)


def test_without_intervals_there_are_no_bounds():
    table = g4r.evaluate({"p": g4r.Popularity().fit(TRAIN)}, TRAIN, intervals=False)
    assert table.columns == ["recommender", "metric", "k", "value", "num_targets", "num_unknown"]


@pytest.mark.parametrize("asked", [{"ties": "standard"}, {"metrics": ["tie_rate"]}])
def test_through_the_index_there_are_no_ties_to_ask_for(asked):
    with pytest.raises(g4r.ConfigError, match="there are no ties"):
        g4r.evaluate({"p": g4r.Popularity().fit(TRAIN)}, TRAIN, through_index=True, **asked)


def test_through_the_index_a_target_that_is_not_found_is_missed():
    popularity = g4r.Popularity().fit(TRAIN)
    test = clicks_of([["a", "b", "a", "c"]])
    table = g4r.evaluate({"p": popularity}, test, ks=[2, 3], metrics=["mrr"], through_index=True)
    assert values(table)["mrr", 3] == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)  # c before d in lists
    assert values(table)["mrr", 2] == pytest.approx((1 / 2 + 1) / 3)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"metrics": ["hits"]}, "recall, mrr, ndcg"),
     ({"by": ["hour"]}, "length, position, support, repeat"), ({"against": "q"}, "choose from p")],
)  # fmt: skip
def test_unknown_names_are_refused(wrong, named):
    with pytest.raises(g4r.ConfigError, match=named):
        g4r.evaluate({"p": g4r.Popularity().fit(TRAIN)}, TRAIN, **wrong)
    for nothing in ({"recommenders": {}}, {"metrics": []}):
        with pytest.raises(g4r.DataError, match="at least one recommender and one metric"):
            g4r.evaluate(**{"recommenders": {"p": g4r.Popularity()}, "sessions": TRAIN, **nothing})


def test_time_order_decides_what_is_before_a_target():
    shuffled = pl.DataFrame(
        {"session_id": [1, 1, 1], "item_id": ["c", "a", "b"], "timestamp": [30, 10, 20]}
    )
    markov = g4r.Markov().fit(clicks_of([["a", "b", "c"]] * 3))
    assert values(g4r.evaluate({"m": markov}, shuffled, ks=[1]))["recall", 1] == 1


@pytest.mark.parametrize("ks", [[], [0], [5, -1]])
def test_a_cut_off_below_one_is_refused(ks):
    with pytest.raises(g4r.DataError, match="at least 1"):
        g4r.evaluate({"p": g4r.Popularity().fit(TRAIN)}, TRAIN, ks=ks)


def test_a_log_without_targets_is_refused_with_what_was_found():
    with pytest.raises(g4r.DataError, match="2 clicks are on unknown"):
        g4r.evaluate({"p": g4r.Popularity().fit(TRAIN)}, clicks_of([["x", "y"], ["a"]]))


def test_an_unknown_tie_rule_is_refused_with_the_choices():
    with pytest.raises(g4r.ConfigError, match="conservative, median, standard"):
        g4r.evaluate({"p": g4r.Popularity().fit(TRAIN)}, TRAIN, ties="best")
