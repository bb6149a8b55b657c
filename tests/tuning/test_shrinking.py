"""A smaller checkpoint answers nearly as the one it is made of, and what it costs is shown."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from click.testing import CliRunner
from outcome_logs import LEARNS_OUTCOME, outcome_log
from toys import TINY

import gru4rec as g4r
from gru4rec.cli import main
from gru4rec.model.encoders import ENCODERS
from gru4rec.serving.index import ItemIndex
from gru4rec.tuning.shrinking import compare

COSINE = pytest.mark.parametrize("trained", ["cosine"], indirect=True)


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


def zeros_of(model: torch.nn.Module) -> list[float]:
    """The share of 0 in each matrix of the encoder."""
    matrices = [weight for weight in model.encoder.parameters() if weight.dim() > 1]
    return [float((weight == 0).float().mean()) for weight in matrices]


@pytest.mark.parametrize("encoder", [None, "bf16", "int8"])
def test_a_pruned_one_is_smaller_and_survives_its_folder(trained, log, encoder, tmp_path):
    whole = trained if encoder is None else g4r.shrink(trained, encoder=encoder)
    small = g4r.shrink(whole, sparsity=0.9)
    assert zeros_of(small.model) == pytest.approx([0.9, 0.9], abs=0.002)
    assert max(zeros_of(whole.model)) < 0.1
    for recommender, name in ((whole, "whole"), (small, "small")):
        recommender.save(tmp_path / name)
    saved = weights_of(tmp_path / "whole") - weights_of(tmp_path / "small")
    bits = {None: 32, "bf16": 16, "int8": 8}[encoder]
    matrices = sum(w.numel() for w in small.model.encoder.parameters() if w.dim() > 1)
    assert saved >= matrices * (0.9 * bits - 1) / 8 - 600  # what says how they are stored
    loaded = g4r.load(tmp_path / "small", device="cpu")
    found = small.recommend(log.head(400), 20)
    assert loaded.recommend(log.head(400), 20).equals(found)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again" / "weights.safetensors").read_bytes() == (
        tmp_path / "small" / "weights.safetensors"
    ).read_bytes()


def weights_of(folder: Path) -> int:
    return size(folder / "weights.safetensors")


def test_what_is_pruned_stays_so_and_may_be_shrunk_on(trained):
    once = g4r.shrink(trained, sparsity=0.8)
    twice = g4r.shrink(once, encoder="int8", sparsity=0.3)
    assert twice.meta.stored_as == {"encoder": "int8", "items": "float32", "sparsity": "0.8"}
    assert min(zeros_of(twice.model)) >= 0.799
    assert g4r.shrink(twice, sparsity=0.95).meta.stored_as["sparsity"] == "0.95"


def test_without_sparsity_nothing_is_said_of_it_and_no_weight_is_another(trained):
    for small in (g4r.shrink(trained, encoder="float32"), g4r.shrink(trained, sparsity=0.0)):
        assert small.meta.stored_as == {"encoder": "float32", "items": "float32"}
        for name, weight in small.model.state_dict().items():
            assert torch.equal(weight, trained.model.state_dict()[name])


def test_what_learns_on_while_it_is_pruned_is_another_and_as_sparse(trained, log):
    said: list[str] = []
    small = g4r.shrink(
        trained, encoder="bf16", sparsity=0.9, train=log,
        on_progress=lambda progress: said.append(progress.run),
    )  # fmt: skip
    at_once = g4r.shrink(trained, sparsity=0.9)
    assert min(zeros_of(small.model)) >= 0.899
    assert not torch.equal(small.model.output_table, at_once.model.output_table)
    assert said[-1] == "90% pruned"
    found = small.recommend(log.head(60), 5)  # the index is of the items as they are now
    exact = small.recommend(log.head(60), 400, allow=small.catalog.item_ids)
    scores = {(row[0], row[2]): row[3] for row in exact.iter_rows()}
    for session, _, item, score in found.iter_rows():
        assert score == pytest.approx(scores[session, item], abs=1e-4)


@pytest.mark.parametrize("share", [1.0, 2, -0.5, float("nan"), float("inf")])
def test_what_is_no_share_is_refused(trained, share):
    with pytest.raises(g4r.ConfigError, match="sparsity must be from 0 on and below 1"):
        g4r.shrink(trained, sparsity=share)


def test_what_cannot_be_trained_on_is_refused(trained, log):
    with pytest.raises(g4r.ConfigError, match="give sparsity"):
        g4r.shrink(trained, encoder="int8", train=log)
    with pytest.raises(g4r.CheckpointError, match="was shrunk cannot learn on"):
        g4r.shrink(g4r.shrink(trained, items="float16"), sparsity=0.5, train=log)
    unknown = log.with_columns(item_id=pl.lit("none of ours"))
    with pytest.raises(g4r.DataError, match="two clicks on items of the catalog"):
        g4r.shrink(trained, sparsity=0.5, train=unknown)
    numbers = log.with_columns(item_id=pl.lit(7))
    with pytest.raises(g4r.DataError):
        g4r.shrink(trained, sparsity=0.5, train=numbers)


def test_a_pruned_one_does_not_learn_on_and_says_so(trained, log):
    with pytest.raises(g4r.CheckpointError, match="was shrunk cannot learn on"):
        g4r.shrink(trained, sparsity=0.5).update(log)


def test_pruned_ones_make_an_ensemble_and_a_fusion_that_survive_their_folders(
    trained, log, tmp_path
):
    parts = [g4r.shrink(trained, sparsity=0.9), g4r.shrink(trained, encoder="int8", sparsity=0.5)]
    prefixes = log.head(100)
    for number, both in enumerate((g4r.Ensemble(parts), g4r.Fusion(parts))):
        both.save(tmp_path / str(number))
        again = g4r.load(tmp_path / str(number), device="cpu")
        assert again.recommend(prefixes, 5).equals(both.recommend(prefixes, 5))
        assert min(zeros_of(again.parts[0].model)) >= 0.899


def test_side_inputs_are_pruned_too(tmp_path):
    log = g4r.generate_clicks(sessions=80, items=40, seed=3).with_columns(kind=pl.col("item_id"))
    config = g4r.Config().replace(
        {**TINY, "encoder.inputs": ("kind",), "encoder.merge": "concat", "encoder.input_size": 4}
    )
    trained = g4r.GRU4Rec(config, device="cpu").fit(log)
    small = g4r.shrink(trained, sparsity=0.75, train=log)
    assert float((small.model.sides.table == 0).float().mean()) == pytest.approx(0.75, abs=0.01)
    small.save(tmp_path / "small")
    g4r.load(tmp_path / "small", device="cpu")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda tensors, name: tensors.pop(name + ".bits"), "should be"),
        (lambda tensors, name: tensors[name + ".bits"].fill_(255), "should be"),
        (lambda tensors, name: tensors.update({name: tensors[name][:-1].clone()}), "should be"),
        (lambda tensors, name: tensors[name].fill_(torch.nan), "no numbers"),
        (
            lambda tensors, name: tensors.update({name + ".bits": tensors[name + ".bits"].float()}),
            "should be",
        ),
        (
            lambda tensors, name: tensors.update(
                {name + ".bits": tensors[name + ".bits"][:-1].clone()}
            ),
            "should be",
        ),
    ],
)
def test_bits_that_do_not_fit_are_refused_in_one_line(trained, spoil, said):
    contents = g4r.shrink(trained, sparsity=0.9).contents()
    tensors = {name: tensor.clone() for name, tensor in contents.weights.items()}
    spoil(tensors, next(name for name in tensors if name + ".bits" in tensors))
    with pytest.raises(g4r.CheckpointError, match=said):
        g4r.GRU4Rec.of(dataclasses.replace(contents, weights=tensors), device="cpu")


@COSINE  # of dot products vectors have one component more, 17 here
def test_product_quantisation_finds_nearly_the_same_in_a_smaller_index(trained, log, tmp_path):
    small, sq8 = g4r.shrink(trained, items="pq"), g4r.shrink(trained, items="sq8")
    assert small.model.output_table.dtype == torch.float16
    small.save(tmp_path / "small")
    loaded = g4r.load(tmp_path / "small", device="cpu")
    found = small.recommend(log.head(400), 20)
    assert loaded.recommend(log.head(400), 20).equals(found)
    exact = sq8.recommend(log.head(400), 20)
    assert found.join(exact, on=["session_id", "item_id"]).height > 0.95 * exact.height


def test_vectors_that_have_no_equal_parts_are_refused(log):
    config = g4r.Config().replace({**TINY, "encoder.hidden_size": 18, "training.scoring": "dot"})
    with pytest.raises(g4r.DataError, match="vectors of 19 components have no equal parts"):
        g4r.shrink(g4r.GRU4Rec(config, device="cpu").fit(log), items="pq")


# the command, on one kind of scores


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


@COSINE
@pytest.mark.process
def test_the_command_prunes_and_learns_on_in_a_process_of_its_own(folder, log):
    log.tail(600).write_parquet(folder / "train.parquet")
    command = [
        sys.executable, "-m", "gru4rec", "shrink", folder / "model", folder / "log.parquet",
        "--sparsity", "0.9", "--train", folder / "train.parquet", "-o", folder / "small",
        "--format", "json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout)
    assert (before["sparsity"], after["sparsity"]) == (0.0, 0.9)
    assert after["mib"] < before["mib"]
    assert "90% pruned: epoch 1/1" in done.stderr
    assert min(zeros_of(g4r.load(folder / "small", device="cpu").model)) >= 0.899


@COSINE
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--sparsity", "1", "-o", "small"), "--sparsity must be from 0 on and below 1, got 1.0"),
        (("--sparsity", "nan", "-o", "small"), "below 1, got nan"),
        (("--sparsity", "-0.1", "-o", "small"), "below 1, got -0.1"),
        (("--sparsity", "half", "-o", "small"), "'half' is not a valid float"),
        (("--sparsity", "0.5"), "together"),
        (("--train", "LOG", "--encoder", "int8", "-o", "small"), "goes with --sparsity"),
        (("--train", "LOG", "--sparsity", "0", "-o", "small"), "give --sparsity"),
    ],
)
def test_bad_shares_get_one_clear_line(folder, options, said, monkeypatch):
    monkeypatch.chdir(folder)
    log = str(folder / "log.parquet")
    code, out, err = run(folder, *(log if option == "LOG" else option for option in options))
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not (folder / "small").exists()


@COSINE
def test_a_sparsity_of_0_is_a_checkpoint_as_it_is(folder):
    code, out, err = run(folder, "--sparsity", "0", "-o", str(folder / "small"), "--format", "json")
    assert code == 0, err
    assert [row["sparsity"] for row in json.loads(out)] == [0, 0]


@pytest.mark.parametrize("retrains", [False, True])
def test_heads_beside_the_encoder_are_not_pruned(retrains):
    log = outcome_log()
    settings = {
        **LEARNS_OUTCOME, "training.event_column": "bought", "training.rewards": {"true": 1.0},
    }  # fmt: skip
    fitted = g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(log)
    small = g4r.shrink(fitted, sparsity=0.9, train=log if retrains else None)
    weights = dict(small.model.named_parameters())
    assert (weights["encoder.layers.0.weight_hh"] == 0).float().mean() > 0.85
    for name in ("q.weight", "outcome.weight"):
        before = dict(fitted.model.named_parameters())[name]
        assert torch.equal(weights[name] == 0, before == 0)
        assert torch.equal(weights[name], before) != retrains  # they learn too
