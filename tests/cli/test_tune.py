"""`gru4rec tune` writes the best settings and prints the trials."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

pytest.importorskip("optuna")

Run = Callable[..., Result]
Refusal = Callable[..., str]

OPTIONS = ("--hidden-size", 8, "--epochs", 1, "--negatives", 16, "--device", "cpu")


def test_the_best_settings_are_written_and_train_takes_them(
    run: Run, log: Path, tmp_path: Path
) -> None:
    best, study = tmp_path / "best.toml", tmp_path / "study"
    result = run("tune", log, "-o", best, *OPTIONS, "--trials", 2, "--study", study)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0].split()[1::2][:4] == ["trial", "state", "epochs", "mrr@20"]
    assert len(result.stdout.splitlines()) == 2 + 2
    assert result.stderr.count("\ntrial ") == 2
    settings = tomllib.loads(best.read_text())
    assert settings["encoder"]["hidden_size"] == 8
    more = run("tune", log, "-o", best, *OPTIONS, "--trials", 3, "--study", study)
    assert more.stderr.count("trial 2:") == 1
    assert "trial 1:" not in more.stderr
    trained = run("train", log, "-o", tmp_path / "model", "-c", best, "--device", "cpu")
    assert trained.exit_code == 0, trained.stderr


def test_a_bad_number_of_trials_is_refused_and_nothing_is_written(
    refusal: Refusal, log: Path, tmp_path: Path
) -> None:
    best = tmp_path / "best.toml"
    assert "got 0" in refusal("tune", log, "-o", best, *OPTIONS, "--trials", 0)
    assert not best.exists()


def test_a_valid_filter_without_a_file_is_refused(
    usage_error: Refusal, log: Path, tmp_path: Path
) -> None:
    said = usage_error("tune", log, "-o", tmp_path / "b.toml", "--valid-where", "true")
    assert "--valid-where" in said
