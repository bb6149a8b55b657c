"""Tables of vectors: their dot products are the scores."""

import numpy as np
import polars as pl
import pytest

import gru4rec as g4r
from gru4rec.exporting import item_table, session_pieces, session_table, vector_tables

from .conftest import headed


@pytest.mark.parametrize(
    "settings",
    [{"training__scoring": "dot"}, {"training__scoring": "cosine"}, {"encoder__name": "narm"}],
    ids=str,
)
def test_dot_products_of_the_tables_are_the_scores(settings, fit, clicks, tmp_path):
    recommender = fit(**settings)
    item_table(recommender).write_parquet(tmp_path / "items.parquet")
    items = pl.read_parquet(tmp_path / "items.parquet")
    sessions = session_table(recommender, clicks)
    assert items.schema["vector"] == sessions.schema["vector"] == pl.List(pl.Float32)
    assert items["item_id"].to_list() == recommender.catalog.item_ids.to_list()
    assert items["support"].to_list() == recommender.catalog.support.tolist()
    scores = np.array(sessions["vector"].to_list()) @ np.array(items["vector"].to_list()).T
    best = recommender.recommend(clicks, k=1)
    assert sessions["session_id"].to_list() == best["session_id"].to_list()
    assert items["item_id"].gather(scores.argmax(1)).to_list() == best["item_id"].to_list()
    np.testing.assert_allclose(scores.max(1), best["score"], rtol=1e-4)


def test_the_repeat_head_is_no_part_of_a_vector(fit, clicks):
    plain = session_table(fit(), clicks)
    assert session_table(headed(fit()), clicks).equals(plain)


def test_sessions_without_a_known_item_are_left_out_and_counted(fit, caplog):
    ids = fit().catalog.item_ids.to_list()
    table = session_table(fit(), [["?"], ids[:2], [], ["?", ids[3]]])
    assert table["session_id"].to_list() == [1, 3]
    assert "2 sessions have no item that the model knows" in caplog.text
    alone = session_table(fit(), [[ids[3]]])
    np.testing.assert_allclose(table[1, "vector"], alone[0, "vector"], atol=1e-5)
    none = session_table(fit(), [["?"]])
    assert none.height == 0
    assert none.schema["vector"] == pl.List(pl.Float32)


def test_pieces_are_parts_of_the_table(fit, clicks, monkeypatch):
    whole = session_table(fit(), clicks)
    monkeypatch.setattr(vector_tables, "_AT_ONCE", 7)
    pieces = list(session_pieces(fit(), clicks))
    assert len(pieces) > 1
    together = pl.concat(pieces)
    assert together["session_id"].equals(whole["session_id"])
    np.testing.assert_allclose(
        np.array(together["vector"].to_list()), np.array(whole["vector"].to_list()), atol=1e-5
    )


def test_vectors_of_an_ensemble_stand_side_by_side(fit):
    parts = [fit(), fit(seed=2)]
    width = sum(len(item_table(part)[0, "vector"]) for part in parts)
    assert len(item_table(g4r.Ensemble(parts))[0, "vector"]) == width


def test_a_recommender_without_vectors_says_so(clicks):
    popular = g4r.Popularity().fit(clicks)
    for table in (item_table, lambda recommender: session_table(recommender, clicks)):
        with pytest.raises(g4r.DataError, match="a popularity has no vectors"):
            table(popular)
