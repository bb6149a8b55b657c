"""Recommenders are measured under rules by the lists that they serve."""

import numpy as np
import polars as pl
import pytest
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.evaluation import evaluate_with_page
from gru4rec.serving import lists_after

TRAIN = clicks_of([["a", "a", "a", "b", "b", "c"], ["d"]])  # popularity: a, b, then c and d
TABLE = pl.DataFrame({"item_id": ["a", "b", "c", "d"], "brand": ["x", "x", "y", "y"]})


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=200, items=60, categories=3, seed=1)


@pytest.fixture(scope="module")
def model(log) -> g4r.Recommender:
    return g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)


@pytest.fixture(scope="module")
def table(log) -> pl.DataFrame:
    ids = log["item_id"].unique().sort()
    place = pl.int_range(len(ids), eager=True)
    return pl.DataFrame({"item_id": ids, "brand": place % 4})


def test_a_rank_is_the_place_in_the_list_on_paper():
    # Under the rule the list is a, c, d. Targets b: not shown; a: 1; c: 2.
    test = clicks_of([["a", "b", "a", "c"]])
    rules = {"no b": g4r.ListRules(deny=["b"])}
    found = g4r.evaluate(
        {"p": g4r.Popularity().fit(TRAIN)}, test, ks=[1, 3], metrics=["mrr", "popularity", "gini"],
        rules=rules, against="p",
    )  # fmt: skip
    assert found["recommender"].unique(maintain_order=True).to_list() == ["p", "p, no b"]
    of = {(row["recommender"], row["metric"], row["k"]): row for row in found.to_dicts()}
    assert of["p", "mrr", 3]["value"] == pytest.approx((1 / 2 + 1 + 0) / 3)  # d ties with c
    ruled = of["p, no b", "mrr", 3]
    assert ruled["value"] == pytest.approx((0 + 1 + 1 / 2) / 3)
    assert ruled["difference"] == pytest.approx(0)
    assert of["p, no b", "popularity", 3]["value"] == pytest.approx((3 + 1 + 1) / 7 / 3)
    assert of["p, no b", "gini", 3]["value"] == pytest.approx(1 / 4)


def test_an_empty_place_of_a_list_is_no_item():
    # The first item of the catalog, a, means nothing where a list has ended.
    test = clicks_of([["b", "a"]])
    rules = {"few": g4r.ListRules(allow=["b", "c"]), "own": g4r.ListRules(
        allow=["b"], exclude_clicked=True
    )}  # fmt: skip
    asked = ["recall", "popularity", "coverage", "novelty"]
    popularity = g4r.Popularity().fit(TRAIN)
    found = g4r.evaluate({"p": popularity}, test, ks=[4], metrics=asked, rules=rules)
    value = {(row["recommender"], row["metric"]): row["value"] for row in found.to_dicts()}
    assert value["p, few", "recall"] == 0
    assert value["p, few", "popularity"] == pytest.approx((2 + 1) / 7 / 2)
    assert value["p, few", "coverage"] == 2 / 4
    assert [value["p, own", metric] for metric in asked] == [0, 0, 0, 0]


def test_lists_after_clicks_are_those_that_are_recommended_after_their_sessions(model, log, table):
    sessions = model.reader.arrays(log.head(150).lazy())
    clicks = sessions.prefixes()
    starts = sessions.starts_of(clicks)
    ids = model.catalog.item_ids
    prefixes = [
        ids.gather(sessions.items[start : click + 1]).to_list()
        for start, click in zip(starts, clicks, strict=True)
    ]
    for rules in (
        g4r.ListRules(diversity=0.4),
        g4r.ListRules(at_most=1, per="brand", exclude_clicked=True, items_table=table),
    ):
        for k in (5, 20):
            items = np.zeros((len(clicks), k), dtype=np.int64)
            shown = np.zeros((len(clicks), k), dtype=bool)
            times = np.zeros(len(clicks))
            for rows, scores, found in lists_after(model, sessions, clicks, k, rules.on(model)):
                items[rows], shown[rows] = found, np.isfinite(scores)
                times[rows] += 1
            assert (times == 1).all()
            expected = model.recommend(prefixes, k, rules=rules)["item_id"]
            assert ids.gather(items[shown]).to_list() == expected.to_list()


