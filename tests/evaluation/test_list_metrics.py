"""Metrics of lists beyond accuracy, worked by hand."""

from math import log, log2, sqrt

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import clicks_of

import gru4rec as g4r
from gru4rec.evaluation import list_metrics
from gru4rec.evaluation.list_metrics import ItemFacts
from gru4rec.evaluation.measurements import METRICS
from gru4rec.evaluation.outcomes import Outcomes

# Of 16 clicks 8, 4, 2, 1, 1 and 0 on items 0 to 5.
SUPPORT = np.array([8, 4, 2, 1, 1, 0])


def outcomes_of_lists(lists, *, ranks=(), items=(), clicked=(0, 0), positions=None) -> Outcomes:
    """What became of targets of one session, each with the list before it."""
    nothing = np.zeros(len(lists), dtype=np.int64)
    return Outcomes(
        ranks=torch.tensor(ranks or [1.0] * len(lists), dtype=torch.float64),
        session=nothing,
        position=nothing + 1 if positions is None else np.array(positions),
        item=np.array(items) if items else nothing,
        tied=None,
        best=np.array(lists, dtype=np.int32),
        since=nothing,
        clicked=np.array(clicked),
        lengths=np.array([len(clicked)]),
        unknown_targets=np.zeros(1, dtype=np.int64),
        num_unknown=0,
    )


def values(metric, lists, k=3, **known) -> list[float]:
    of_items = {name: known.pop(name) for name in ("vectors_of", "kinds") if name in known}
    facts = ItemFacts(SUPPORT, **of_items)
    found = getattr(list_metrics, metric)(outcomes_of_lists(lists, **known), facts, k)
    return found.tolist()


def value(metric, lists, k=3, **known):
    """The same, to compare with what is rounded otherwise."""
    return pytest.approx(values(metric, lists, k, **known))


def test_novelty_is_in_bits_and_an_item_without_clicks_counts_as_clicked_once():
    assert value("novelty", [[0, 1, 2], [3, 4, 5]]) == [(1 + 2 + 3) / 3, log2(16)]


def test_popularity_is_a_mean_of_shares():
    assert value("popularity", [[0, 1, 5]]) == [(8 + 4) / 16 / 3]


def test_the_tail_begins_after_the_item_that_reaches_80_percent():
    # 8 and 12 of 16 are less than 12.8, 14 are not: the head are 0, 1 and 2
    assert value("tail_share", [[0, 1, 2], [2, 3, 5]]) == [0, 2 / 3]


def test_serendipity_counts_hits_that_are_not_among_the_k_most_popular():
    known = {"ranks": [1.0, 2.0, 3.0, 1.0], "items": [1, 2, 3, 0]}
    lists = [[0, 1]] * 4
    assert value("serendipity", lists, 1, **known) == [1, 0, 0, 0]
    assert value("serendipity", lists, 2, **known) == [0, 1, 0, 0]
    assert value("serendipity", lists, 3, **known) == [0, 0, 1, 0]


def test_intra_list_diversity_is_one_less_the_mean_cosine_of_pairs():
    vectors = np.array([[2, 0], [0, 3], [1, 1], [-1, 0], [5, 0], [0, 0]], dtype=np.float32)
    known = {"vectors_of": lambda items: vectors[items]}
    # pairs 0 1, 0 2, 1 2: 0, √½, √½; then 0 4: alike, 0 3: opposite; 5 is across to all
    assert value("intra_list_diversity", [[0, 1, 2]], **known) == [1 - 2 * sqrt(0.5) / 3]
    found = value("intra_list_diversity", [[0, 4], [0, 3], [0, 5], [5, 5]], 2, **known)
    assert found == [0, 2, 1, 1]
    assert value("intra_list_diversity", [[0, 1]], 1, **known) == [0]
    assert value("intra_list_diversity", [[0, 4, 3, -1], [2, -1, -1, -1]], 4, **known) == [4 / 3, 0]


def test_category_diversity_is_the_share_of_pairs_that_differ():
    kinds = np.array([0, 0, 1, 1, -1, -1])
    lists = [[0, 1, 2], [0, 1, 0], [0, 4, 5], [0, 1, -1], [3, -1, -1]]
    assert value("category_diversity", lists, kinds=kinds) == [2 / 3, 0, 1, 0, 0]


def test_calibration_is_the_divergence_of_steck():
    kinds = np.array([0, 0, 1, 1, -1, -1])
    clicked = [0, 2, 1, 4, 2]  # categories 0, 1, 0, none, 1
    lists = [[0, 1], [0, 2], [0, 4], [0, 3]]
    found = value(
        "calibration", lists, 2, kinds=kinds, clicked=clicked, positions=[1, 2, 3, 4]
    )  # fmt: skip
    half = 0.99 / 2 + 0.01 / 2
    assert found == [
        0,  # 0 alone of both
        0.5 * log(0.5 / half) * 2,  # halves of both
        # two thirds of 0 clicked, 0 alone listed, as 4 has no category
        2 / 3 * log((2 / 3) / (0.99 + 0.01 * 2 / 3)) + 1 / 3 * log(100),
        2 / 3 * log((2 / 3) / (0.99 / 2 + 0.01 * 2 / 3))
        + 1 / 3 * log((1 / 3) / (0.99 / 2 + 0.01 / 3)),
    ]
    # no category clicked; none listed
    known = {"kinds": kinds, "positions": [1]}
    assert value("calibration", [[0, 1]], 2, clicked=[4, 0], **known) == [0]
    assert value("calibration", [[4, -1]], 2, clicked=[0, 0], **known) == [log(100)]


