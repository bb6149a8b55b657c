"""Rules of lists: every item passes, k stand where k exist, and the order is that of the scores."""

import copy
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import TINY

import gru4rec as g4r
from gru4rec.serving import ItemFilter, filter_of, rule_sets
from gru4rec.serving.arrangement import Arrangement

ITEMS = 60
BRANDS = ["a", "b", "c", None]


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=200, items=ITEMS, categories=3, seed=1)


@pytest.fixture(scope="module")
def table(log) -> pl.DataFrame:
    ids = log["item_id"].unique().sort()
    place = pl.int_range(len(ids), eager=True)
    return pl.DataFrame(
        {"item_id": ids, "brand": [BRANDS[n % 4] for n in place], "price": place * 1.5}
    ).filter(pl.col("item_id") != ids[5])  # of which nothing is known


@pytest.fixture(scope="module", params=["gru", "dot", "repeats", "ivf", "fusion"])
def recommender(request, log) -> g4r.Recommender:
    settings = {
        "dot": {"training.scoring": "dot", "training.loss": "bpr_max"},
        "repeats": {"encoder.repeats": True},
    }.get(request.param, {})
    model = g4r.GRU4Rec(g4r.Config().replace({**TINY, **settings}), device="cpu").fit(log)
    if request.param == "ivf":
        model.index = type(model.index).build(model.item_vectors(), "IVF4,Flat")
        model.index = model.index.with_vectors(model.kept_vectors())
    if request.param == "fusion":
        return g4r.Fusion([model, g4r.VSTAN().fit(log)])
    return model


PREFIXES = [["c00-0000", "c00-0003"], ["c01-0022"], ["unknown"], ["c02-0041"] * 3]

rules = st.fixed_dictionaries(
    {},
    optional={
        "allow_where": st.sampled_from(
            ["brand = 'a'", "price < 40", "brand IN ('a', 'b') AND price > 3", "price < 5"]
        ),
        "deny": st.lists(st.sampled_from(["c00-0001", "c01-0022"]), max_size=2),
        "exclude_clicked": st.booleans(),
        "boosts": st.just({"brand = 'b'": 3.0, "price > 60": -1.0}),
        "diversity": st.sampled_from([0.0, 0.3, 1.0]),
        "at_most": st.integers(1, 3),
    },
).map(lambda given: {**given, "per": "brand"} if "at_most" in given else given)


@given(given_rules=rules, k=st.sampled_from([1, 5, 20, 70]))
def test_a_list_keeps_all_rules_and_is_full_where_it_can_be(recommender, table, given_rules, k):
    asked = g4r.ListRules(**given_rules, items_table=table)
    found = recommender.recommend(PREFIXES, k, rules=asked)
    size = len(recommender.catalog)
    every = recommender.recommend(PREFIXES, size)
    brand = dict(table.select("item_id", "brand").iter_rows())
    price = dict(table.select("item_id", "price").iter_rows())
    passing = recommender.catalog.item_ids.to_list()
    where = given_rules.get("allow_where")
    if where is not None:
        taken = pl.SQLContext(items=table).execute(f"SELECT item_id FROM items WHERE {where}")
        passing = [item for item in passing if item in set(taken.collect()["item_id"])]
    passing = [item for item in passing if item not in given_rules.get("deny", ())]
    for row, prefix in enumerate(PREFIXES):
        allowed = [
            item for item in passing
            if not (given_rules.get("exclude_clicked") and item in prefix)
        ]  # fmt: skip
        items = found.filter(session_id=row)["item_id"].to_list()
        assert len(items) == len(set(items))
        assert set(items) <= set(allowed)
        most = given_rules.get("at_most")
        kinds = [brand.get(item) for item in items]
        possible = len(allowed)
        if most is not None:
            of_kind = {kind: sum(brand.get(item) == kind for item in allowed) for kind in "abc"}
            possible = sum(min(most, count) for count in of_kind.values())
            possible += sum(brand.get(item) is None for item in allowed)
            assert all(kinds.count(kind) <= most for kind in "abc")
        assert len(items) == min(k, possible)
        if not given_rules.get("diversity"):
            scores = dict(every.filter(session_id=row).select("item_id", "score").iter_rows())
            order = [scores[item] for item in items]
            if "boosts" in given_rules:
                known = row != 2
                boost = [
                    3.0 * (brand.get(item) == "b") - 1.0 * (price.get(item, 0) > 60)
                    for item in items
                ]
                order = [
                    score + more if known else score * np.exp(more)
                    for score, more in zip(order, boost, strict=True)
                ]
            assert all(one >= other - 1e-4 for one, other in pairwise(order))


