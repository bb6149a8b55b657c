"""Targets that types of events choose and weigh, in `evaluate`; worked by hand on a few clicks."""

import polars as pl
import pytest
from toys import TINY

import gru4rec as g4r
from gru4rec.evaluation import evaluate_with_page

# Popularity ranks a, b, c, d: a is clicked 4 times, b 3, c 2, d once.
TRAIN = pl.DataFrame({"session_id": [0, 0, 1, 1, 2, 2, 3, 3, 4, 4], "item_id": list("abababacdc")})
# Targets: b (view, rank 2), d (buy, rank 4); a (cart, rank 1), b (view, rank 2).
TEST = pl.DataFrame(
    {
        "session_id": [9, 9, 9, 10, 10, 10],
        "item_id": list("abdcab"),
        "type": ["view", "view", "buy", "buy", "cart", "view"],
    }
)


@pytest.fixture(scope="module")
def popular() -> dict[str, g4r.Recommender]:
    return {"popularity": g4r.Popularity().fit(TRAIN)}


def values(table: pl.DataFrame, **where: object) -> dict[str, float]:
    rows = table.filter(**where) if where else table
    return dict(zip(rows["metric"], rows["value"], strict=True))


def test_a_weighted_metric_is_a_mean_in_which_targets_count_their_weight(popular):
    table = g4r.evaluate(popular, TEST, ks=[2], event_column="type", event_weights={"buy": 5})
    found = values(table)
    assert found["recall"] == pytest.approx(3 / 4)  # b, a, b
    assert found["weighted_recall"] == pytest.approx(3 / 8)  # the buy counts five
    assert found["mrr"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 4)
    assert found["weighted_mrr"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 8)
    assert set(table["num_targets"]) == {4}


def test_target_events_alone_are_targets_and_all_clicks_are_read(popular):
    table = g4r.evaluate(popular, TEST, ks=[4], event_column="type", target_events=["buy", "cart"])
    assert values(table)["mrr"] == pytest.approx((1 / 4 + 1) / 2)  # the first click is no target
    assert set(table["num_targets"]) == {2}
    assert set(table["metric"]) == {"recall", "mrr", "recall_all", "mrr_all"}  # all weigh the same


def test_unknown_targets_count_only_if_they_are_targets(popular):
    log = TEST.with_columns(item_id=pl.col("item_id").replace("d", "new"))
    asked = {"ks": [4], "event_column": "type", "intervals": False}
    views = g4r.evaluate(popular, log, target_events=["view"], **asked)
    assert values(views)["recall_all"] == 1.0
    buys = g4r.evaluate(popular, log, target_events=["buy", "cart"], **asked)
    assert values(buys)["recall_all"] == pytest.approx(1 / 2)


def test_slices_by_event_are_of_the_type_of_the_target(popular):
    table = g4r.evaluate(popular, TEST, ks=[2], by=["event"], event_column="type")
    recalls = table.filter(metric="recall")
    assert dict(zip(recalls["slice"], recalls["value"], strict=True)) == {
        "all": 0.75, "event view": 1.0, "event buy": 0.0, "event cart": 1.0,
    }  # fmt: skip


def test_equal_weights_have_the_figures_of_none_and_no_further_rows(popular):
    plain = g4r.evaluate(popular, TEST)
    alike = g4r.evaluate(
        popular, TEST, event_column="type", event_weights={"view": 2, "buy": 2, "cart": 2}
    )
    assert plain.equals(alike)


def test_intervals_of_weighted_means_hold_them(popular):
    log = pl.concat([TEST.with_columns(pl.col("session_id") + 10 * n) for n in range(30)])
    table = g4r.evaluate(popular, log, ks=[2], event_column="type", event_weights={"buy": 5})
    row = table.filter(metric="weighted_recall").row(0, named=True)
    assert row["low"] <= row["value"] <= row["high"]
    assert row["low"] < row["high"]


def test_what_a_model_was_trained_with_holds_unless_something_is_said(log):
    typed = log.with_columns(type=pl.when(pl.int_range(pl.len()) % 3 == 2).then(pl.lit("buy")))
    settings = {**TINY, "training.event_column": "type", "training.target_events": ["buy"]}
    model = {"gru4rec": g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(typed)}
    asked = {"ks": [20], "intervals": False}
    trained_so = g4r.evaluate(model, typed, **asked)
    said_so = g4r.evaluate(model, typed, event_column="type", target_events=["buy"], **asked)
    all_alike = g4r.evaluate(model, typed, event_column="", **asked)
    assert trained_so.equals(said_so)
    assert all_alike["num_targets"][0] > 2 * said_so["num_targets"][0]
    with pytest.raises(g4r.DataError, match="lacks the column 'type'"):
        g4r.evaluate(model, log)


