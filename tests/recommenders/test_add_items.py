"""Attributes of items: they are learned with the items, and place those that nobody clicked."""

import json
import logging
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from toys import TINY, clicks_of
from updates import weights_of

import gru4rec as g4r
from gru4rec.model.encoders import ENCODERS
from gru4rec.recommenders.checkpoint import read_checkpoint, write_checkpoint
from gru4rec.tuning import shrink

SETTINGS = {**TINY, "training.negatives": 4, "training.lanes": 8, "training.epochs": 1}


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=200, items=40, categories=2, seed=4)


@pytest.fixture(scope="module")
def items(log) -> pl.DataFrame:
    return table_of(log["item_id"].unique().sort().to_list())


def table_of(ids: list[str]) -> pl.DataFrame:
    """Items by their category and their place in it, which their names tell."""
    place = [int(item.split("-")[1]) % 20 for item in ids]
    angles = 2 * np.pi * np.array(place) / 20
    texts = np.stack([np.cos(angles), np.sin(angles)], axis=1).tolist()
    return pl.DataFrame({"item_id": ids, "category": [item[:3] for item in ids], "text": texts})


def fitted(log: pl.DataFrame, items: pl.DataFrame | None, **settings: object) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**SETTINGS, **settings})
    recommender = g4r.GRU4Rec(config, device="cpu")
    return recommender.fit(log, item_features=items, updatable=True)


NEW = table_of(["c00-0105", "c01-0130"])


@pytest.mark.parametrize(
    "settings",
    [
        *({"encoder.name": name, "encoder.max_length": 4} for name in ENCODERS),
        {"encoder.embedding": "separate", "encoder.embedding_size": 5},
        {"encoder.embedding": "onehot"},
        {"training.scoring": "dot", "training.loss": "bpr_max"},
        {"training.dense_optimizer": "adamw", "training.momentum": 0.2},
        {"training.negatives": 100},
        {"encoder.repeats": True, "training.teachers": 1},
    ],
)
def test_new_items_join_any_model_and_the_others_stay_as_they_are(log, items, tmp_path, settings):
    recommender = fitted(log, items, **settings)
    before, size = weights_of(recommender), len(recommender.catalog)
    prefixes = [["c00-0000", "c00-0003"], ["c01-0020"]]
    expected = recommender.recommend(prefixes, 5, deny=NEW["item_id"])
    recommender.add_items(NEW)
    assert recommender.catalog.item_ids[size:].to_list() == NEW["item_id"].to_list()
    assert recommender.catalog.support[size:].tolist() == [0, 0]
    assert recommender.meta.counts["items"] == len(recommender.index) == size + 2
    assert all(
        torch.equal(w[: len(before[n])], before[n]) for n, w in weights_of(recommender).items()
    )
    left = recommender.recommend(prefixes, 5, deny=NEW["item_id"])
    assert left.drop("score").equals(expected.drop("score"))
    recommender.save(tmp_path / "model")
    again = g4r.load(tmp_path / "model", device="cpu")
    wide = recommender.recommend(prefixes, size + 2, explain=True)
    assert wide["item_id"].n_unique() == size + 2
    assert again.recommend(prefixes, size + 2, explain=True).equals(wide)
    placed = wide.filter(pl.col("item_id").is_in(NEW["item_id"].to_list()))
    assert set(placed["reason"]) == {"attributes"}
    assert wide.filter(reason="attributes").height == placed.height
    more = table_of(["c00-0106"])
    assert again.add_items(more).catalog.item_ids.equals(
        recommender.add_items(more).catalog.item_ids
    )
    assert torch.equal(again.model.output_table, recommender.model.output_table)


