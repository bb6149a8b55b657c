"""`gru4rec train` writes a checkpoint of what it is told, or one line of why not and nothing."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from click.testing import Result

import gru4rec as g4r

Run = Callable[..., Result]
Refusal = Callable[..., str]


def config_of(model: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((model / "config.json").read_text(encoding="utf-8"))
    return settings


def meta_of(model: Path) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((model / "meta.json").read_text(encoding="utf-8"))
    return meta


def files_below(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A place for a checkpoint in a folder of its own, where litter would show."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "model"


@pytest.fixture
def split_log(tmp_path: Path) -> Path:
    """Sessions 1 and 2 to train on (5 clicks, 3 items), 3 to measure on, 4 for nothing."""
    rows = [
        *[(1, item, "train") for item in "aba"],
        *[(2, item, "train") for item in "bc"],
        *[(3, item, "valid") for item in "abc"],
        *[(4, item, None) for item in "xyz"],
    ]
    schema = ["session_id", "item_id", "split"]
    pl.DataFrame(rows, schema=schema, orient="row").write_csv(tmp_path / "split.csv")
    return tmp_path / "split.csv"


# What it writes


def test_training_writes_a_checkpoint_and_nothing_to_stdout(
    train: Run, log: Path, out: Path, clicks: pl.DataFrame
) -> None:
    result = train(log, "-o", out)
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith(f"saved {out}")
    assert [path.name for path in out.parent.iterdir()] == ["model"]
    assert len(g4r.load(out, device="cpu").catalog) == clicks["item_id"].n_unique()
    assert meta_of(out)["counts"] == {"clicks": 1395, "sessions": 193, "items": 40, "pairs": 1095}


def test_every_setting_option_has_its_place_in_the_config(run: Run, log: Path, out: Path) -> None:
    options = {
        "encoder": "gru", "loss": "cross_entropy", "hidden-size": 8, "lanes": 5, "steps": 3,
        "negatives": 16, "epochs": 2, "learning-rate": 0.05, "dropout": 0.125, "seed": 9,
        "precision": "bf16",
    }  # fmt: skip
    given = [part for name, value in options.items() for part in (f"--{name}", value)]
    assert run("train", log, "-o", out, *given).exit_code == 0
    config = config_of(out)
    wanted = {
        "lanes": 5, "steps": 3, "negatives": 16, "epochs": 2, "learning_rate": 0.05,
        "loss": "cross_entropy", "embedding_dropout": 0.125, "hidden_dropout": 0.125,
        "precision": "bf16",
    }  # fmt: skip
    assert config["training"].items() >= wanted.items()
    assert config["encoder"].items() >= {"name": "gru", "hidden_size": 8}.items()
    assert config["seed"] == 9
    assert len(meta_of(out)["history"]) == 2


def test_what_auto_decides_is_printed_and_what_is_given_is_not(
    train: Run, log: Path, out: Path
) -> None:
    stderr = train(log, "-o", out).stderr
    for setting in meta_of(out)["auto"]:
        section, key = setting.split(".")
        assert f"auto: {setting} = {config_of(out)[section][key]} " in stderr
    assert "auto: training.lanes" in stderr
    assert "auto: encoder.hidden_size" not in stderr


def test_without_options_training_holds_nothing_out(train: Run, log: Path, out: Path) -> None:
    train(log, "-o", out)
    assert "recall@20" not in meta_of(out)["history"][0]


def test_several_logs_are_one_log(train: Run, clicks: pl.DataFrame, out: Path) -> None:
    half = pl.col("session_id") <= 150
    clicks.filter(half).write_parquet(out.parent.parent / "a.parquet")
    clicks.filter(~half).write_csv(out.parent.parent / "b.csv")
    train(out.parent.parent / "a.parquet", out.parent.parent / "b.csv", "-o", out)
    assert meta_of(out)["counts"]["clicks"] == 1395


def test_columns_are_taken_by_the_names_given(
    train: Run, clicks: pl.DataFrame, out: Path, tmp_path: Path
) -> None:
    log = clicks.rename({"session_id": "sid", "item_id": "sku", "timestamp": "at"})
    log.write_parquet(tmp_path / "log.parquet")
    named = ("--session-col", "sid", "--item-col", "sku", "--time-col", "at")
    train(tmp_path / "log.parquet", "-o", out, *named)
    assert meta_of(out)["counts"]["clicks"] == 1395
    assert meta_of(out)["times"]["first"] == clicks["timestamp"].min().isoformat()  # type: ignore[union-attr]


def test_the_catalog_holds_the_items_of_one_click_sessions_too(
    train: Run, tmp_path: Path, out: Path
) -> None:
    (tmp_path / "log.csv").write_text("session,item\n1,a\n1,b\n2,lonely\n")
    train(tmp_path / "log.csv", "-o", out)
    assert sorted(pl.read_parquet(out / "catalog.parquet")["item_id"]) == ["a", "b", "lonely"]


def test_drop_invalid_drops_and_counts_on_stderr(train: Run, tmp_path: Path, out: Path) -> None:
    (tmp_path / "log.csv").write_text("session,item\n1,a\n1,\n,a\n1,b\n")
    result = train(tmp_path / "log.csv", "-o", out, "--drop-invalid")
    assert result.stderr.count("dropped 2 of 4 rows") == 1
    assert meta_of(out)["counts"]["clicks"] == 2


@pytest.mark.parametrize("valid", [(), ("--valid", "10%")])
def test_a_log_without_times_is_said_to_be_so_once(
    train: Run, clicks: pl.DataFrame, tmp_path: Path, out: Path, valid: tuple[str, ...]
) -> None:
    clicks.drop("timestamp").write_parquet(tmp_path / "log.parquet")
    result = train(tmp_path / "log.parquet", "-o", out, *valid)
    assert result.stderr.count("no time column") == 1


@pytest.mark.parametrize("mode", ["shared", "separate", "onehot"])
def test_every_embedding_mode_trains_with_the_rest_left_to_auto(
    train: Run, run: Run, log: Path, out: Path, tmp_path: Path, mode: str
) -> None:
    (tmp_path / "c.toml").write_text(f'[encoder]\nembedding = "{mode}"\n')
    train(log, "-o", out, "-c", tmp_path / "c.toml")
    assert config_of(out)["encoder"]["embedding"] == mode
    assert run("recommend", out, "--items", "c00-0001", "-k", 1).exit_code == 0


# One seed, one result


def test_two_runs_with_one_seed_recommend_the_same_to_the_byte(
    train: Run, run: Run, log: Path, tmp_path: Path
) -> None:
    written = []
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        train(log, "-o", tmp_path / name, "--seed", seed)
        result = run("recommend", tmp_path / name, log, "-k", 40)
        weights = (tmp_path / name / "weights.safetensors").read_bytes()
        written.append((result.stdout_bytes, weights))
    assert written[0] == written[1]
    assert written[0][0] != written[2][0]


@pytest.mark.parametrize("seed", [2**31, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_large_seed_is_refused_or_trains_without_a_warning(
    run: Run, log: Path, out: Path, seed: int
) -> None:
    result = run("train", log, "-o", out, "--seed", seed, "--hidden-size", 4, "--epochs", 1)
    assert result.exit_code == (0 if out.exists() else 2)


# The config file


def test_options_go_before_the_config_file_and_that_before_auto(
    run: Run, log: Path, out: Path, tmp_path: Path
) -> None:
    (tmp_path / "c.toml").write_text(
        "seed = 5\n[encoder]\nhidden_size = 4\n[training]\nepochs = 3\nnegatives = 16\n"
    )
    result = run("train", log, "-o", out, "-c", tmp_path / "c.toml", "--epochs", 1)
    assert result.exit_code == 0
    config = config_of(out)
    assert config["seed"] == 5
    assert config["encoder"]["hidden_size"] == 4
    assert config["training"]["epochs"] == 1
    assert config["training"]["negatives"] == 16


def test_show_config_prints_every_setting_as_toml_and_trains_nothing(
    run: Run, log: Path, out: Path, tmp_path: Path
) -> None:
    result = run("train", log, "-o", out, "--show-config", "--epochs", 7)
    assert result.exit_code == 0
    assert list(out.parent.iterdir()) == []
    (tmp_path / "c.toml").write_text(result.stdout)
    shown = g4r.Config.from_toml(tmp_path / "c.toml")
    assert shown.training.epochs == 7
    assert shown == g4r.GRU4Rec(shown, device="cpu").decide(log)
    assert "lanes" in tomllib.loads(result.stdout)["training"]


def test_show_config_needs_no_output_folder(run: Run, log: Path) -> None:
    assert run("train", log, "--show-config").exit_code == 0


def test_what_show_config_prints_is_what_training_takes(
    run: Run, train: Run, log: Path, out: Path, model: Path, tmp_path: Path
) -> None:
    options = ("--hidden-size", 8, "--epochs", 1, "--negatives", 32, "--no-repeats")
    (tmp_path / "c.toml").write_text(run("train", log, "--show-config", *options).stdout)
    assert run("train", log, "-o", out, "-c", tmp_path / "c.toml").exit_code == 0
    assert config_of(out) == config_of(model)


# Presets


def test_a_preset_is_overridden_by_options(run: Run, log: Path, tmp_path: Path) -> None:
    result = run("train", log, "--preset", "paper", "--hidden-size", 8, "--show-config")
    (tmp_path / "c.toml").write_text(result.stdout)
    shown = g4r.Config.from_toml(tmp_path / "c.toml")
    assert (shown.training.steps, shown.encoder.state_dropout) == (1, 0.4)
    assert shown.encoder.hidden_size == 8


def test_an_unknown_preset_is_refused_with_the_list(refusal: Refusal, log: Path, out: Path) -> None:
    error = refusal("train", log, "-o", out, "--preset", "rsc")
    assert "no preset 'rsc'; choose from paper, rsc15" in error


def test_a_preset_and_a_config_file_exclude_each_other(run: Run, log: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("seed = 1\n")
    result = run("train", log, "--preset", "paper", "-c", tmp_path / "c.toml", "--show-config")
    assert result.exit_code == 2
    assert "-c and --preset both give settings" in result.stderr


# Validation


@pytest.mark.parametrize("part", ["10%", "2d"])
def test_a_part_of_the_log_is_held_out_and_measured_on(
    train: Run, log: Path, out: Path, clicks: pl.DataFrame, part: str
) -> None:
    stderr = train(log, "-o", out, "--valid", part, "--epochs", 2).stderr
    rest = g4r.split_last(clicks, part)[0].collect()
    assert meta_of(out)["counts"]["clicks"] == rest.height < clicks.height
    for row in meta_of(out)["history"]:
        assert 0 < row["mrr@20"] <= row["recall@20"] <= 1
        assert f"recall@20 {row['recall@20']:.4f}" in stderr


def test_a_file_is_measured_on_and_all_of_the_log_learned_from(
    train: Run, log: Path, out: Path, clicks: pl.DataFrame, tmp_path: Path
) -> None:
    clicks.head(300).write_csv(tmp_path / "valid.csv")
    train(log, "-o", out, "--valid", tmp_path / "valid.csv")
    assert meta_of(out)["counts"]["clicks"] == 1395
    assert "recall@20" in meta_of(out)["history"][0]


def test_validation_changes_no_weight_of_an_epoch(
    train: Run, log: Path, out: Path, model: Path
) -> None:
    train(log, "-o", out, "--valid", log)
    assert config_of(out) == config_of(model)
    weights = [(folder / "weights.safetensors").read_bytes() for folder in (out, model)]
    assert weights[0] == weights[1]


def test_where_filters_the_clicks_and_valid_where_the_valid_file(
    train: Run, split_log: Path, out: Path
) -> None:
    wheres = ("--where", "split = 'train'", "--valid-where", "split = 'valid'")
    train(split_log, "-o", out, "--valid", split_log, *wheres)
    assert meta_of(out)["counts"] == {"clicks": 5, "sessions": 2, "items": 3, "pairs": 3}
    assert "recall@20" in meta_of(out)["history"][0]


def test_of_longer_sessions_the_first_clicks_are_learned_from_and_measured_on(
    train: Run, log: Path, out: Path, clicks: pl.DataFrame
) -> None:
    train(log, "-o", out, "--valid", "10%", "--max-session-clicks", 2)
    cut = g4r.read_clicks(clicks, max_session_clicks=2)
    rest, _ = g4r.split_last(cut, "10%")
    counts = meta_of(out)["counts"]
    assert counts["clicks"] == rest.collect().height
    assert counts["pairs"] == counts["sessions"] > 0


def test_where_does_not_touch_the_valid_file(
    train: Run, split_log: Path, out: Path, tmp_path: Path
) -> None:
    (tmp_path / "valid.csv").write_text("session_id,item_id\n9,a\n9,b\n")  # it has no split
    train(split_log, "-o", out, "--where", "split = 'train'", "--valid", tmp_path / "valid.csv")
    assert meta_of(out)["counts"]["clicks"] == 5


def test_a_null_in_where_is_no(train: Run, split_log: Path, out: Path) -> None:
    train(split_log, "-o", out, "--where", "split <> 'valid'")
    assert meta_of(out)["counts"]["clicks"] == 5


def test_a_null_marker_is_no_item_where_it_is_named(
    train: Run, refusal: Refusal, out: Path, tmp_path: Path
) -> None:
    log = tmp_path / "nulls.csv"
    log.write_text("session,item\n1,7\n1,NULL\n1,8\n2,8\n2,7\n2,NULL\n")
    assert "empty item_id in 2 of 6 rows" in refusal("train", log, "-o", out, "--null", "NULL")
    train(log, "-o", out, "--null", "NULL", "--drop-invalid")
    assert meta_of(out)["counts"]["items"] == 2
    assert g4r.load(out, device="cpu").catalog.item_ids.to_list() == [7, 8]


# What stands in the way


def test_an_output_that_exists_is_refused_before_training(
    refusal: Refusal, run: Run, train: Run, log: Path, out: Path
) -> None:
    train(log, "-o", out)
    before = files_below(out.parent)
    error = refusal("train", log, "-o", out)
    assert str(out) in error
    assert "--force" in error
    assert run("train", log, "-o", out).stderr == f"{error}\n"
    assert files_below(out.parent) == before


def test_what_a_crash_left_beside_the_output_is_seen_before_training(
    run: Run, train: Run, log: Path, out: Path
) -> None:
    train(log, "-o", out)
    out.rename(out.with_name(".model.old"))
    result = run("train", log, "-o", out, "--epochs", 1)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")


def test_force_replaces_a_checkpoint(train: Run, log: Path, out: Path) -> None:
    train(log, "-o", out)
    train(log, "-o", out, "--seed", 4, "--force")
    assert config_of(out)["seed"] == 4
    assert [path.name for path in out.parent.iterdir()] == ["model"]


def test_force_replaces_nothing_but_a_checkpoint(refusal: Refusal, log: Path, out: Path) -> None:
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    assert str(out) in refusal("train", log, "-o", out, "--force")
    assert files_below(out.parent) == {"model/thesis.txt": b"years of work"}


def test_an_output_below_a_file_is_refused_before_training(
    run: Run, log: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    result = run("train", log, "-o", tmp_path / "file" / "model", "--epochs", 1)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert files_below(tmp_path) == {"file": b"mine"}


# Refusals


def test_a_bad_log_is_refused_and_nothing_is_written(
    refusal: Refusal, bad_log: tuple[Path, str], out: Path
) -> None:
    path, said = bad_log
    assert said in refusal("train", path, "-o", out)
    assert list(out.parent.iterdir()) == []


def test_a_bad_valid_file_is_refused_and_nothing_is_written(
    refusal: Refusal, bad_log: tuple[Path, str], log: Path, out: Path
) -> None:
    path, said = bad_log
    assert said in refusal("train", log, "-o", out, "--valid", path)
    assert list(out.parent.iterdir()) == []


def test_a_missing_column_is_refused_with_the_option_that_names_it(
    refusal: Refusal, tmp_path: Path, out: Path
) -> None:
    (tmp_path / "log.csv").write_text("session_id,sku\n1,a\n1,b\n")
    error = refusal("train", tmp_path / "log.csv", "-o", out)
    assert "lacks 'item_id'; it has ['session_id', 'sku']" in error
    assert "--item-col" in error


def test_a_log_where_no_session_has_two_clicks_is_refused(
    refusal: Refusal, tmp_path: Path, out: Path
) -> None:
    (tmp_path / "log.csv").write_text("session_id,item_id\n1,a\n2,a\n3,b\n")
    assert "two clicks" in refusal("train", tmp_path / "log.csv", "-o", out)
    assert list(out.parent.iterdir()) == []


def test_a_valid_file_without_a_session_to_measure_on_is_refused(
    refusal: Refusal, log: Path, tmp_path: Path, out: Path
) -> None:
    (tmp_path / "valid.csv").write_text("session_id,item_id\n1,unknown\n1,strange\n")
    assert "validation" in refusal("train", log, "-o", out, "--valid", tmp_path / "valid.csv")
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--encoder", "nonesuch"), ["'nonesuch'", "gru"]),
        (("--loss", "nonesuch"), ["'nonesuch'", "cross_entropy"]),
        (("--device", "tpu"), ["'tpu'", "auto, cpu, cuda"]),
        (("--epochs", 0), ["training.epochs", "at least 0.001"]),
        (("--hidden-size", -1), ["encoder.hidden_size"]),
        (("--learning-rate", "nan"), ["training.learning_rate"]),
        (("--learning-rate", "inf"), ["training.learning_rate"]),
        (("--dropout", 1), ["dropout", "below 1"]),
        (("--seed", -1), ["seed"]),
        (("--seed", 2**64), ["seed"]),
        (("--valid", "0%"), ["0%"]),
        (("--valid", "100%"), ["100%"]),
        (("--valid", "1000d"), ["1000d"]),
        (("--valid", "99999999999d"), ["99999999999d"]),
        (("--valid", "missing.csv"), ["missing.csv"]),
        (("--where", "nonesuch = 1"), ["nonesuch", "--where"]),
        (("--where", "session_id ="), ["session_id =", "--where"]),
        (("--where", "session_id < 0"), ["no rows", "--where"]),
        (("-c", "missing.toml"), ["missing.toml"]),
        (("--item-col", "nonesuch"), ["'nonesuch'", "--item-col"]),
        (("--max-session-clicks", 0), ["--max-session-clicks", "got 0"]),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_was_given(
    refusal: Refusal, log: Path, out: Path, options: tuple[object, ...], said: list[str]
) -> None:
    error = refusal("train", log, "-o", out, "--epochs", 1, "--hidden-size", 4, *options)
    assert all(text in error for text in said)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("option", ["--encoder", "--loss"])
def test_show_config_refuses_a_name_that_training_would_refuse(
    refusal: Refusal, log: Path, option: str
) -> None:
    assert "'nonesuch'" in refusal("train", log, "--show-config", option, "nonesuch")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_absent_gpu_is_refused(refusal: Refusal, log: Path, out: Path) -> None:
    assert "cuda" in refusal("train", log, "-o", out, "--device", "cuda")
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochs 3\n", "c.toml"),
        ("[training]\nepocs = 3\n", "training.epocs"),
        ("[trainer]\nepochs = 3\n", "trainer"),
        ('[training]\nepochs = "3"\n', "training.epochs"),
    ],
)
def test_a_bad_config_file_is_refused_by_its_name(
    refusal: Refusal, log: Path, out: Path, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "c.toml").write_text(text)
    error = refusal("train", log, "-o", out, "-c", tmp_path / "c.toml")
    assert said in error
    assert "c.toml" in error
    assert list(out.parent.iterdir()) == []


def test_a_duration_of_a_log_without_times_is_refused(
    refusal: Refusal, clicks: pl.DataFrame, tmp_path: Path, out: Path
) -> None:
    clicks.drop("timestamp").write_parquet(tmp_path / "log.parquet")
    assert "times" in refusal("train", tmp_path / "log.parquet", "-o", out, "--valid", "1d")
    assert list(out.parent.iterdir()) == []


def test_what_click_refuses_ends_with_exit_status_2(
    usage_error: Refusal, log: Path, out: Path
) -> None:
    assert "'-o'" in usage_error("train", log)
    assert "CLICKS" in usage_error("train", "-o", out)
    assert "--valid-where" in usage_error("train", log, "-o", out, "--valid-where", "x = 1")
    assert "--valid-where" in usage_error(
        "train", log, "-o", out, "--valid", "10%", "--valid-where", "x = 1"
    )
    assert "--epochs" in usage_error("train", log, "-o", out, "--epochs", "three")
    assert "--nonesuch" in usage_error("train", log, "-o", out, "--nonesuch")
    assert list(out.parent.iterdir()) == []
