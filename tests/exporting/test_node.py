"""The programs in JavaScript of docs/export.md, run by Node as they stand there."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import gru4rec as g4r
from gru4rec.exporting import export_onnx, session_table

from .conftest import headed

pytestmark = [pytest.mark.process, pytest.mark.onnx]

ROOT = Path(__file__).parents[2]
PROGRAMS = dict(
    re.findall(r"```js\n// (\w+\.mjs):.*?\n(.*?)```", (ROOT / "docs/export.md").read_text(), re.S)
)
PLACES = [*os.environ.get("NODE_PATH", "").split(os.pathsep), ROOT / "build/node/node_modules"]


@pytest.fixture
def folder(tmp_path):
    """A folder with the programs, and the package that they import."""
    pytest.importorskip("onnxruntime", reason="graphs need the extra [onnx]")
    if shutil.which("node") is None:
        pytest.skip("there is no node")
    found = [Path(place) for place in PLACES if place and Path(place, "onnxruntime-node").is_dir()]
    if not found:
        pytest.skip("npm install --prefix build/node onnxruntime-node, or name it by NODE_PATH")
    (tmp_path / "node_modules").symlink_to(found[0])
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def printed(folder, *command):
    done = subprocess.run(["node", *command], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_whole_session_gets_what_is_recommended(folder, fit):
    recommender = headed(fit())
    export_onnx(recommender, folder / "next.onnx", k=5)
    ids = recommender.catalog.item_ids.to_list()
    clicked = [ids[3], ids[7], ids[3]]
    rows = printed(folder, "next.mjs", "next.onnx", clicked[0], "unknown", *clicked[1:])
    best = recommender.recommend([clicked], k=5)
    items, scores = zip(*(row.split() for row in rows.splitlines()), strict=True)
    assert list(items) == best["item_id"].to_list()
    np.testing.assert_allclose([float(score) for score in scores], best["score"], atol=1e-4)


@pytest.mark.parametrize("encoder", ["gru", "attention_gru", "conv_gru", "last_click"])
def test_click_by_click_the_query_is_the_session_vector(folder, fit, encoder):
    recommender: g4r.GRU4Rec = fit(encoder__name=encoder)
    export_onnx(recommender, folder / "click.onnx")
    ids = recommender.catalog.item_ids.to_list()
    clicked = [ids[3], ids[7], ids[3], ids[1]]
    query = json.loads(printed(folder, "follow.mjs", "click.onnx", *clicked))
    expected = session_table(recommender, [clicked])[0, "vector"]
    np.testing.assert_allclose(query, expected, rtol=1e-5, atol=1e-5)
