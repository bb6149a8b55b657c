"""An update learns new clicks on top of what was learned, and breaks nothing that was there."""

import logging

import numpy as np
import polars as pl
import pytest
import torch
from toys import clicks_of
from updates import SETTINGS, fitted, same_weights, weights_of

import gru4rec as g4r
from gru4rec.model.encoders import ENCODERS


def test_an_update_counts_new_clicks_and_moves_no_index(parts):
    recommender = fitted(parts[0])
    before = recommender.catalog
    recommender.update(parts[2])
    after = recommender.catalog
    assert after.item_ids[: len(before)].to_list() == before.item_ids.to_list()
    new = set(parts[2]["item_id"]) - set(before.item_ids)
    assert set(after.item_ids[len(before) :]) == new
    assert any(item.endswith("-new") for item in new)
    assert after.support.sum() == len(parts[0]) + len(parts[2])
    assert recommender.meta.counts["items"] == len(after)
    (row,) = recommender.meta.updates
    assert (row["number"], row["clicks"], row["items"]) == (1, len(parts[2]), len(new))
    assert len(recommender.index) == len(after)


@pytest.mark.parametrize("encoder", [*ENCODERS])
def test_two_updates_through_a_file_are_those_of_one_process(parts, tmp_path, encoder):
    settings = {"encoder.name": encoder, "encoder.max_length": 4}
    there = fitted(parts[0], **settings).update(parts[1]).update(parts[2])
    here = fitted(parts[0], **settings).update(parts[1])
    here.save(tmp_path / "model")
    here = g4r.GRU4Rec.load(tmp_path / "model", device="cpu").update(parts[2])
    assert same_weights(here, there)
    there.save(tmp_path / "there")
    again = g4r.load(tmp_path / "there", device="cpu")
    prefixes = [["c00-0000", "c01-0020"], ["c00-0007-new"]]
    assert again.recommend(prefixes, 5).equals(here.recommend(prefixes, 5))


@pytest.mark.parametrize(
    "settings",
    [
        {"training.scoring": "dot", "training.momentum": 0.2},
        {"encoder.embedding": "separate", "encoder.embedding_size": 5},
        {"encoder.embedding": "onehot"},
        {"training.dense_optimizer": "adamw"},
        {"encoder.num_layers": 2, "encoder.inputs": ["gap"]},
    ],
)
def test_updates_go_on_with_any_settings(parts, tmp_path, settings):
    there = fitted(parts[0], **settings).update(parts[2]).update(parts[3])
    here = fitted(parts[0], **settings).update(parts[2])
    here.save(tmp_path / "model")
    here = g4r.GRU4Rec.load(tmp_path / "model", device="cpu").update(parts[3])
    assert same_weights(here, there)


def test_a_log_without_a_next_click_changes_nothing_to_the_bit(parts, caplog):
    recommender = fitted(parts[0])
    weights, catalog, meta = weights_of(recommender), recommender.catalog, recommender.meta
    with caplog.at_level(logging.WARNING):
        recommender.update(parts[0].unique("session_id"))
    assert "nothing is learned" in caplog.text
    assert recommender.catalog is catalog
    assert recommender.meta is meta
    assert all(torch.equal(weights[n], each) for n, each in recommender.model.state_dict().items())


def test_new_items_are_learned_and_recommended():
    old = clicks_of([["a", "b", "a", "b"], ["c", "d", "c", "d"]] * 30)
    new = clicks_of([["a", "x", "a", "x"], ["c", "d", "c", "d"]] * 30)
    recommender = fitted(old, **{"training.epochs": 5})
    assert "x" not in recommender.next_items(["a"], 4)[0]
    recommender.update(new, epochs=5)
    assert recommender.next_items(["a"], 2)[0][0] == "x"
    assert recommender.next_items(["c"], 2)[0][0] == "d"


def test_a_new_item_begins_where_its_neighbours_lie(parts):
    recommender = fitted(parts[0])
    recommender.update(parts[2], epochs=0.001)
    assert np.isfinite(recommender.item_vectors()).all()
    from gru4rec.sessions import to_arrays
    from gru4rec.training.updating import _place

    table = torch.zeros(3, 2)
    table[0], table[1] = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 1.0])
    catalog = g4r.Popularity().fit(clicks_of([["a", "a"], ["a", "b"], ["n", "b"]])).catalog
    sessions = to_arrays(clicks_of([["a", "n", "a"], ["n", "b"]]).lazy(), catalog)
    assert catalog.item_ids.to_list() == ["a", "b", "n"]
    _place(table, 2, sessions)
    expected = np.array([2.0, 1.0]) / np.sqrt(5) * 2  # of length (3 + 1) / 2
    assert table[2].tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    assert table[:2].tolist() == [[3.0, 0.0], [0.0, 1.0]]


def test_a_catalog_as_large_as_a_weight_of_the_encoder_grows(parts):
    old = clicks_of([[f"i{n}", f"i{n + 1}"] for n in range(43)])
    new = clicks_of([[f"i{n}", f"n{n}"] for n in range(4)])
    recommender = fitted(old)
    assert len(recommender.catalog) == 44
    assert len(recommender.update(new).catalog) == 48  # 3 · 16 rows, as the GRU's matrices have


