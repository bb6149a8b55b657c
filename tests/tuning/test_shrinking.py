"""A smaller checkpoint answers nearly as the one it is made of, and what it costs is shown."""

import json
from pathlib import Path

import polars as pl
import pytest
import torch
from click.testing import CliRunner
from toys import TINY

import gru4rec as g4r
from gru4rec.cli import main
from gru4rec.model.encoders import ENCODERS
from gru4rec.serving.index import ItemIndex
from gru4rec.tuning.shrinking import compare


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=250, items=400, seed=1)


@pytest.fixture(scope="module", params=["cosine", "dot"])
def trained(request, log) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**TINY, "training.scoring": request.param})
    return g4r.GRU4Rec(config, device="cpu").fit(log)


def test_a_smaller_one_answers_nearly_alike_and_survives_its_folder(trained, log, tmp_path):
    small = g4r.shrink(trained, encoder="int8", items="sq8")
    assert small.model.output_table.dtype == torch.float16
    assert trained.model.output_table.dtype == torch.float32
    small.save(tmp_path / "small")
    trained.save(tmp_path / "whole")
    loaded = g4r.load(tmp_path / "small", device="cpu")
    prefixes = log.head(400)
    found = small.recommend(prefixes, 20)
    assert loaded.recommend(prefixes, 20).equals(found)
    exact = trained.recommend(prefixes, 20)
    both = found.join(exact, on=["session_id", "item_id"])
    assert both.height > 0.95 * exact.height
    assert (both["score"] - both["score_right"]).abs().max() < 0.05
    for name in ("weights.safetensors", "index.faiss"):
        assert size(tmp_path / "small" / name) < 0.75 * size(tmp_path / "whole" / name)
    loaded.save(tmp_path / "again")  # nothing grows or is rounded twice
    assert size(tmp_path / "again" / "weights.safetensors") == size(
        tmp_path / "small" / "weights.safetensors"
    )
    assert g4r.load(tmp_path / "again", device="cpu").recommend(prefixes, 20).equals(found)


def size(path: Path) -> int:
    return path.stat().st_size


def test_scores_of_the_index_and_of_all_items_agree(trained, log):
    small = g4r.shrink(trained, items="float16")
    found = small.recommend(log.head(100), 5)
    exact = small.recommend(log.head(100), 400, allow=small.catalog.item_ids)
    scores = {(row[0], row[2]): row[3] for row in exact.iter_rows()}
    for session, _, item, score in found.iter_rows():
        assert score == pytest.approx(scores[session, item], abs=1e-4)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_can_be_kept_in_fewer_bits(encoder, log, tmp_path):
    config = g4r.Config().replace({**TINY, "encoder.name": encoder})
    trained = g4r.GRU4Rec(config, device="cpu").fit(log)
    g4r.shrink(trained, encoder="int8").save(tmp_path / "small")
    small = g4r.load(tmp_path / "small", device="cpu")
    live, whole = small.start_session(), trained.start_session()
    for session in (live, whole):
        for item in log["item_id"].head(5):
            session.click(item)
    ours, theirs = live.recommend(10), whole.recommend(10)
    both = ours.join(theirs, on="item_id")
    assert both.height >= 8
    assert (both["score"] - both["score_right"]).abs().max() < 0.2


def test_one_hot_tables_and_hnsw_can_be_kept_in_fewer_bits(log, tmp_path):
    config = g4r.Config().replace({**TINY, "encoder.embedding": "onehot"})
    trained = g4r.GRU4Rec(config, device="cpu").fit(log)
    trained.index = ItemIndex.build(trained.item_vectors(), "HNSW16")
    small = g4r.shrink(trained, items="sq8")
    assert small.index.structure == "HNSW16_"
    small.save(tmp_path / "small")
    assert (
        g4r.load(tmp_path / "small", device="cpu").recommend([[log["item_id"][0]]], 3).height == 3
    )


def test_a_smaller_one_can_be_looked_into_evaluated_and_fitted_again(trained, log):
    small = g4r.shrink(trained, encoder="bf16", items="float16")
    table = g4r.evaluate(
        {"small": small, "whole": trained}, log.head(500), ks=[20], intervals=False
    )
    small_recall, whole_recall = table.filter(metric="recall")["value"]
    assert small_recall == pytest.approx(whole_recall, abs=0.02)
    small.fit(log.head(500))
    assert small.model.output_table.dtype == torch.float32
    assert small.meta.stored_as is None


def test_what_is_not_asked_for_stays_as_it_is_kept(trained, log):
    once = g4r.shrink(trained, items="float16")
    twice = g4r.shrink(once, encoder="bf16")
    assert twice.meta.stored_as == {"encoder": "bf16", "items": "float16"}
    assert twice.model.output_table.dtype == torch.float16
    assert twice.index.structure == once.index.structure
    found = twice.recommend(log.head(60), 5)
    exact = twice.recommend(log.head(60), 400, allow=twice.catalog.item_ids)
    scores = {(row[0], row[2]): row[3] for row in exact.iter_rows()}
    for session, _, item, score in found.iter_rows():
        assert score == pytest.approx(scores[session, item], abs=1e-4)


def test_the_comparison_shows_what_is_asked_beside_what_is_there(trained, log):
    table = compare([trained, g4r.shrink(trained, encoder="int8", items="sq8")], log.head(300))
    assert table.select("encoder", "items").rows() == [("float32", "float32"), ("int8", "sq8")]
    assert table["mib"][1] < table["mib"][0]
    changes = table.select(pl.col("recall@20") - pl.col("recall@20").first(), "recall_change")
    assert changes["recall@20"].to_list() == pytest.approx(changes["recall_change"].to_list())
    assert (table["p50_ms"] > 0).all()


# the command, on one kind of scores

COSINE = pytest.mark.parametrize("trained", ["cosine"], indirect=True)


@pytest.fixture
def folder(trained, log, tmp_path) -> Path:
    trained.save(tmp_path / "model")
    log.head(200).write_parquet(tmp_path / "log.parquet")
    return tmp_path


def run(folder: Path, *options: str) -> tuple[int, str, str]:
    command = ["shrink", str(folder / "model"), str(folder / "log.parquet"), *options]
    result = CliRunner().invoke(main, command)
    return result.exit_code, result.stdout, result.stderr


@COSINE
def test_the_command_measures_and_writes_what_is_asked_for(folder):
    options = ("--items", "float16", "-o", str(folder / "small"))
    code, out, err = run(folder, *options, "--format", "json")
    assert code == 0, err
    assert [row["items"] for row in json.loads(out)] == ["float32", "float16"]
    assert g4r.load(folder / "small").model.output_table.dtype == torch.float16
    code, _, err = run(folder, *options)
    assert (code, "exists" in err) == (2, True)


@COSINE
def test_the_command_without_an_output_writes_nothing(folder):
    code, out, err = run(folder, "--format", "csv")
    assert code == 0, err
    assert len(out.splitlines()) == 7
    assert {file.name for file in folder.iterdir()} == {"model", "log.parquet"}


@COSINE
@pytest.mark.parametrize("options", [("-o", "small"), ("--encoder", "int8")])
def test_an_output_and_a_choice_come_together(folder, options):
    code, _, err = run(folder, *options)
    assert code == 2
    assert "together" in err


@COSINE
def test_a_baseline_has_no_weights_to_shrink(folder, log):
    g4r.Markov().fit(log).save(folder / "model", force=True)
    code, _, err = run(folder)
    assert (code, "no weights to shrink" in err) == (2, True)