def test_rules_that_ask_nothing_change_nothing(recommender, table):
    expected = recommender.recommend(PREFIXES, 20)
    for idle in (g4r.ListRules(), g4r.ListRules(diversity=0.0, items_table=table)):
        found = recommender.recommend(PREFIXES, 20, rules=idle)
        assert found["item_id"].to_list() == expected["item_id"].to_list()
        assert np.allclose(found["score"], expected["score"], atol=1e-5)


def test_every_way_of_asking_gives_one_list(recommender, table):
    asked = g4r.ListRules(diversity=0.4, at_most=2, per="brand", items_table=table)
    expected = recommender.recommend(PREFIXES[:2], 8, rules=asked)
    store = recommender.sessions
    store.click_many([0, 0, 1], ["c00-0000", "c00-0003", "c01-0022"])
    assert store.recommend_many([0, 1], 8, rules=asked)["item_id"].equals(expected["item_id"])
    store.end(0)
    store.end(1)
    live = recommender.start_session()
    for item in PREFIXES[0]:
        live.click(item)
    first = expected.filter(session_id=0)["item_id"].to_list()
    assert live.recommend(8, rules=asked)["item_id"].to_list() == first
    assert recommender.next_items(PREFIXES[0], 8, only=asked.on(recommender))[0] == first


def test_variety_is_maximal_marginal_relevance_by_hand():
    # relevance 1, .75, .5, 0; vectors: 0 and 1 alike, 2 across, 3 opposite
    vectors = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    scores = np.array([[5, 4, 3, 1]], dtype=np.float32)
    items = np.array([[7, 2, 9, 4]])
    rows = {7: 0, 2: 1, 9: 2, 4: 3}
    lists = Arrangement(0.5, lambda found: vectors[[rows[item] for item in found]]).lists
    # after 7: item 2: .375 − .5 = −.125, item 9: .25 − 0, item 4: 0 + .5
    # after 7, 4: item 2: −.125, item 9: .25 − 0; so 9, then 2
    found, order, complete = lists(scores, items, 4)
    assert order.tolist() == [[7, 4, 9, 2]]
    assert found.tolist() == [[5, 1, 3, 4]]
    assert complete.all()


def test_equal_worth_goes_to_the_lower_item_index():
    vectors = np.ones((3, 2), dtype=np.float32)
    lists = Arrangement(1.0, lambda found: vectors[: len(found)]).lists
    _, order, _ = lists(np.array([[3, 2, 2]], dtype=np.float32), np.array([[5, 9, 1]]), 3)
    assert order.tolist() == [[5, 1, 9]]


def test_at_most_so_many_of_a_kind_are_taken_in_order():
    kinds = np.array([0, 0, 0, 1, -1, -1])
    lists = Arrangement(at_most=1, kinds=kinds).lists
    scores = np.array([[9, 8, 7, 6, 5, 4]], dtype=np.float32)
    found, order, complete = lists(scores, np.arange(6)[None], 5)
    assert order.tolist() == [[0, 3, 4, 5, 0]]
    assert np.isneginf(found[0, 4])
    assert complete.tolist() == [False]
    scores[0, 5] = -np.inf  # no more may be shown
    assert lists(scores, np.arange(6)[None], 5)[2].tolist() == [True]


def test_a_kind_that_fills_the_best_is_looked_beyond():
    log = pl.DataFrame(
        {"session_id": np.repeat(np.arange(600), 2), "item_id": np.arange(1200) % 400}
    )
    model = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)
    best, _ = model.next_items([3], 390)
    kinds = pl.DataFrame({"item_id": best, "kind": [1] * 380 + list(range(2, 12))})
    asked = g4r.ListRules(at_most=1, per="kind", deny=range(400), items_table=kinds)
    with pytest.raises(g4r.DataError, match="no item of the catalog is left"):
        model.recommend([[3]], 5, rules=asked)
    asked = g4r.ListRules(at_most=1, per="kind", allow=best, items_table=kinds)
    found = model.recommend([[3]], 11, rules=asked)["item_id"].to_list()
    assert found == [best[0], *best[380:]]