def test_gini_and_coverage_by_hand():
    # shown 0, 1 and 3 times: ((−2)·0 + 0·1 + 2·3) / (3·4)
    lists = np.array([[0, 1], [0, -1], [0, -1]])
    assert list_metrics.gini(lists, 3) == pytest.approx(0.5)
    assert list_metrics.coverage(lists, 3) == pytest.approx(2 / 3)
    assert np.isnan(list_metrics.gini(np.full((2, 2), -1), 3))
    assert list_metrics.coverage(np.full((2, 2), -1), 3) == 0


@given(size=st.integers(1, 40), times=st.integers(1, 5))
def test_gini_of_equal_counts_is_none_and_of_one_item_alone_the_most(size, times):
    every = np.tile(np.arange(size), times)[:, None]
    assert list_metrics.gini(every, size) == pytest.approx(0)
    assert list_metrics.gini(np.zeros((times, 1), dtype=int), size) == pytest.approx(
        (size - 1) / size
    )


@given(st.lists(st.floats(0.1, 9), min_size=2, max_size=6), st.integers(2, 6))
def test_diversity_of_equal_directions_is_none(lengths, k):
    vectors = np.outer(lengths, [3, -1, 2]).astype(np.float32)
    known = {"vectors_of": lambda items: vectors[items]}
    lists = [list(range(len(lengths)))]
    assert np.allclose(values("intra_list_diversity", lists, k, **known), 0, atol=1e-5)


@given(st.data())
def test_diversity_is_the_mean_over_pairs(data):
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    vectors = random.normal(size=(6, 4))
    lists = random.permuted(np.tile(np.arange(6), (3, 1)), axis=1)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    expected = [
        np.mean([1 - cosines[one, other] for one in row[:4] for other in row[:4] if one != other])
        for row in lists
    ]
    known = {"vectors_of": lambda items: vectors[items].astype(np.float32)}
    assert np.allclose(values("intra_list_diversity", lists, 4, **known), expected, atol=1e-5)


def test_an_evaluation_has_them_with_intervals_but_for_those_of_sets():
    log = g4r.generate_clicks(sessions=100, items=20, seed=1)
    ids = log["item_id"].unique().sort()
    table = pl.DataFrame({"item_id": ids, "brand": ["a", "b"] * (len(ids) // 2) + [None]})
    popularity = g4r.Popularity().fit(log)
    asked = [name for name in METRICS if name not in ("intra_list_diversity", "reward")]
    found = g4r.evaluate(
        {"p": popularity}, log, ks=[5], metrics=asked, items_table=table, category="brand",
        by=["length"], against="p",
    )  # fmt: skip
    whole = found.filter(slice="all")
    bounded = whole.filter(pl.col("low").is_not_null())["metric"].unique().to_list()
    assert set(whole["metric"]) - set(bounded) == {"gini", "coverage"}
    # the same 5 for everybody
    assert whole.filter(metric="coverage")["value"].item() == 5 / 19
    assert whole.filter(metric="gini")["value"].item() == pytest.approx(14 / 19)
    assert whole.filter(metric="serendipity")["value"].item() == 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"metrics": ["calibration"]}, "calibration, category_diversity need category"),
        ({"category": "brand"}, "no other reads category"),
        ({"items_table": pl.DataFrame({"item_id": ["a"]})}, "no other reads items_table"),
        ({"metrics": ["calibration"], "category": "brand"}, "there is no table of these"),
        ({"metrics": ["intra_list_diversity"]}, "needs vectors of items, and p has none"),
    ],
)
def test_what_a_metric_needs_is_asked_for(asked, message):
    log = clicks_of([["a", "b"]])
    with pytest.raises((g4r.ConfigError, g4r.DataError), match=message):
        g4r.evaluate({"p": g4r.Popularity().fit(log)}, log, **asked)


def test_the_diversity_of_categories_is_that_of_rectools_on_its_example():
    # RecTools, docstring of `metrics.diversity.IntraListDiversity` (Apache 2.0): items 1 to 4 of
    # two features, lists 1 2 3 and 1 4; by Hamming distances, which add up those of the features,
    # it gives 0 and 0 at 1, 1 and 0 at 2, 1.33333333 and 0 at 3.
    features = (np.array([0, 0, 1, 0]), np.array([0, 1, 1, 0]))
    lists = [[0, 1, 2], [0, 3, -1]]

    def both(k: int) -> list[float]:
        parts = [
            np.array(values("category_diversity", lists, k, kinds=kinds)) for kinds in features
        ]
        return pytest.approx(parts[0] + parts[1])

    assert both(1) == [0.0, 0.0]
    assert both(2) == [1.0, 0.0]
    assert both(3) == [1.33333333, 0.0]
