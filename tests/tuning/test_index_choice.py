"""Indexes are measured, and the soonest that finds enough is taken."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from toys import TINY

import gru4rec as g4r
from gru4rec.cli import main
from gru4rec.serving.index import ItemIndex
from gru4rec.tuning.index_choice import KINDS, choose_index


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=250, items=400, seed=1)


@pytest.fixture(scope="module")
def trained(log) -> g4r.GRU4Rec:
    return g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)


@pytest.fixture
def model(trained, tmp_path) -> Path:
    trained.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_of_each_kind_serves_exact_scores_after_loading(kind, model, log):
    recommender = g4r.load(model, device="cpu")
    table = choose_index(recommender, kinds=[kind], min_overlap=0.9)
    row = table.row(0, named=True)
    assert row["kind"] == kind
    assert row["overlap"] >= 0.9
    assert row["bytes_per_item"] > (16 if kind == "ivf-sq8" else 64)
    recommender.save(model, force=True)
    loaded = g4r.load(model, device="cpu")
    assert loaded.index.is_exact == (kind == "flat")
    prefixes = log.head(200)
    found = loaded.recommend(prefixes, k=5)
    assert found.equals(recommender.recommend(prefixes, k=5))
    first = loaded.catalog.item_ids[0]
    every = loaded.recommend(prefixes, k=400, allow=loaded.catalog.item_ids[1:])  # by all scores
    scores = {(row[0], row[2]): row[3] for row in every.iter_rows()}
    for session, _, item, score in found.filter(pl.col("item_id") != first).iter_rows():
        assert score == pytest.approx(scores[session, item], abs=1e-4)


def test_more_effort_finds_more_and_all_lists_find_all():
    vectors = np.random.default_rng(1).standard_normal((2000, 8)).astype(np.float32)
    queries = np.random.default_rng(2).standard_normal((50, 8)).astype(np.float32)
    exact = ItemIndex.build(vectors).search(queries, 20)[1]
    index, shares = ItemIndex.build(vectors, "IVF40,Flat"), []
    for effort in (1, 4, 40):
        index.set_effort(effort)
        found = index.search(queries, 20)[1]
        shares.append(np.mean([len(set(a) & set(b)) for a, b in zip(found, exact, strict=True)]))
    assert shares[0] < shares[1] < shares[2] == 20
    assert index.search(queries, 20)[1].tolist() == exact.tolist()


def test_where_an_index_finds_too_few_the_answer_is_exact():
    vectors = np.random.default_rng(1).standard_normal((400, 4)).astype(np.float32)
    index = ItemIndex.build(vectors, "IVF10,Flat")  # one list of some 40 items is looked through
    scores, items = index.search(vectors[:3], 300)
    assert items.tolist() == ItemIndex.build(vectors).search(vectors[:3], 300)[1].tolist()
    assert np.isfinite(scores).all()


def test_sessions_of_a_log_may_be_asked_with(model, log):
    table = choose_index(g4r.load(model, device="cpu"), log, kinds=["flat", "hnsw"])
    assert table["kind"].to_list() == ["flat", "hnsw"]
    assert table["chosen"].sum() == 1
    recommender = g4r.load(model, device="cpu")
    other = pl.DataFrame({"session_id": [1, 1], "item_id": ["x", "y"]})
    with pytest.raises(g4r.DataError, match="no session has a click"):
        choose_index(recommender, other)


def test_what_reaches_too_little_or_is_unknown_changes_nothing(model):
    recommender = g4r.load(model, device="cpu")
    index = recommender.index
    with pytest.raises(g4r.DataError, match=r"no index shares 1 of the exact answers \(PQ2x4"):
        choose_index(recommender, kinds=["PQ2x4"], min_overlap=1.0)
    with pytest.raises(g4r.ConfigError, match="cannot build an index 'magic'"):
        choose_index(recommender, kinds=["magic"])
    with pytest.raises(g4r.ConfigError, match="above 0 and at most 1"):
        choose_index(recommender, min_overlap=2.0)
    assert recommender.index is index


def test_the_command_measures_and_replaces(model: Path, log: pl.DataFrame) -> None:
    asked = ["--kind", "hnsw", "--min-overlap", "0.9", "--format", "json"]
    result = CliRunner().invoke(main, ["index", str(model), *asked], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    (row,) = json.loads(result.stdout)
    assert row["chosen"] is True
    assert not g4r.load(model).index.is_exact
    refused = CliRunner().invoke(main, ["index", str(model), "--kind", "magic"])
    assert refused.exit_code == 2
    assert "Error: FAISS cannot build an index 'magic'" in refused.stderr
