"""`gru4rec export` and `gru4rec train --initial-vectors`: a checkpoint in, files for others out."""

import json
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from toys import QUICK

import gru4rec as g4r

needs_onnx = pytest.mark.onnx


@pytest.fixture(autouse=True)
def _skip_without_onnx(request):
    if request.node.get_closest_marker("onnx"):
        pytest.importorskip("onnx", reason="graphs need the extra [onnx]")
        pytest.importorskip("onnxruntime", reason="graphs need the extra [onnx]")


@needs_onnx
def test_a_graph_and_the_ids_of_its_items_are_written(run, int_model, tmp_path):
    result = run("export", int_model, "-o", tmp_path / "m.onnx")
    assert result.exit_code == 0, result.stderr
    names = tmp_path / "m.items.json"
    assert result.stdout == ""
    assert f"wrote {tmp_path / 'm.onnx'} and {names}" in result.stderr
    ids = g4r.load(int_model).catalog.item_ids.to_list()
    assert json.loads(names.read_text())["items"] == ids
    top = run("export", int_model, "-o", tmp_path / "t.onnx", "-k", 3)
    assert top.exit_code == 0, top.stderr


@needs_onnx
@pytest.mark.process
def test_in_a_process_of_its_own(model, tmp_path):
    command = [sys.executable, "-W", "error", "-m", "gru4rec", "export", str(model), "-k", "4"]
    done = subprocess.run(
        [*command, "-o", "m.onnx"], cwd=tmp_path, capture_output=True, text=True, env=os.environ
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    import onnxruntime

    graph = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    recommender = g4r.load(model)
    _, (top,) = graph.run(None, {"items": np.array([[2, 5]])})
    ids = recommender.catalog.item_ids.to_list()
    best = recommender.recommend([[ids[2], ids[5]]], k=4)
    assert [ids[place] for place in top] == best["item_id"].to_list()
    again = subprocess.run(
        [*command, "-o", "m.onnx"], cwd=tmp_path, capture_output=True, text=True, env=os.environ
    )
    assert again.returncode == 2
    assert again.stderr.splitlines()[-1] == (
        "Error: m.onnx exists; choose another file, or replace it with --force"
    )


def test_vectors_of_items_and_sessions_are_tables(run, model, log, clicks, tmp_path):
    items, sessions = tmp_path / "items.parquet", tmp_path / "sessions.parquet"
    assert run("export", model, "--vectors", "items", "-o", items).exit_code == 0
    result = run(
        "export", model, log, "--vectors", "sessions", "-o", sessions, "--where", "session_id < 50"
    )
    assert result.exit_code == 0, result.stderr
    assert f"wrote {sessions}" in result.stderr
    of_items, of_sessions = pl.read_parquet(items), pl.read_parquet(sessions)
    assert of_items.columns == ["item_id", "vector", "support"]
    assert of_sessions.columns == ["session_id", "vector"]
    assert of_sessions["session_id"].max() < 50
    scores = np.array(of_sessions["vector"].to_list()) @ np.array(of_items["vector"].to_list()).T
    some = clicks.filter(pl.col("session_id") < 50)
    best = g4r.load(model).recommend(some, k=1)
    np.testing.assert_allclose(scores.max(1), best["score"], rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "m.parquet"], "name a file that ends in .onnx, not m.parquet"),
        (["--vectors", "items", "-o", "m.csv"], "written as Parquet, and nothing else"),
        (["--vectors", "items", "-o", "there.parquet"], "or replace it with --force"),
        (["--vectors", "items", "-o", "no/m.parquet"], "is no folder"),
        (["-o", "m.onnx", "-k", 0], "k "),
    ],
)
def test_what_cannot_be_written_is_said_in_one_line(
    refusal, model, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    if "-k" in arguments:
        pytest.importorskip("onnxruntime", reason="graphs need the extra [onnx]")
    (tmp_path / "there.parquet").touch()
    assert message in refusal("export", model, *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["there.parquet"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--vectors", "sessions", "-o", "s.parquet"],
        ["log.csv", "-o", "m.onnx"],
        ["log.csv", "--vectors", "items", "-o", "s.parquet"],
        ["--vectors", "items", "-o", "s.parquet", "-k", 3],
    ],
)
def test_options_that_do_not_go_together_are_refused(usage_error, model, arguments):
    usage_error("export", model, *arguments)


def test_a_table_is_replaced_by_force(run, model, tmp_path):
    (tmp_path / "items.parquet").touch()
    result = run("export", model, "--vectors", "items", "-o", tmp_path / "items.parquet", "--force")
    assert result.exit_code == 0, result.stderr
    assert pl.read_parquet(tmp_path / "items.parquet").height == 40


def test_a_checkpoint_of_popularity_has_nothing_to_export(refusal, clicks, tmp_path):
    g4r.Popularity().fit(clicks).save(tmp_path / "p")
    said = refusal("export", tmp_path / "p", "--vectors", "items", "-o", tmp_path / "i.parquet")
    assert "a popularity has no vectors" in said


def test_items_start_from_a_table_of_vectors(run, refusal, model, log, tmp_path):
    run("export", model, "--vectors", "items", "-o", tmp_path / "v.parquet")
    result = run("train", log, "-o", tmp_path / "m", "--initial-vectors", tmp_path / "v.parquet",
                 *QUICK)  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "40 of 40 items start from a vector" in result.stderr
    assert "counts.initial_vectors" in run("inspect", tmp_path / "m").stdout
    (tmp_path / "bad.csv").write_text("item_id,x\nc01-0019,nan\n")
    said = refusal(
        "train", log, "-o", tmp_path / "n", "--initial-vectors", tmp_path / "bad.csv", *QUICK
    )
    assert "item 'c01-0019' has a component that is missing or no finite number" in said
    said = refusal(
        "train", log, "-o", tmp_path / "n", "--initial-vectors", tmp_path / "none.csv", *QUICK
    )
    assert "cannot take the table of initial vectors" in said