def test_an_item_that_nobody_clicked_is_recommended_in_place_of_one_alike():
    # after a "shoe" comes a "lace", after a "hat" a "band"; "new" is a lace by its attributes
    random = np.random.default_rng(1)
    pairs = [("shoe", "lace"), ("hat", "band")]
    kinds = [pairs[k] for k in random.integers(2, size=600)]
    log = clicks_of([[f"{a}{random.integers(4)}", f"{b}{random.integers(4)}"] for a, b in kinds])
    names = [f"{kind}{n}" for pair in pairs for kind in pair for n in range(4)]
    items = pl.DataFrame({"item_id": names, "kind": [name[:-1] for name in names]})
    recommender = fitted(log, items, **{"training.epochs": 8})
    recommender.add_items(pl.DataFrame({"item_id": ["new"], "kind": ["lace"]}))
    after_shoe, _ = recommender.next_items(["shoe1"], 5)
    after_hat, _ = recommender.next_items(["hat1"], 5)
    assert "new" in after_shoe
    assert "new" not in after_hat
    ranked, scores = recommender.next_items(["shoe1"], 17)
    laces = [score for item, score in zip(ranked, scores, strict=True) if item[:4] == "lace"]
    new = scores[ranked.index("new")]
    assert new > min(laces) - (max(laces) - min(laces))  # it competes with those alike
    recommended = recommender.recommend([["shoe1"]], 4, deny=["lace0", "lace1", "lace2"])
    assert recommended["item_id"].to_list()[:2].count("new") == 1


def test_without_a_table_nothing_changes(log):
    one, other = fitted(log, None), fitted(log, None, **{"training.own_row_dropout": 0.5})
    assert all(torch.equal(w, weights_of(other)[n]) for n, w in weights_of(one).items())
    assert one.placement is None
    assert "attributes" not in one.meta.to_dict()


def test_a_training_goes_on_to_the_same_weights(log, items, tmp_path):
    there = fitted(log, items)
    stops = iter([False] * 20 + [True])
    config = g4r.Config().replace(SETTINGS)
    with pytest.raises(g4r.errors.StoppedError):
        g4r.GRU4Rec(config, device="cpu").fit(
            log, item_features=items, keep=tmp_path / "model", stopping=lambda: next(stops)
        )
    here = g4r.GRU4Rec(config, device="cpu")
    with pytest.raises(g4r.CheckpointError):
        here.fit(log, keep=tmp_path / "model", resume=True)  # without the table
    here.fit(log, item_features=items, keep=tmp_path / "model", resume=True)
    assert all(torch.equal(w, weights_of(there)[n]) for n, w in weights_of(here).items())
    mine, theirs = here.placement.state_dict(), there.placement.state_dict()
    assert all(torch.equal(part, theirs[name]) for name, part in mine.items())


def test_the_best_epoch_keeps_what_places_items_then(log, items):
    recommender = g4r.GRU4Rec(
        g4r.Config().replace({**SETTINGS, "training.epochs": 3, "training.patience": 9}),
        device="cpu",
    ).fit(log, valid=log, item_features=items)
    assert recommender.meta.metrics["epoch"] in {1, 2, 3}
    assert len(recommender.add_items(NEW).catalog) == 42


@pytest.mark.parametrize(
    "settings",
    [{}, {"training.sample_alpha": 0.0}, {"training.negatives": 100}],  # the last: all items
)
def test_an_update_learns_the_clicks_on_added_items(log, items, settings):
    recommender = fitted(log, items, **settings).add_items(NEW)
    size = len(recommender.catalog)
    before = weights_of(recommender)["output_table"]
    recommender.update(clicks_of([["c00-0105", "c00-0106-new"]] * 30))
    assert recommender.catalog.support[size - 2 :].tolist() == [30, 0, 30]
    after = recommender.model.output_table
    assert not torch.equal(after[size - 2], before[size - 2])
    assert torch.equal(after[size - 1], before[size - 1])
    assert set(recommender.recommend([["c00-0000"]], 43, explain=True)["reason"]) == {
        "model", "attributes",
    }  # fmt: skip