def test_what_cannot_be_is_refused_in_one_line(popular):
    for asked, said in (
        ({"by": ["event"]}, "event_col"),
        ({"event_column": "kind"}, "'kind'"),
        ({"event_column": "type", "event_weights": {"bye": 1.0}}, "'bye'"),
        ({"event_column": "type", "event_weights": {"buy": -1.0}}, "at least 0"),
        ({"event_weights": {"buy": 1.0}}, "event_col"),
    ):
        with pytest.raises((g4r.DataError, g4r.ConfigError)) as refused:
            g4r.evaluate(popular, TEST, **asked)
        assert said in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1


def test_the_reward_of_the_best_k_is_worked_by_hand(popular):
    """Shares of b, d, a, b: .3, .1, .4, .3; of the two best items, a and b are shown."""
    table = g4r.evaluate(
        popular,
        TEST,
        ks=[2, 4],
        metrics=["reward"],
        event_column="type",
        rewards={"buy": 9, "cart": 3},
    )
    found = {(row["metric"], row["k"]): row["value"] for row in table.rows(named=True)}
    a, b, d = 1 / 4, 1 / 3, 1.0
    assert found["reward", 2] == pytest.approx(3 * a / (a + 2 * b))
    assert found["reward", 4] == pytest.approx((9 * d + 3 * a) / (a + 2 * b + d))
    size = (a + 2 * b) ** 2 / (a * a + 2 * b * b)
    assert found["reward_ess", 2] == pytest.approx(size)
    assert found["reward_clipped", 4] == 0.0


def test_a_weight_is_clipped_and_that_is_said():
    items = ["rare", *["often"] * 2000]
    log = pl.DataFrame({"session_id": range(2001), "item_id": items})
    train = pl.concat([log, log.with_columns(item_id=pl.lit("first"))])
    popular = {"popularity": g4r.Popularity().fit(train.sort("session_id"))}
    test = pl.DataFrame(
        {
            "session_id": [*range(500), *range(500)],
            "item_id": [*["first"] * 500, *["often"] * 499, "rare"],
            "type": "buy",
        }
    )
    asked = {"metrics": ["reward"], "event_column": "type", "rewards": {"buy": 2.0}}
    table = g4r.evaluate(popular, test, ks=[3], **asked)
    found = dict(table.select("metric", "value").iter_rows())
    assert found["reward"] == pytest.approx(2.0)
    assert found["reward_clipped"] == pytest.approx(1 / 500)


def test_the_reward_is_that_of_a_training_or_given(popular):
    with pytest.raises(g4r.ConfigError, match="reward"):
        g4r.evaluate(popular, TEST, metrics=["reward"])
    with pytest.raises(g4r.ConfigError, match="reward"):
        g4r.evaluate(popular, TEST, metrics=["reward"], event_column="type")


def test_rows_are_compared_with_their_like():
    """The smaller catalog knows views alone: it has no slice of buys, and no weighted rows."""
    train = pl.concat([TRAIN, TRAIN.with_columns(pl.col("session_id") + 10)])
    peers = {
        "all": g4r.Popularity().fit(train),
        "few": g4r.Popularity().fit(train.filter(pl.col("item_id").is_in(["a", "b"]))),
    }
    log = TEST.with_columns(type=pl.Series(["view", "view", "buy", "view", "view", "view"]))
    for against in peers:
        table = g4r.evaluate(
            peers, log, ks=[2], by=["event"], against=against, event_column="type",
            event_weights={"buy": 5.0},
        )  # fmt: skip
        rows = table.filter(recommender=against).select("slice", "metric", "value").iter_rows()
        own = {(cut, metric): value for cut, metric, value in rows}
        for row in table.rows(named=True):
            theirs = own.get((row["slice"], row["metric"]))
            if row["difference"] is None:
                assert theirs is None
            else:
                assert row["difference"] == pytest.approx(row["value"] - theirs)


def test_a_column_may_have_any_name(popular):
    for name in ("len", "_count", "literal"):
        log = TEST.rename({"type": name})
        asked = {"ks": [2], "event_column": name, "event_weights": {"buy": 5}}
        found = values(g4r.evaluate(popular, log, **asked))
        assert found["weighted_recall"] == pytest.approx(3 / 8)


def test_a_page_has_the_same_rows_beside_it(popular):
    asked = {
        "ks": [2], "event_column": "type", "event_weights": {"buy": 5}, "rewards": {"buy": 1.0},
        "metrics": ["recall", "reward"], "by": ["event"],
    }  # fmt: skip
    table, _ = evaluate_with_page(popular, TEST, **asked)
    keys = ["slice", "metric", "k", "value"]
    plain = g4r.evaluate(popular, TEST, **asked).select(keys)
    assert table.select(keys).sort(keys).equals(plain.sort(keys))