def test_a_list_that_can_have_no_more_is_not_looked_for_through_the_catalog(log, table):
    model = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)
    known = table.drop_nulls("brand")
    asked = g4r.ListRules(at_most=2, per="brand", allow=known["item_id"].to_list(),
                          items_table=table).on(model)  # fmt: skip
    assert asked.arrangement.most == 6
    six = [item for brand in "abc" for item in known.filter(brand=brand)["item_id"][:2]]
    found = np.array([[model.catalog.find(item) for item in six]])
    _, listed, complete = asked.arrangement.lists(np.ones((1, 6), np.float32), found, 20)
    assert listed[0, :6].tolist() == found[0].tolist()
    assert complete.all()  # it has no more, and nobody looks for any
    asked = g4r.ListRules(at_most=2, per="brand", items_table=table).on(model)
    assert asked.arrangement.most == 6 + len(model.catalog) - known.height


@pytest.mark.parametrize(
    ("given_rules", "message"),
    [
        ({"diversity": 1.5}, "diversity lies between 0 and 1, got 1.5"),
        ({"diversity": float("nan")}, "diversity lies between"),
        ({"at_most": 3}, "at_most .* and per .* go together"),
        ({"per": "brand"}, "go together"),
        ({"at_most": 0, "per": "brand"}, "go together"),
        ({"boosts": {"price > 1": float("nan")}}, "boosts lie between"),
        ({"boosts": {"price > 1": 1e9}}, "boosts lie between"),
        ({"boosts": "price"}, "boosts of rules cannot be"),
        ({"allow_where": 3}, "allow_where of rules cannot be 3; give a predicate as text"),
        ({"exclude_clicked": "yes"}, "give true or false"),
    ],
)
def test_a_value_that_is_none_is_refused(given_rules, message):
    with pytest.raises(g4r.ConfigError, match=message):
        g4r.ListRules(**given_rules)


@pytest.mark.parametrize(
    ("given_rules", "message"),
    [
        ({"allow_where": "brand = 'z'"}, "let none of the .* items of the catalog pass"),
        ({"allow_where": "colour = 'red'"}, "the table of items has brand, price"),
        ({"allow_where": "brand ="}, "cannot apply the rule"),
        ({"allow_where": "price"}, "cannot apply the rule"),
        ({"allow_where": "unnest(tags) = 'a'"}, "does not say true or false of each item"),
        ({"allow_where": "item_id IN (SELECT item_id FROM self)"}, "cannot apply the rule"),
        ({"at_most": 1, "per": "colour"}, "choose from brand, price"),
        ({"boosts": {"colour = 1": 1.0}}, "cannot apply the rule"),
    ],
)
def test_rules_that_the_table_cannot_answer_are_refused(recommender, table, given_rules, message):
    table = table.with_columns(tags=pl.concat_list("brand", "brand"))
    asked = g4r.ListRules(**given_rules, items_table=table)
    with pytest.raises((g4r.DataError, g4r.ConfigError), match=message):
        asked.on(recommender)


def test_what_is_missing_is_said(log, recommender):
    with pytest.raises(g4r.DataError, match="there is no table of these"):
        recommender.recommend(PREFIXES, 3, rules=g4r.ListRules(allow_where="brand = 'a'"))
    with pytest.raises(g4r.DataError, match="diversity needs vectors of items"):
        g4r.Markov().fit(log).recommend(PREFIXES, 3, rules=g4r.ListRules(diversity=0.5))
    spread = g4r.ListRules(at_most=1, per="brand", items_table=pl.DataFrame(
        {"item_id": ["c00-0000", "c00-0001"], "brand": ["a", "a"]}
    ))  # fmt: skip
    found = g4r.Markov().fit(log).recommend([["c00-0003"]], 60, rules=spread)
    assert found.filter(pl.col("item_id").is_in(["c00-0000", "c00-0001"])).height == 1


def test_sets_of_rules_come_from_a_file(tmp_path, table):
    path = tmp_path / "rules.toml"
    path.write_text(
        "[front-page]\nat_most = 2\nper = 'brand'\ndiversity = 0.2\n"
        "boosts = { \"price < 10\" = 0.5 }\n[cheap]\nallow_where = 'price < 20'\ndeny = [1, 'b']\n"
    )
    sets = rule_sets(path, items_table=table)
    assert sets["front-page"] == g4r.ListRules(
        at_most=2, per="brand", diversity=0.2, boosts={"price < 10": 0.5}
    )
    assert sets["cheap"].deny == [1, "b"]
    assert g4r.ListRules.from_toml(path, "cheap") == sets["cheap"]
    with pytest.raises(g4r.ConfigError, match="choose one of front-page, cheap"):
        g4r.ListRules.from_toml(path)
    path.write_text("diversity = 0.2\n[boosts]\n'price < 10' = 0.5\n")
    alone = g4r.ListRules(diversity=0.2, boosts={"price < 10": 0.5})
    assert rule_sets(path) == {"rules": alone}
    assert g4r.ListRules.from_toml(path) == alone
    for text, message in (
        ("", "has no sets of rules"),
        ("diversity = 0.2\n[b]\ndeny = [1]", "has no sets of rules"),
        ("[a]\nat_least = 1", r"rules \[a\] of .*: no rule 'at_least'; choose from allow_where"),
        ("[a]\ndiversity = 2", r"rules \[a\] of .*: diversity lies"),
        ("[a", "cannot read"),
    ):
        path.write_text(text)
        with pytest.raises(g4r.ConfigError, match=message):
            rule_sets(path)
    with pytest.raises(g4r.ConfigError, match="cannot read"):
        rule_sets(tmp_path / "none.toml")