def test_an_update_places_new_items_that_are_clicked_alone_by_their_attributes(log, items):
    clicks = clicks_of([["c00-0105"], ["c00-0000", "c00-0003"], ["x"]])

    def row_of(recommender: g4r.GRU4Rec, item: str) -> torch.Tensor:
        return recommender.model.output_table[recommender.catalog.find(item)]

    table = pl.concat([items, NEW])
    asked = {"training.learning_rate": 1e-9}  # so that what was placed stays there
    updated = fitted(log, items, **asked).update(clicks, item_features=table)
    placed = fitted(log, items, **asked).add_items(NEW)
    bare = fitted(log, items, **asked).update(clicks)
    assert torch.allclose(row_of(updated, "c00-0105"), row_of(placed, "c00-0105"), atol=1e-6)
    assert updated.catalog.support[updated.catalog.find("c00-0105")] == 1
    assert torch.allclose(row_of(updated, "x"), row_of(bare, "x"), atol=1e-6)  # it is drawn
    assert not torch.allclose(row_of(bare, "c00-0105"), row_of(placed, "c00-0105"), atol=1e-3)
    with pytest.raises(g4r.DataError, match="has learned no attributes"):
        fitted(log, None).update(clicks, item_features=table)
    with pytest.raises(g4r.ConfigError, match="item_features says how a model learns"):
        g4r.Popularity().fit(log).update(clicks, item_features=table)


def test_a_shrunk_model_and_copies_take_new_items_too(log, items):
    recommender = fitted(log, items)
    small = shrink(recommender, items="float16")
    small.add_items(NEW)
    assert small.model.output_table.dtype == torch.float16
    assert len(recommender.catalog) == 40
    prefix = [["c00-0000", "c00-0105"]]
    wide = small.recommend(prefix, 42).join(
        recommender.add_items(NEW).recommend(prefix, 42), on="item_id"
    )
    assert np.allclose(wide["score"], wide["score_right"], atol=0.05)


def test_ensembles_grow_and_go_on_with_live_sessions(log, items):
    ensemble = g4r.Ensemble([fitted(log, items), fitted(log, items, seed=1)])
    ensemble.add_items(NEW)
    assert ensemble.parts[0].catalog.item_ids.equals(ensemble.parts[1].catalog.item_ids)
    assert "c00-0105" in ensemble.recommend([["c00-0004"]], 42)["item_id"].to_list()
    live = ensemble.start_session()
    live.click("c00-0105")
    assert live.recommend(3).height == 3


@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat", "HNSW8"])
def test_an_index_keeps_its_kind_and_finds_new_items(log, items, factory):
    recommender = fitted(log, items)
    index = type(recommender.index).build(recommender.item_vectors(), factory)
    recommender.index = index.with_vectors(recommender.kept_vectors())
    recommender.index.set_effort(64)
    ensemble = g4r.Ensemble([recommender, fitted(log, items)])
    ensemble.index = type(index).build(ensemble.item_vectors(), factory)
    ensemble.index = ensemble.index.with_vectors(ensemble.kept_vectors())
    ensemble.index.set_effort(64)
    for one in (recommender, ensemble):
        is_exact = one.index.is_exact
        one.add_items(NEW)
        assert one.index.is_exact == is_exact == (factory == "Flat")
        assert len(one.index) == 42
        found, _ = one.next_items(["c00-0004"], 42)
        assert set(NEW["item_id"]) <= set(found)
    assert len(index) == 40  # what was there stays as it was


def test_what_cannot_be_placed_is_said(log, items, caplog):
    with pytest.raises(g4r.DataError, match="has learned no attributes of items"):
        fitted(log, None).add_items(NEW)
    with pytest.raises(g4r.DataError, match="a markov does not place items"):
        g4r.Markov().fit(log).add_items(NEW)
    recommender = fitted(log, items)
    before = recommender.catalog
    unknown = pl.DataFrame({"item_id": ["x"], "category": ["c77"]})
    with pytest.raises(g4r.DataError, match="no new item has an attribute"):
        recommender.add_items(unknown)
    with pytest.raises(g4r.DataError, match="item ids are of type Int64"):
        recommender.add_items(NEW.with_columns(item_id=pl.Series([1, 2])))
    with caplog.at_level(logging.INFO):
        recommender.add_items(items)
    assert recommender.catalog is before
    assert "none is new" in caplog.text


