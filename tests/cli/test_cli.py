"""The program as a user meets it: help at once, data on stdout, exit status 0, 1 or 2."""

import json
import os
import pty
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result
from polars.testing import assert_frame_equal

import gru4rec as g4r
from gru4rec.cli import COMMANDS, main

Run = Callable[..., Result]
Refusal = Callable[..., str]

PROGRAM = str(Path(sysconfig.get_path("scripts")) / "gru4rec")


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the installed program as a process of its own."""
    command = [PROGRAM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


# Version and help


def test_the_version_is_that_of_the_package() -> None:
    done = program("--version")
    assert done.returncode == 0
    assert version("gru4rec") in done.stdout
    assert done.stderr == ""


def test_help_names_every_command(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name, text in COMMANDS.items():
        assert f"{name} " in result.stdout
        assert text in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps_and_says_what_it_does(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: main {command} ")
    assert result.stdout == run(command, "-h").stdout


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)])
def test_help_imports_nothing_slow(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom gru4rec.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "slow = ('torch', 'polars', 'faiss', 'numpy', 'safetensors')\n"
        "print([name for name in slow if name in sys.modules], file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, *arguments, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: ")
    assert done.stderr == "[]\n"


# Exit status


def test_an_unknown_command_is_refused_with_status_2(usage_error: Refusal) -> None:
    assert "nonesuch" in usage_error("nonesuch")


def test_no_command_shows_the_help_with_status_2(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "train" in result.output


def test_a_bug_of_ours_is_raised_with_status_1(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gru4rec.recommenders.load", broken)
    result = CliRunner().invoke(main, ["recommend", str(model), "--items", "a"])
    assert result.exit_code == 1
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    "error", [g4r.DataError, g4r.ConfigError, g4r.CheckpointError, g4r.DeviceError]
)
def test_an_error_that_a_user_can_mend_is_one_line_with_status_2(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise error("what is wrong; what to do")

    monkeypatch.setattr("gru4rec.recommenders.load", refuse)
    result = run("recommend", model, "--items", "a")
    assert result.exit_code == 2
    assert result.stderr == "Error: what is wrong; what to do\n"
    assert result.stdout == ""


# The program


@pytest.mark.process
def test_train_recommend_and_evaluate_work_one_after_the_other_as_a_user_runs_them(
    log: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    settings = ("--hidden-size", 8, "--epochs", 1, "--negatives", 32)
    trained = program("train", log, "-o", model, *settings)
    assert (trained.returncode, trained.stdout) == (0, "")
    assert "saved" in trained.stderr

    recommended = program("recommend", model, "--items", "c00-0001,unknown", "-k", 3)
    assert recommended.returncode == 0
    rows = [json.loads(line) for line in recommended.stdout.splitlines()]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert "skipped 1 click" in recommended.stderr

    evaluated = program("evaluate", model, log, "-k", 20, "--format", "json")
    assert evaluated.returncode == 0
    assert "were in the training log" in evaluated.stderr
    assert json.loads(evaluated.stdout)[0]["recommender"] == "gru4rec"


@pytest.mark.process
def test_an_error_of_the_program_is_one_line_on_stderr_with_status_2(tmp_path: Path) -> None:
    done = program("train", tmp_path / "missing.csv", "-o", tmp_path / "model")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_a_reader_that_stops_early_is_no_error_to_show(model: Path, log: Path) -> None:
    shown = subprocess.run(
        f"{PROGRAM} recommend {model} {log} -k 40 | head -n 1",
        shell=True, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(shown.stdout)["rank"] == 1
    assert shown.stderr == ""


def test_on_a_terminal_recommendations_are_a_table(model: Path) -> None:
    ours, theirs = pty.openpty()
    command = [PROGRAM, "recommend", str(model), "--items", "c00-0001", "-k", "2"]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "| session_id | rank |" in shown
    assert len(shown.splitlines()) == 4


# The sample log


def test_sample_writes_the_log_of_the_generator(run: Run, tmp_path: Path) -> None:
    result = run("sample", "-o", tmp_path / "sample.parquet")
    assert (result.exit_code, result.stdout) == (0, "")
    assert_frame_equal(pl.read_parquet(tmp_path / "sample.parquet"), g4r.generate_clicks())
    assert len(list(tmp_path.iterdir())) == 1


def test_sample_replaces_a_file_only_with_force(run: Run, refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "mine.parquet").write_text("mine")
    assert "--force" in refusal("sample", "-o", tmp_path / "mine.parquet")
    assert (tmp_path / "mine.parquet").read_text() == "mine"
    assert run("sample", "-o", tmp_path / "mine.parquet", "--force").exit_code == 0
    assert pl.read_parquet(tmp_path / "mine.parquet").height > 10_000


def test_sample_that_cannot_be_written_is_refused(refusal: Refusal, tmp_path: Path) -> None:
    assert "cannot write" in refusal("sample", "-o", tmp_path / "none" / "sample.parquet")


def test_the_package_itself_is_the_program(tmp_path: Path) -> None:
    def called(*program: str, missing: str) -> tuple[int, str, str]:
        command = [*program, "recommend", missing, "--items", "a"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        return done.returncode, done.stdout, done.stderr

    script = str(Path(sys.executable).parent / "gru4rec")
    ours = called(sys.executable, "-m", "gru4rec", missing="nowhere")
    assert ours == called(script, missing="nowhere")
    assert ours[0] == 2
    assert ours[2].startswith("Error: no checkpoint at")
    usage = subprocess.run(
        [sys.executable, "-m", "gru4rec", "--version"], capture_output=True, text=True, check=True
    )
    assert usage.stdout.startswith("gru4rec, version ")
