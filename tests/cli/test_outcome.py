"""Outcomes of sessions on the command line: train, recommend, the pipe, evaluate, update."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result
from outcome_logs import outcome_log

import gru4rec as g4r
from gru4rec.cli import main

Run = Callable[..., Result]
Refusal = Callable[..., str]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with a column of outcomes."""
    path = tmp_path_factory.mktemp("outcomes") / "log.parquet"
    outcome_log().write_parquet(path)
    return path


@pytest.fixture(scope="module")
def foretells(train: Run, outcomes: Path) -> Path:
    """A checkpoint that has learned them."""
    place = outcomes.parent / "model"
    train(outcomes, "-o", place, "--outcome", "bought", "--outcome-weight", 0.75)
    return place


def test_the_options_are_settings(foretells: Path) -> None:
    training = json.loads((foretells / "config.json").read_text(encoding="utf-8"))["training"]
    assert (training["outcome"], training["outcome_weight"]) == ("bought", 0.75)
    meta = json.loads((foretells / "meta.json").read_text(encoding="utf-8"))
    assert meta["outcome"] == {
        "column": "bought", "values": [False, True],
        "shares": [pytest.approx(4 / 9), pytest.approx(5 / 9)],
    }  # fmt: skip


def test_recommend_has_a_column_only_if_it_is_asked(run: Run, foretells: Path) -> None:
    asked = ("recommend", foretells, "--items", "a,c", "-k", 2, "--format", "jsonl")
    rows = [json.loads(line) for line in run(*asked, "--outcome").stdout.splitlines()]
    expected = g4r.load(foretells, device="cpu").outcomes([["a", "c"]])["outcome"].item()
    assert [row["outcome"] for row in rows] == [pytest.approx(expected, abs=1e-6)] * 2
    assert "outcome" not in json.loads(run(*asked).stdout.splitlines()[0])


def test_several_processes_tell_the_same(run: Run, foretells: Path, outcomes: Path) -> None:
    asked = ("recommend", foretells, outcomes, "-k", 1, "--format", "csv", "--outcome")
    one, two = run(*asked), run(*asked, "--processes", 2, "--device", "cpu")
    assert one.stdout == two.stdout


def test_the_pipe_tells_every_class(foretells: Path) -> None:
    lines = b'{"session_id": 1, "items": ["a"]}\n{"items": []}\n{"items": 3}\n'
    asked = ["recommend", str(foretells), "-", "-k", "1"]
    result = CliRunner().invoke(main, [*asked, "--outcome"], input=lines)
    first, empty, wrong = map(json.loads, result.stdout.splitlines())
    expected = g4r.load(foretells, device="cpu").outcomes([["a"]])["outcome"].item()
    assert first["outcome"] == pytest.approx({"false": 1 - expected, "true": expected}, abs=1e-6)
    assert empty["outcome"] == pytest.approx({"false": 4 / 9, "true": 5 / 9})
    assert wrong.keys() == {"error"}
    without = CliRunner().invoke(main, asked, input=lines)
    assert "outcome" not in json.loads(without.stdout.splitlines()[0])


def test_more_classes_are_one_cell_of_csv(
    train: Run, run: Run, outcomes: Path, tmp_path: Path
) -> None:
    three = pl.read_parquet(outcomes).with_columns(end=pl.col("session_id") % 3)
    three.write_csv(tmp_path / "three.csv")
    train(tmp_path / "three.csv", "-o", tmp_path / "m", "--outcome", "end")
    told = run("recommend", tmp_path / "m", "--items", "a", "-k", 1, "--outcome", "--format", "csv")
    table = pl.read_csv(told.stdout.encode())
    cell = json.loads(table["outcome"].item())
    assert list(cell) == ["0", "1", "2"]
    assert sum(cell.values()) == pytest.approx(1.0)


def test_evaluate_has_rows_of_outcomes(run: Run, foretells: Path, outcomes: Path) -> None:
    asked = ("evaluate", foretells, outcomes, "-k", 20)
    rows = json.loads(run(*asked, "--outcome", "--format", "json").stdout)
    of_outcomes = [row for row in rows if row["metric"] in ("auc", "log_loss", "calibration_error")]
    assert [(row["recommender"], row["k"], row["num_targets"]) for row in of_outcomes] == [
        ("gru4rec", None, 324)
    ] * 3
    text = run(*asked, "--outcome", "--by", "position").stdout
    assert "calibration_error" in text
    assert "240 targets" in text  # of next clicks, which come first
    assert "auc" not in run(*asked).stdout


def test_what_has_not_learned_one_is_refused_in_one_line(
    refusal: Refusal, model: Path, outcomes: Path
) -> None:
    for command in (("recommend", model, "--items", "a"), ("recommend", model, outcomes),
                    ("evaluate", model, outcomes)):  # fmt: skip
        line = refusal(*command, "--outcome")
        assert "has not learned the outcome of sessions" in line
        assert "--outcome" in line


def test_a_column_that_is_not_there_is_named(
    refusal: Refusal, outcomes: Path, tmp_path: Path
) -> None:
    line = refusal("train", outcomes, "-o", tmp_path / "m", "--outcome", "sold")
    assert "lacks the column 'sold'" in line
    assert "--outcome" in line
    line = refusal("train", outcomes, "-o", tmp_path / "m", "--outcome", "bought",
                   "--input", "bought")  # fmt: skip
    assert "cannot be among the --input" in line


def test_an_update_learns_it_too(run: Run, foretells: Path, outcomes: Path, tmp_path: Path) -> None:
    newer = pl.read_parquet(outcomes).with_columns(pl.col("session_id") + 1000)
    newer.write_parquet(tmp_path / "newer.parquet")
    result = run("update", foretells, tmp_path / "newer.parquet", "-o", tmp_path / "m")
    assert result.exit_code == 0, result.stderr
    before, after = (g4r.load(place, device="cpu") for place in (foretells, tmp_path / "m"))
    assert after.outcome_classes == before.outcome_classes
    assert not after.model.outcome.weight.equal(before.model.outcome.weight)


@pytest.mark.process
def test_a_process_of_its_own_does_it_all(outcomes: Path, tmp_path: Path) -> None:
    def program(*arguments: object, told: bytes = b"") -> str:
        command = [sys.executable, "-m", "gru4rec", *map(str, arguments)]
        return subprocess.run(command, input=told, capture_output=True, check=True).stdout.decode()

    quick = ("--hidden-size", 8, "--epochs", 1, "--no-repeats", "--neighbours", 0)
    place = tmp_path / "m"
    program("train", outcomes, "-o", place, "--outcome", "bought", *quick, "--device", "cpu")
    answer = program("recommend", place, "-", "--outcome", told=b'{"items": ["a"]}\n')
    assert json.loads(answer)["outcome"].keys() == {"false", "true"}
    rows = json.loads(program("evaluate", place, outcomes, "--outcome", "--format", "json"))
    assert {"auc", "log_loss", "calibration_error"} <= {row["metric"] for row in rows}