@pytest.mark.parametrize("damage", ["meta", "weights", "values"])
def test_a_checkpoint_whose_attributes_do_not_fit_is_refused(log, items, tmp_path, damage):
    saved = fitted(log, items).contents()
    if damage == "meta":
        saved = replace(saved, meta=replace(saved.meta, attributes=None))
    elif damage == "weights":
        saved = replace(saved, placement=None)
    else:
        attributes = json.loads(json.dumps(saved.meta.to_dict()["attributes"]))
        attributes["category"]["values"]["values"].append("more")
        saved = replace(saved, meta=replace(saved.meta, attributes=attributes))
    write_checkpoint(saved, tmp_path / "model")
    with pytest.raises(g4r.CheckpointError, match="attributes"):
        read_checkpoint(tmp_path / "model", g4r.GRU4Rec.of)


@pytest.mark.parametrize(
    "more",
    [
        {"day": [True]},  # was a date
        {"text": [[1e300, 1.0]]},
        {"category": pl.Series([b"c00"])},
        {"day": pl.Series([object()], dtype=pl.Object)},
    ],
)
def test_a_table_that_cannot_be_taken_changes_nothing(log, items, more):
    dated = items.with_columns(day=pl.date(2026, 1, 1) + pl.duration(days=pl.int_range(pl.len())))
    recommender = fitted(log, dated)
    before, kept = recommender.catalog, recommender.items
    table = pl.DataFrame({"item_id": ["new"], "category": ["c00"]}).with_columns(**{
        name: values if isinstance(values, pl.Series) else pl.Series(values)
        for name, values in more.items()
    })  # fmt: skip
    try:
        recommender.add_items(table)
    except g4r.DataError:
        assert recommender.catalog is before
        assert recommender.items is kept
    else:
        assert recommender.items.schema == kept.schema
        assert len(recommender.catalog) == len(before) + 1 == recommender.items.height


def test_what_is_kept_of_a_table_keeps_its_types_and_leaves_with_its_items(log, items):
    priced = items.with_columns(price=pl.int_range(pl.len()) * 0.5)
    recommender = fitted(log, priced)
    recommender.add_items(pl.DataFrame({"item_id": ["n"], "category": ["c00"], "price": ["1.5"]}))
    recommender.add_items(pl.DataFrame({"item_id": ["m"], "category": ["c00"], "price": ["?"]}))
    cheap = g4r.ListRules(allow_where="price < 2").on(recommender)
    assert cheap.allowed[recommender.catalog.find("n")]
    assert not cheap.allowed[recommender.catalog.find("m")]
    late = log.with_columns(
        pl.col("timestamp") + pl.duration(days=90), session_id=pl.col("session_id") + 1000
    ).filter(pl.col("item_id") < "c00-0009")
    recommender.update(late, drop_unseen="30d")
    assert set(recommender.items["item_id"]) == set(recommender.catalog.item_ids)


def test_an_ensemble_whose_models_learned_other_tables_stays_whole(log, items):
    others = items.with_columns(category=pl.lit("all")).drop("text")
    ensemble = g4r.Ensemble([fitted(log, items), fitted(log, others, seed=1)])
    expected = ensemble.recommend([["c00-0000"]], 5)
    with pytest.raises(g4r.Gru4RecError):
        ensemble.add_items(NEW)  # its categories say nothing to the second model
    assert ensemble.recommend([["c00-0000"]], 5).equals(expected)


def test_ids_that_do_not_fit_are_refused_and_whole_floats_are_whole(log, items):
    codes = {item: n for n, item in enumerate(items["item_id"])}
    numbered = log.with_columns(pl.col("item_id").replace_strict(codes, return_dtype=pl.Int32))
    table = pl.DataFrame({"item_id": range(40), "brand": [1000 + n % 4 for n in range(40)]})
    table = table.cast({"item_id": pl.Int32})
    recommender = fitted(numbered, table)
    with pytest.raises(g4r.DataError, match="item ids are of type Int64"):
        recommender.add_items(pl.DataFrame({"item_id": [2**40], "brand": [1001]}))
    attributes = recommender.placement.attributes
    whole = attributes.coded(pl.DataFrame({"item_id": [1], "brand": [1003]}))
    floats = attributes.coded(pl.DataFrame({"item_id": [1], "brand": [1003.0]}))
    assert np.array_equal(whole.codes, floats.codes)
