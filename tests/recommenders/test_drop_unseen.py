"""Items that nobody clicked for long leave every recommender, and nothing else changes."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from updates import fitted, same_weights

import gru4rec as g4r
from gru4rec.recommenders.baselines import BASELINES
from gru4rec.serving.index import ItemIndex

_START = datetime(2026, 3, 1)


def days_of(sessions: list[tuple[float, list[str]]], first: int = 0) -> pl.DataFrame:
    """A log of sessions, each of a day and its items, a second apart."""
    rows = [
        (first + number, item, _START + timedelta(days=day, seconds=place))
        for number, (day, items) in enumerate(sessions)
        for place, item in enumerate(items)
    ]
    return pl.DataFrame(rows, schema=["session_id", "item_id", "timestamp"], orient="row")


OLD = days_of([(0, ["a", "b", "a"]), (1, ["b", "c", "d"]), (9, ["b", "c"]), (9.5, ["d", "b"])])
NEW = days_of([(10, ["c", "e", "b"]), (10, ["e", "c"])], first=100)
KINDS = ["gru4rec", "ensemble", "fusion", "fusion of them", *BASELINES]


def made(kind: str, log: pl.DataFrame) -> g4r.Recommender:
    if kind == "gru4rec":
        return fitted(log)
    if kind == "ensemble":
        return g4r.Ensemble([fitted(log), fitted(log, seed=3)])
    if kind == "fusion":
        return g4r.Fusion([fitted(log), g4r.VSTAN().fit(log)], weights=[0.7, 0.3])
    if kind == "fusion of them":
        return g4r.Fusion([made("ensemble", log), made("fusion", log), g4r.Markov().fit(log)])
    return BASELINES[kind]().fit(log)


def leaves_of(recommender: g4r.Recommender) -> list[g4r.Recommender]:
    """The recommenders without parts that make one."""
    if not recommender.parts:
        return [recommender]
    return [leaf for part in recommender.parts for leaf in leaves_of(part)]


UPDATABLE = [
    kind for kind in KINDS if kind not in BASELINES or BASELINES[kind].needs_whole_log is None
]


@pytest.mark.parametrize("kind", UPDATABLE)
def test_what_was_not_clicked_for_long_leaves(kind, tmp_path):
    recommender = made(kind, OLD)
    assert recommender.update(NEW, drop_unseen="5d") is recommender
    assert set(recommender.catalog.item_ids) == {"b", "c", "d", "e"}  # a was last clicked on day 0
    for leaf in leaves_of(recommender):
        assert leaf.meta.updates[-1]["dropped"] == 1
        assert leaf.meta.counts["items"] == len(leaf.catalog) == 4
    recommender.save(tmp_path / "model")
    again = g4r.load(tmp_path / "model", device="cpu")
    found = again.recommend([["a"], ["a", "c"], ["e", "b"]], 9)
    assert found.equals(recommender.recommend([["a"], ["a", "c"], ["e", "b"]], 9))
    assert found.group_by("session_id").len()["len"].to_list() == [4] * 3
    again.update(days_of([(20, ["f", "c", "f"])], first=200), drop_unseen="7d")
    assert set(again.catalog.item_ids) == {"c", "f"}


@pytest.mark.parametrize("kind", UPDATABLE)
def test_an_update_that_drops_nothing_is_one_without(kind, parts):
    with_it = made(kind, parts[0]).update(parts[2], drop_unseen="9000d")
    without = made(kind, parts[0]).update(parts[2])
    for one, other in zip(leaves_of(with_it), leaves_of(without), strict=True):
        assert one.meta.updates[-1]["dropped"] == 0
        assert one.catalog.to_frame().equals(other.catalog.to_frame())
        assert one.meta.seen == other.meta.seen
        if isinstance(one, g4r.GRU4Rec):
            assert same_weights(one, other)
            assert all(torch.equal(one._optimizer[n], each) for n, each in other._optimizer.items())
        else:
            assert one.learned.equals(other.learned)
    asked = parts[3].head(50)
    assert with_it.recommend(asked, 5).equals(without.recommend(asked, 5))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training.scoring": "dot", "training.momentum": 0.2},
        {"encoder.embedding": "separate", "encoder.embedding_size": 5},
        {"encoder.embedding": "onehot", "training.dense_optimizer": "adamw"},
        {"encoder.num_layers": 2, "encoder.inputs": ["gap"]},
    ],
)
def test_rows_leave_the_tables_and_the_optimisers_and_the_others_stay(parts, settings):
    whole = fitted(parts[0], **settings).update(parts[2])
    model = fitted(parts[0], **settings).update(parts[2], drop_unseen="5d")
    kept = [whole.catalog.find(item) for item in model.catalog.item_ids]
    assert kept == sorted(kept)
    assert 0 < len(kept) < len(whole.catalog)
    assert whole.item_vectors()[kept].tolist() == model.item_vectors().tolist()
    assert model.index.vectors.tolist() == model.item_vectors().tolist()
    for name, state in whole._optimizer.items():
        rows = state if name.startswith("dense") else state[kept]
        assert torch.equal(rows, model._optimizer[name])
    tables = dict(whole.model.named_parameters(recurse=False))
    for name, weight in whole.model.state_dict().items():
        rows = weight[kept] if name in tables else weight
        assert torch.equal(rows, model.model.state_dict()[name])
    model.update(parts[3])
    assert np.isfinite(model.item_vectors()).all()


@pytest.mark.parametrize("kind", ["popularity", "session_popularity", "sknn", "vs_knn", "vmis_knn"])
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5)),
        min_size=4,
        max_size=12,
    ),
    st.integers(1, 9),
)
def test_baselines_that_dropped_items_are_as_if_these_had_not_been(kind, sessions, days):
    sessions = sorted(sessions, key=lambda session: session[0])
    half = len(sessions) // 2
    logs = days_of(sessions[:half]), days_of(sessions[half:], first=half)
    both = pl.concat(logs)
    last = both.group_by("item_id").agg(pl.col("timestamp").max())
    newest = both["timestamp"].max()
    stay = last.filter(pl.col("timestamp") >= newest - timedelta(days=days))["item_id"]
    updated = BASELINES[kind]().fit(logs[0])
    if len(stay) == 1 < len(last):
        with pytest.raises(g4r.DataError, match="leaves 1 of"):
            updated.update(logs[1], drop_unseen=f"{days}d")
        return
    updated.update(logs[1], drop_unseen=f"{days}d")
    whole = type(updated)(**updated.settings.to_dict())
    whole.fit(both.filter(pl.col("item_id").is_in(stay.implode())))
    assert dict(updated.catalog.to_frame().rows_by_key("item_id")) == dict(
        whole.catalog.to_frame().rows_by_key("item_id")
    )
    asked = [["a"], ["b", "c"], ["d", "e", "f", "d"]]
    mine, expected = (
        each.recommend(asked, 6).sort("session_id", "item_id")["item_id", "score"]
        for each in (updated, whole)
    )
    assert mine["item_id"].to_list() == expected["item_id"].to_list()
    assert mine["score"].to_list() == pytest.approx(expected["score"].to_list(), rel=1e-6)


def test_the_same_items_leave_all_parts_whenever_these_saw_them_last():
    later = OLD.with_columns(  # as if b alone had been clicked of late
        pl.when(pl.col("item_id") == "b").then("timestamp").otherwise(datetime(2026, 2, 1))
    )
    markov = g4r.Markov().fit(later.sort("session_id", "timestamp"))
    fusion = g4r.Fusion([g4r.SKNN().fit(OLD), markov])
    alone = fusion.parts[1].catalog
    fusion.update(NEW, drop_unseen="5d")
    assert fusion.catalog.item_ids.to_list() == ["b", "c", "d", "e"]
    for part in fusion.parts:
        assert part.catalog.item_ids.equals(fusion.catalog.item_ids)
    assert markov.catalog is alone  # the parts it was made of stay
    assert "a" in markov.catalog.item_ids


def test_an_item_that_left_comes_back_by_a_click_alone():
    model = fitted(OLD).update(NEW, drop_unseen="5d")
    newer = days_of([(11, ["b", "c", "e"])], first=200)
    model.update(newer, replay=OLD, replay_share=9.0, drop_unseen="5d")
    assert "a" not in model.catalog.item_ids
    model.update(days_of([(12, ["b", "a"])], first=300), drop_unseen="5d")
    assert model.catalog.item_ids[-1] == "a"
    assert model.catalog.support[-1] == 1


def test_an_ensemble_keeps_the_kind_of_its_index(parts):
    ensemble = made("ensemble", parts[0])
    ensemble.index = ItemIndex.build(ensemble.item_vectors(), "HNSW8")
    ensemble.update(parts[2], drop_unseen="5d")
    assert (ensemble.index.structure, len(ensemble.index)) == ("HNSW8_", len(ensemble.catalog))


@pytest.mark.parametrize("kind", BASELINES)
def test_nothing_is_updated_before_it_was_fitted(kind):
    for unfitted in (BASELINES[kind](), g4r.GRU4Rec(), g4r.Fusion([g4r.SKNN(), g4r.VSTAN()])):
        with pytest.raises(g4r.NotFittedError, match="call fit first"):
            unfitted.update(NEW, drop_unseen="5d")


def test_of_a_chain_only_pairs_of_items_that_stay_are_kept():
    markov = g4r.Markov().fit(OLD).update(NEW, drop_unseen="5d")
    ids = markov.catalog.item_ids.to_list()
    pairs = {(ids[item], ids[other]): w for item, other, w in markov.learned.iter_rows()}
    assert pairs == {
        ("b", "c"): 2, ("c", "d"): 1, ("d", "b"): 1, ("c", "e"): 1, ("e", "b"): 1, ("e", "c"): 1,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["gru4rec", "popularity", "fusion"])
def test_what_cannot_be_dropped_is_refused_and_changes_nothing(kind):
    recommender = made(kind, OLD)
    before = recommender.recommend([["c"]], 9)
    for log, given_time, message in [
        (NEW, "soon", "cannot read 'soon' as a duration"),
        (NEW, "0d", "cannot read '0d' as a duration"),
        (NEW.drop("timestamp"), "5d", "times of the new clicks, and they have none"),
        (days_of([(99, ["b", "b"])], 50), "5d", "leaves 1 of 4 items, .* of 2026-06-08 00:00"),
    ]:
        with pytest.raises(g4r.DataError, match=message):
            recommender.update(log, drop_unseen=given_time)
    assert recommender.recommend([["c"]], 9).equals(before)
    untimed = made(kind, OLD.drop("timestamp"))
    with pytest.raises(g4r.DataError, match=r"does not know: it learned clicks without times.*aga"):
        untimed.update(NEW, drop_unseen="5d")


def test_a_checkpoint_of_before_says_what_to_do(tmp_path):
    recommender = fitted(OLD)
    object.__setattr__(recommender.catalog, "last_click", None)
    recommender.save(tmp_path / "model")
    assert "last_click" not in pl.read_parquet(tmp_path / "model" / "catalog.parquet").columns
    again = g4r.load(tmp_path / "model", device="cpu")
    with pytest.raises(g4r.DataError, match=r"saved by an earlier version; train again") as raised:
        again.update(NEW, drop_unseen="5d")
    assert raised.value.mend_with == ("drop_unseen",)
    again.update(NEW)
    assert again.catalog.last_click is None


@pytest.mark.parametrize("kind", ["gru4rec", "fusion", "ensemble"])
def test_a_log_without_a_next_click_drops_nothing_and_says_so(kind, caplog):
    recommender = made(kind, OLD)
    catalog, meta = recommender.catalog, recommender.meta
    recommender.update(days_of([(10, ["x"]), (10, ["b"])], first=100), drop_unseen="5d")
    assert recommender.catalog is catalog
    assert recommender.meta is meta
    assert "nothing has changed" in caplog.text
    assert ("no item is dropped" in caplog.text) == (kind == "gru4rec")
    assert len(recommender.recommend([["b"]], 9)) == 4


def test_sessions_that_go_on_with_fewer_items_pass_over_those_that_left(tmp_path):
    recommender = fitted(OLD)
    store = g4r.SessionStore(recommender)
    store.click_many(["s", "s", "t"], ["a", "c", "a"])
    store.save(tmp_path / "sessions.parquet")
    saved = store.saved()
    recommender.update(NEW, drop_unseen="5d")
    taken, restored = g4r.SessionStore(recommender), g4r.SessionStore(recommender)
    taken.take_over(saved)
    restored.restore(tmp_path / "sessions.parquet")
    for after in (taken, restored):
        assert [session.unknown for session in after.running(["s", "t"])] == [1, 1]
        assert [len(session.items) for session in after.running(["s", "t"])] == [1, 0]
        found = after.recommend_many(["s", "t"], 9)
        assert "a" not in found["item_id"]
        expected = recommender.recommend([["c"], ["a"]], 9)
        assert found["item_id"].to_list() == expected["item_id"].to_list()
        after.click_many(["t"], ["a"])
        assert after.running(["t"])[0].unknown == 2


def test_older_sessions_are_told_by_their_times_once_items_left(parts, caplog):
    model = fitted(parts[0]).update(parts[2], drop_unseen="5d")
    assert model.meta.updates[-1]["dropped"] > 0
    model.update(parts[2])
    assert "100 % of the sessions were learned before" in caplog.text
    caplog.clear()
    g4r.evaluate({"model": model}, parts[0], ks=[5])
    assert "begin before the end of the training log" in caplog.text