@pytest.mark.parametrize("optimizer", ["adagrad", "adamw"])
def test_an_update_that_is_stopped_changes_nothing(parts, optimizer):
    settings = {"training.dense_optimizer": optimizer}
    stopped, alone = fitted(parts[0], **settings), fitted(parts[0], **settings)
    with pytest.raises(g4r.StoppedError):
        stopped.update(parts[2], stopping=lambda: True)
    assert same_weights(stopped.update(parts[1]), alone.update(parts[1]))


@pytest.mark.parametrize("optimizer", ["adagrad", "adamw"])
@pytest.mark.parametrize("damage", ["nan", "negative", "rows", "lacking", "more", "integers"])
def test_a_foreign_state_of_the_optimisers_is_refused(parts, optimizer, damage):
    recommender = fitted(parts[0], **{"training.dense_optimizer": optimizer})
    state = {name: each.clone() for name, each in recommender._optimizer.items()}
    name = "dense.0.exp_avg_sq" if optimizer == "adamw" else "output.accumulated"
    if damage == "nan":
        state[name].view(-1)[0] = float("nan")
    elif damage == "negative":
        state[name].view(-1)[0] = -1.0
    elif damage == "rows":
        state[name] = state[name][1:].contiguous()
    elif damage == "lacking":
        del state[name]
    elif damage == "more":
        state["dense.99.accumulated"] = torch.zeros(1)
    else:
        state[name] = state[name].int()
    recommender._optimizer = state
    with pytest.raises(g4r.CheckpointError, match="state of the optimisers is of another model"):
        recommender.update(parts[1])


def test_without_the_state_of_the_optimisers_an_update_says_so(parts, tmp_path, caplog):
    config = g4r.Config().replace(SETTINGS)
    g4r.GRU4Rec(config, device="cpu").fit(parts[0]).save(tmp_path / "model")
    assert not (tmp_path / "model" / "optimizer.safetensors").exists()
    recommender = g4r.load(tmp_path / "model", device="cpu")
    with caplog.at_level(logging.WARNING):
        recommender.update(parts[1])
    assert "keeps no state of its optimisers" in caplog.text
    recommender.save(tmp_path / "updated")
    assert (tmp_path / "updated" / "optimizer.safetensors").exists()


def test_clicks_that_were_learned_before_are_counted(parts, caplog):
    recommender = fitted(parts[0])
    with caplog.at_level(logging.WARNING):
        recommender.update(parts[0])
    assert "100 % of the sessions were learned before" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda log: log.with_columns(item_id=pl.int_range(pl.len())), "type Int64"),
        (
            lambda log: log.with_columns(pl.col("timestamp") - pl.duration(days=4000)),
            "before those begin that were learned",
        ),
        (lambda log: log.rename({"item_id": "thing"}), "lacks"),
    ],
)
def test_what_cannot_be_learned_is_refused_and_changes_nothing(parts, change, message):
    recommender = fitted(parts[0])
    weights = weights_of(recommender)
    with pytest.raises(g4r.DataError, match=message):
        recommender.update(change(parts[1]))
    assert all(torch.equal(weights[n], each) for n, each in recommender.model.state_dict().items())


def test_a_checkpoint_that_is_updated_often_stays_bounded(parts, tmp_path, monkeypatch):
    monkeypatch.setattr("gru4rec.recommenders.meta._MOST_UPDATES", 3)
    recommender = fitted(parts[0])
    for number in range(6):
        recommender.update(parts[1 + number % 3], epochs=0.5)
        recommender.save(tmp_path / "model", force=True)
        recommender = g4r.load(tmp_path / "model", device="cpu")
    assert [row["number"] for row in recommender.meta.updates] == [4, 5, 6]
    assert len(recommender.catalog) == len({*pl.concat(parts)["item_id"]})
    assert recommender.recommend([["c00-0000"]], 3).height == 3


def test_a_model_that_was_shrunk_is_not_updated(parts):
    small = fitted(parts[0]).with_weights_as({"encoder": "bf16", "items": "float16"})
    with pytest.raises(g4r.CheckpointError, match="was shrunk"):
        small.update(parts[1])


def test_repeats_are_fitted_anew_on_what_is_new(log):
    ids = log["session_id"].unique(maintain_order=True)
    many = g4r.generate_clicks(sessions=900, items=60, categories=3, seed=2)
    first = many.filter(pl.col("session_id").is_in(many["session_id"].unique()[:500].implode()))
    recommender = fitted(first, **{"encoder.repeats": True, "training.smoothing": 0.0})
    before = recommender.meta.repeats
    recommender.update(many)
    assert recommender.meta.repeats != before
    kept = recommender.meta.repeats
    recommender.update(log.filter(pl.col("session_id").is_in(ids[:5].implode())))
    assert recommender.meta.repeats == kept  # too few to say anything