def test_a_rule_that_asks_nothing_has_the_figures_of_the_index(model, log):
    rules = {"none": g4r.ListRules()}
    found = g4r.evaluate({"m": model}, log, ks=[5], rules=rules, through_index=True, against="m")
    assert found["difference"].to_list() == [0.0] * found.height


def test_more_diversity_varies_more_and_the_price_has_an_interval(model, log):
    rules = {f"diversity {x}": g4r.ListRules(diversity=x) for x in (0.0, 0.4, 1.0)}
    found = g4r.evaluate(
        {"m": model}, log, ks=[10], metrics=["recall", "intra_list_diversity"], rules=rules,
        against="m",
    )  # fmt: skip
    varied = found.filter(metric="intra_list_diversity")["value"].to_list()
    assert varied[0] == pytest.approx(varied[1])
    assert varied[1] < varied[2] < varied[3]
    price = found.filter(recommender="m, diversity 1.0", metric="recall").row(0, named=True)
    assert price["difference_low"] <= price["difference"] <= price["difference_high"] < 0


def test_progress_counts_every_row_of_the_table(log):
    told = []
    popularity = g4r.Popularity().fit(log)
    rules = {"a": g4r.ListRules(exclude_clicked=True), "b": g4r.ListRules()}
    g4r.evaluate({"p": popularity}, log, rules=rules, on_progress=lambda *at: told.append(at))
    done, total = told[-1]
    assert done == total == 3 * len(popularity.reader.arrays(log.lazy()).prefixes())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"ties": "median"}, "under rules there are no ties"),
        ({"metrics": ["tie_rate"]}, "under rules there are no ties"),
        ({"rules": {"x": g4r.ListRules(diversity=0.2)}}, "p, x: diversity needs vectors"),
        ({"rules": {"x": g4r.ListRules(allow_where="brand = 'x'")}}, "p, x: .*no table of these"),
        ({"against": "p, y"}, "choose from p, p, x"),
    ],
)
def test_what_cannot_be_measured_is_refused(asked, message):
    popularity = {"p": g4r.Popularity().fit(TRAIN)}
    with pytest.raises((g4r.ConfigError, g4r.DataError), match=message):
        g4r.evaluate(popularity, TRAIN, **{"rules": {"x": g4r.ListRules()}, **asked})


def test_two_rows_of_one_name_are_refused():
    popularity = g4r.Popularity().fit(TRAIN)
    with pytest.raises(g4r.ConfigError, match=r"two rows .* 'p, x'"):
        g4r.evaluate({"p": popularity, "p, x": popularity}, TRAIN, rules={"x": g4r.ListRules()})


def test_lists_are_even_of_a_log_with_one_table():
    rules = {"one of each": g4r.ListRules(at_most=1, per="brand", items_table=TABLE)}
    found = g4r.evaluate(
        {"p": g4r.Popularity().fit(TRAIN)}, clicks_of([["a", "b"]]), ks=[2],
        metrics=["category_diversity", "calibration"], rules=rules, items_table=TABLE,
        category="brand",
    )  # fmt: skip
    value = {(row["recommender"], row["metric"]): row["value"] for row in found.to_dicts()}
    assert value["p", "category_diversity"] == 0  # a, b
    assert value["p, one of each", "category_diversity"] == 1  # a, c
    assert value["p", "calibration"] == pytest.approx(0)  # of x alone, as what was clicked
    assert value["p, one of each", "calibration"] == pytest.approx(-np.log(0.495 + 0.01))


def test_the_page_draws_recall_against_variety_where_there_are_two_degrees_of_it(model, log):
    both = {f"diversity {x}": g4r.ListRules(diversity=x) for x in (0.0, 0.4)}
    table, page = evaluate_with_page({"m": model}, log, ks=[5], rules=both)
    assert "Recall against variety" in page
    assert table["metric"].unique().sort().to_list() == ["mrr", "mrr_all", "recall", "recall_all"]
    assert table.equals(g4r.evaluate({"m": model}, log, ks=[5], rules=both))
    one = {"diversity": g4r.ListRules(diversity=0.4), "new": g4r.ListRules(exclude_clicked=True)}
    page = evaluate_with_page({"m": model}, log, ks=[5], rules=one)[1]
    assert "Recall against variety" not in page
