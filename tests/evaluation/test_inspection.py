"""What a checkpoint says of itself, items alike, and what the clicks of a session do."""

import numpy as np
import pytest
import torch
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.evaluation.inspection import explain, neighbours, summary
from gru4rec.model.encoders import ENCODERS, Packing
from gru4rec.model.encoders.gru import GRU


def test_the_summary_has_settings_counts_sizes_and_the_reasons_of_auto(trained, tmp_path):
    trained.save(tmp_path / "model")
    rows = {row["what"]: row for row in summary(tmp_path / "model").to_dicts()}
    assert rows["recommender"]["value"] == "gru4rec"
    assert rows["counts.sessions"]["value"] == str(trained.meta.counts["sessions"])
    assert rows["counts.items"]["value"] == str(len(trained.catalog))
    assert rows["settings.encoder.hidden_size"]["value"] == "16"
    assert rows["settings.training.loss"]["why"] != ""
    assert rows["settings.training.lanes"]["why"] == ""  # it was given
    size = (tmp_path / "model" / "index.faiss").stat().st_size
    assert rows["bytes.index.faiss"]["value"] == str(size)
    items = len(trained.catalog)
    assert rows["parameters.items"]["value"] == str(16 * items)
    assert rows["parameters.encoder"]["value"] == str(3 * 16 * (16 + 16 + 2))


def test_the_summary_of_baselines_and_fusions_names_their_settings(trained, log, tmp_path):
    vstan = g4r.VSTAN(k=7).fit(log)
    vstan.save(tmp_path / "vstan")
    rows = dict(summary(tmp_path / "vstan").select("what", "value").iter_rows())
    assert rows["settings.k"] == "7"
    g4r.Fusion([trained, vstan]).save(tmp_path / "fusion")
    rows = dict(summary(tmp_path / "fusion").select("what", "value").iter_rows())
    assert rows["settings.weights"] == "[0.75, 0.25]"
    assert "bytes.parts/1/learned.parquet" in rows


def test_neighbours_have_the_largest_cosines(trained):
    table = neighbours(trained, "c00-0001", k=5)
    vectors = trained.model.output_table.detach().numpy()
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    mine = trained.catalog.find("c00-0001")
    cosines = vectors @ vectors[mine]
    expected = [each for each in np.argsort(-cosines) if each != mine][:5]
    assert table["item_id"].to_list() == trained.catalog.item_ids.gather(expected).to_list()
    assert table["cosine"].to_list() == pytest.approx(cosines[expected].tolist(), abs=1e-5)
    assert neighbours(trained, "c00-0001", k=1000).height == len(trained.catalog) - 1
    with pytest.raises(g4r.DataError, match="in the catalog"):
        neighbours(trained, "no such item")


def test_influence_is_what_the_score_loses_without_a_click():
    log = clicks_of([["a", "x"], ["a", "x"], ["b", "y"]])
    knn = g4r.SKNN(k=5, m=5).fit(log)
    table = explain(knn, ["a", "b", "new"])
    # With [a, b]: cosine 1/√(2·2) of each session; two have x. Without a only y's session is left,
    # without b the cosine of the two is 1/√2.
    assert table["target"].to_list() == ["a", "a"]  # a and x score the same, a is the lower index
    assert table["score"].to_list() == pytest.approx([1, 1])
    assert table["influence"].to_list() == pytest.approx([1, 1 - 2 / 2**0.5])
    other = explain(knn, ["a", "b"], target="y")
    assert other["influence"].to_list() == pytest.approx([1 / 2 - 1 / 2**0.5, 1 / 2])
    assert knn.name == "sknn"


def test_a_click_that_is_alone_has_nothing_to_be_compared_with(trained):
    assert explain(trained, ["c00-0001"])["influence"].to_list() == [None]


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_is_explained_and_the_gru_by_its_gates(name, log):
    config = g4r.Config().replace({**TINY, "encoder.name": name, "training.epochs": 1})
    recommender = g4r.GRU4Rec(config, device="cpu").fit(log.head(300))
    clicks = log["item_id"].head(3).to_list()
    table = explain(recommender, clicks)
    assert table["change"][0] == pytest.approx(1)  # from nothing to the first vector
    assert ("update" in table.columns) == (name == "gru")
    best = recommender.recommend([clicks], k=1)
    assert table["target"][0] == best["item_id"].item()
    assert table["score"][0] == pytest.approx(best["score"].item(), abs=1e-4)


@pytest.mark.parametrize("reset_gate", ["after", "before"])
def test_the_state_is_the_one_before_moved_by_the_update_gate(reset_gate):
    config = g4r.EncoderConfig(hidden_size=4, num_layers=2, reset_gate=reset_gate)
    encoder = GRU(config, 3)
    random = torch.Generator().manual_seed(1)
    for parameter in encoder.parameters():
        parameter.data.normal_(0, 1, generator=random)
    inputs = torch.randn(5, 3, generator=random)
    resets, updates = encoder.gates(inputs)
    assert resets.shape == updates.shape == (2, 5, 4)
    outputs, _ = encoder(inputs, Packing.of_lengths(np.array([5])), encoder.initial_state(1))
    before = torch.cat((torch.zeros(1, 4), outputs[:-1]))
    # h' − h = update ∘ (n − h), and n is within ±1: the gate bounds the step.
    assert ((outputs - before).abs() <= updates[1] * (1 + before.abs()) + 1e-6).all()
    new = (outputs - (1 - updates[1]) * before) / updates[1]
    assert (new.abs() <= 1 + 1e-4).all()