def test_a_filter_of_few_items_looks_at_these_alone(recommender, monkeypatch):
    few = recommender.catalog.item_ids[[3, 40, 7]].to_list()
    expected = recommender.recommend(PREFIXES, 60).filter(pl.col("item_id").is_in(few))
    found = recommender.recommend(PREFIXES, 3, allow=few)
    assert found["item_id"].to_list() == expected["item_id"].to_list()
    one = filter_of(recommender, allow=few, exclude_clicked=True)
    assert isinstance(one, ItemFilter)
    clicked = few[1]
    assert clicked not in recommender.next_items([clicked], 3, only=one)[0]
    assert len(recommender.next_items([clicked], 3, only=one)[0]) == 2


def test_rules_are_made_for_a_catalog_once_and_anew_for_another(log, table):
    model = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)
    asked = g4r.ListRules(allow_where="price < 20", items_table=table)
    first = asked.on(model)
    assert asked.on(model) is first
    model.fit(log.filter(pl.col("session_id") > 20))
    assert asked.on(model) is not first
    assert len(asked.on(model).allowed) == len(model.catalog)


def test_a_model_that_learned_by_a_table_keeps_it_for_rules(log, table, tmp_path):
    items = table.with_columns(text=pl.Series([[float(n), 1.0] for n in range(table.height)]))
    model = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log, item_features=items)
    model.add_items(pl.DataFrame({"item_id": ["new"], "brand": ["b"], "colour": ["red"]}))
    model.save(tmp_path / "model")
    again = g4r.load(tmp_path / "model", device="cpu")
    for one in (model, again, g4r.Fusion([again, again])):
        found = one.recommend([["c00-0000"]], 61, rules=g4r.ListRules(allow_where="brand = 'b'"))
        expected = set(table.filter(brand="b")["item_id"]) | {"new"}
        assert set(found["item_id"]) == expected
        red = one.recommend([["c00-0000"]], 61, rules=g4r.ListRules(allow_where="colour = 'red'"))
        assert red["item_id"].to_list() == ["new"]
    assert "text" not in again.items.columns


def test_what_is_kept_of_few_items_serves_requests_that_leave_out_clicked_ones(log, table):
    model = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)
    asked = g4r.ListRules(allow_where="price < 4", items_table=table)
    bound = asked.on(model)
    assert bound.is_narrow
    besides = filter_of(model, rules=asked, exclude_clicked=True)
    assert besides.few_of(model.index)[0] is bound.few_of(model.index)[0]
    shown = model.recommend([["c00-0001"]], 5, rules=asked)["item_id"].to_list()
    left = model.recommend([["c00-0001"]], 5, rules=asked, exclude_clicked=True)
    assert left["item_id"].to_list() == [item for item in shown if item != "c00-0001"]
    assert "c00-0001" in shown
    fewer = filter_of(model, rules=asked, deny=["c00-0001"])
    assert len(fewer.few_of(model.index)[1]) == len(shown) - 1


def test_boosts_that_add_up_and_numbers_that_are_none(log, table):
    model = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)
    strong = g4r.ListRules(boosts={"price < 40": 80.0, "price < 41": 79.0}, items_table=table)
    assert model.recommend([["unknown"]], 60, rules=strong).height == len(model.catalog)
    holed = table.with_columns(price=pl.lit(float("nan")))
    with pytest.raises(g4r.DataError, match="let none"):
        g4r.ListRules(allow_where="price > 0", items_table=holed).on(model)


def test_rules_are_copied_without_what_was_made_by_them(log, table):
    model = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)
    asked = g4r.ListRules(allow_where="price < 20", items_table=table)
    asked.on(model)
    again = copy.deepcopy(asked)
    assert again == asked
    assert again.on(model) is not asked.on(model)
    assert np.array_equal(again.on(model).allowed, asked.on(model).allowed)
