"""Graphs in ONNX: what onnxruntime computes by them is what the recommender says."""

import hashlib
import json
import re

import numpy as np
import polars as pl
import pytest
import torch
from toys import TINY

import gru4rec as g4r
from gru4rec import errors
from gru4rec.exporting import STEPS, export_onnx, onnx_file, onnx_graphs, session_table, steps
from gru4rec.model import ENCODERS

from .conftest import headed

pytest.importorskip("onnx", reason="graphs need the extra [onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="graphs need the extra [onnx]")

pytestmark = pytest.mark.onnx

SETTINGS = [
    *({"encoder__name": name} for name in STEPS),
    *({"encoder__name": name, "encoder__num_layers": 2, "training__scoring": "dot",
       "encoder__embedding": "separate", "encoder__embedding_size": 5} for name in STEPS),
    {"encoder__reset_gate": "before", "encoder__num_layers": 2},
    {"encoder__embedding": "onehot"},
    {"encoder__embedding": "onehot", "encoder__reset_gate": "before"},
    {"encoder__name": "conv_gru", "encoder__conv_width": 1},
    {"encoder__name": "conv_gru", "encoder__conv_width": 5},
]  # fmt: skip


def opened(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def about(path):
    return json.loads(path.with_suffix(".items.json").read_text("utf-8"))


class Follower:
    """Sessions that are followed as another program would: by the files alone."""

    def __init__(self, path, count):
        self.graph, self.about = opened(path), about(path)
        self.places = {item: place for place, item in enumerate(self.about["items"])}
        self.state = {
            name: np.full((count, *part["shape"]), part["initial"], np.float32)
            for name, part in self.about["state"].items()
        }

    def click(self, *items):
        """The queries after a click of each session."""
        places = np.array([self.places[item] for item in items])
        names = [output.name for output in self.graph.get_outputs()]
        out = dict(zip(names, self.graph.run(None, {"item": places, **self.state}), strict=True))
        self.state = {name: out[part["next"]] for name, part in self.about["state"].items()}
        return out["query"]


def vectors_after(recommender, sessions):
    return np.array(session_table(recommender, sessions)["vector"].to_list(), dtype=np.float32)


def test_every_encoder_that_streams_has_a_step():
    assert set(STEPS) == {name for name, encoder in ENCODERS.items() if encoder.streams}


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_click_by_click_the_graph_gives_the_session_vectors(settings, fit, tmp_path):
    recommender = fit(**settings)
    export_onnx(recommender, tmp_path / "m.onnx")
    random = np.random.default_rng(4)
    ids = recommender.catalog.item_ids.to_list()
    sessions = [[ids[n] for n in random.integers(len(ids), size=7)] for _ in range(4)]
    together, alone = Follower(tmp_path / "m.onnx", 4), Follower(tmp_path / "m.onnx", 1)
    for step in range(7):
        queries = together.click(*(session[step] for session in sessions))
        expected = vectors_after(recommender, [session[: step + 1] for session in sessions])
        np.testing.assert_allclose(queries, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(alone.click(sessions[0][step]), queries[:1], atol=1e-5)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("with_head", [False, True])
def test_the_best_items_of_a_session_are_those_recommended(settings, with_head, fit, tmp_path):
    recommender = headed(fit(**settings)) if with_head else fit(**settings)
    export_onnx(recommender, tmp_path / "m.onnx", k=8)
    graph, ids = opened(tmp_path / "m.onnx"), about(tmp_path / "m.onnx")["items"]
    random = np.random.default_rng(5)
    for length in (1, 2, 3, 9, 49, 50, 51, 80):
        places = random.choice(random.integers(len(ids), size=1 + length // 3), length)
        (scores,), (top,) = graph.run(None, {"items": places[None]})
        expected = recommender.recommend([[ids[place] for place in places]], k=8)
        assert [ids[place] for place in top] == expected["item_id"].to_list()
        np.testing.assert_allclose(scores, expected["score"], rtol=1e-5, atol=1e-5)


def test_by_hand(fit, tmp_path):
    # A net that gives the tanh of the item's embedding: the query is that, and a 1 for the bias.
    recommender = fit(
        encoder__name="last_click", training__scoring="dot", encoder__embedding="shared",
        encoder__num_layers=1, encoder__hidden_size=2,
    )  # fmt: skip
    weights = {name: torch.zeros_like(w) for name, w in recommender.model.state_dict().items()}
    for name in weights:
        if name.startswith("encoder.") and name.endswith("weight"):
            weights[name] = torch.eye(2)
    weights["output_table"][:3] = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 0.5]])
    weights["bias"][:3] = torch.tensor([1.5, 0.0, 10.0])
    other = g4r.GRU4Rec(recommender.config, device="cpu")
    model = type(recommender.model)(recommender.config, len(recommender.catalog))
    model.load(weights)
    other._take(
        recommender.config, model, recommender.catalog, recommender.side_inputs,
        recommender.index, recommender.meta,
    )  # fmt: skip
    export_onnx(other, tmp_path / "m.onnx")
    (query,) = opened(tmp_path / "m.onnx").run(["query"], {"item": np.array([1])})
    x, y = np.tanh([3.0, -1.0])
    np.testing.assert_allclose(query, [[x, y, 1.0]], atol=1e-6)
    export_onnx(other, tmp_path / "t.onnx", k=3)
    scores, top = opened(tmp_path / "t.onnx").run(None, {"items": np.array([[0, 1]])})
    assert top.tolist() == [[2, 1, 0]]
    expected = [[y / 2 + 10, 3 * x - y, x + 2 * y + 1.5]]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_of_equal_scores_the_lower_index_comes_first(fit, tmp_path):
    recommender = fit(training__scoring="dot")
    other = g4r.GRU4Rec(recommender.config, device="cpu")
    model = type(recommender.model)(recommender.config, len(recommender.catalog))
    other._take(
        recommender.config, model, recommender.catalog, recommender.side_inputs,
        recommender.index, recommender.meta,
    )  # fmt: skip
    export_onnx(other, tmp_path / "m.onnx", k=5)
    _, top = opened(tmp_path / "m.onnx").run(None, {"items": np.array([[9]])})
    assert top.tolist() == [[0, 1, 2, 3, 4]]


def test_a_catalog_of_less_than_k_items_gives_all_of_them(fit, tmp_path):
    recommender = fit()
    export_onnx(recommender, tmp_path / "m.onnx", k=1000)
    _, top = opened(tmp_path / "m.onnx").run(None, {"items": np.array([[3]])})
    assert sorted(top[0].tolist()) == list(range(len(recommender.catalog)))


def test_fewer_bits_are_exported_too(fit, tmp_path):
    recommender = fit(encoder__embedding="separate")
    small = recommender.with_weights_as({"encoder": "int8", "items": "float16"})
    for name, model in (("large", recommender), ("small", small)):
        export_onnx(model, tmp_path / f"{name}.onnx")
        export_onnx(model, tmp_path / f"{name}-top.onnx", k=3)
    sizes = {path.stem: path.stat().st_size for path in tmp_path.glob("*.onnx")}
    table = len(recommender.catalog) * 16 * 2
    assert sizes["large"] - sizes["small"] > 0.8 * table
    assert sizes["large-top"] - sizes["small-top"] > 0.8 * 2 * table
    query = Follower(tmp_path / "small.onnx", 1).click(recommender.catalog.item_ids[4])
    expected = vectors_after(small, [[recommender.catalog.item_ids[4]]])
    np.testing.assert_allclose(query, expected, rtol=1e-5, atol=1e-5)


def test_the_file_beside_it_names_items_and_says_which_graph_it_is_of(fit, tmp_path):
    recommender = fit(encoder__name="attention_gru")
    export_onnx(recommender, tmp_path / "m.onnx")
    said = about(tmp_path / "m.onnx")
    assert said["model"] == "m.onnx"
    assert said["sha256"] == hashlib.sha256((tmp_path / "m.onnx").read_bytes()).hexdigest()
    assert said["items"] == recommender.catalog.item_ids.to_list()
    assert said["support"] == recommender.catalog.support.tolist()
    assert list(said["state"]) == ["hidden_0", "mean", "log_sum"]
    assert said["state"]["hidden_0"] == {"next": "next_hidden_0", "shape": [16], "initial": 0.0}
    assert said["state"]["log_sum"]["initial"] == np.finfo(np.float32).min
    metadata = opened(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map
    assert metadata["gru4rec.graph"] == "one step"
    assert metadata["gru4rec.encoder"] == "attention_gru"


@pytest.mark.parametrize(("first", "written"), [(7, 7), (2**53, str(2**53))])
def test_ids_that_a_float_does_not_hold_are_written_as_text(first, written, clicks, tmp_path):
    number = pl.col("item_id").rank("dense").cast(pl.Int64) - 1 + first
    config = g4r.Config().replace({**TINY, "training.epochs": 1})
    recommender = g4r.GRU4Rec(config, device="cpu").fit(clicks.with_columns(number))
    export_onnx(recommender, tmp_path / "m.onnx")
    assert written in about(tmp_path / "m.onnx")["items"]


def test_what_is_left_out_is_said(fit, tmp_path, caplog):
    caplog.set_level("INFO")
    export_onnx(headed(fit()), tmp_path / "m.onnx")
    assert "the repeat head is no part of this graph" in caplog.text
    caplog.clear()
    export_onnx(headed(fit()), tmp_path / "t.onnx", k=3)
    export_onnx(fit(), tmp_path / "n.onnx")
    assert "repeat head" not in caplog.text


def refused(recommender, path, match, **how):
    with pytest.raises(g4r.Gru4RecError, match=match) as refusal:
        export_onnx(recommender, path, **how)
    assert list(path.parent.glob("*.onnx")) == []
    assert list(path.parent.glob("*.json")) == []
    return refusal.value


def test_what_no_graph_is_made_of_is_refused_in_one_line(fit, clicks, tmp_path, monkeypatch):
    path = tmp_path / "m.onnx"
    refused(g4r.Popularity().fit(clicks), path, "a popularity has no graph of its own")
    refused(g4r.Ensemble([fit(), fit(seed=2)]), path, "an? ensemble has no graph of its own")
    refused(fit(encoder__name="narm"), path, "narm reads whole sessions.*train one of gru, lstm")
    hours = fit(encoder__inputs=["gap"])
    assert refused(hours, path, "the model reads gap of a click").mend_with == ("inputs",)
    refused(fit(), path, "k", k=0)
    refused(fit(), tmp_path / "m.txt", re.escape("ends in .onnx"))
    refused(fit(), tmp_path / "no" / "m.onnx", "is no folder")
    monkeypatch.setattr(onnx_file, "MOST_SCORED", 20)
    refused(fit(), path, "20 items at most, and these are 30; leave k out", k=3)
    monkeypatch.setattr(onnx_graphs, "_MOST_BYTES", 1000)
    refused(fit(), path, "an ONNX file holds 2")


def test_a_file_is_replaced_by_force_alone(fit, tmp_path):
    path = tmp_path / "m.onnx"
    export_onnx(fit(), path)
    before = path.read_bytes()
    with pytest.raises(g4r.DataError, match="exists; choose another file") as refusal:
        export_onnx(fit(encoder__name="rnn"), path)
    assert refusal.value.mend_with == ("force",)
    assert path.read_bytes() == before
    export_onnx(fit(encoder__name="rnn"), path, force=True)
    assert path.read_bytes() != before
    path.unlink()
    with pytest.raises(g4r.DataError, match=r"m\.items\.json exists"):
        export_onnx(fit(), path)


@pytest.mark.parametrize("k", [None, 5])
def test_a_graph_that_computes_something_else_is_not_written(fit, tmp_path, monkeypatch, k):
    wrong = steps.Step(STEPS["gru"].states, steps._rnn)

    def halved(graph, config, at, read, before):
        vector, after = steps._gru(graph, config, at, read, before)
        half = graph.add("Mul", after[0], graph.constant(np.float32(0.5)))
        return vector, [half, *after[1:]]

    monkeypatch.setattr(onnx_graphs, "STEPS", {"gru": wrong._replace(run=halved)})
    refused(fit(), tmp_path / "m.onnx", "nothing is written", k=k)


def test_without_the_extra_it_says_what_to_install(fit, tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(errors, "import_module", missing)
    with pytest.raises(g4r.MissingExtraError, match=r"onnx is not .*pip install 'gru4rec\[onnx\]'"):
        export_onnx(fit(), tmp_path / "m.onnx")
