"""`gru4rec train` as a process that is killed or interrupted, and `--resume`."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import gru4rec as g4r

Run = Callable[..., Result]
Refusal = Callable[..., str]

OPTIONS = (
    "--hidden-size", "8", "--epochs", "3", "--negatives", "16", "--lanes", "4", "--steps", "1",
    "--device", "cpu", "--keep-minutes", "0",
)  # fmt: skip


def start(log: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    program = [sys.executable, "-c", "from gru4rec.cli import main; main()", "train", str(log)]
    return subprocess.Popen(
        [*program, "-o", str(out), *OPTIONS, *more], stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """(exit status, stderr)."""
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def wait_for(path: Path) -> None:
    give_up = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < give_up, f"{path} did not appear"
        time.sleep(0.002)


@pytest.fixture(scope="module")
def undisturbed(log: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights of a training that nothing disturbed."""
    out = tmp_path_factory.mktemp("undisturbed") / "model"
    status, said = finish(start(log, out))
    assert status == 0, said
    return (out / "weights.safetensors").read_bytes()


@pytest.mark.process
def test_killed_again_and_again_it_goes_on_to_the_same_weights(
    log: Path, tmp_path: Path, undisturbed: bytes
) -> None:
    out = tmp_path / "model"
    for delay in (0.0, 0.05, 0.11):
        process = start(log, out, "--resume")
        wait_for(out / "resume")
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        finish(process)
    status, said = finish(start(log, out, "--resume"))
    assert status == 0, said
    assert "going on in epoch" in said
    assert (out / "weights.safetensors").read_bytes() == undisturbed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_how_to_go_on_and_does(
    log: Path, tmp_path: Path, undisturbed: bytes, number: signal.Signals
) -> None:
    out = tmp_path / "model"
    process = start(log, out)
    wait_for(out / "resume")
    process.send_signal(number)
    status, said = finish(process)
    assert status == 130
    assert said.splitlines()[-1].endswith("; the same command with --resume goes on from there")
    assert "Traceback" not in said
    assert finish(start(log, out, "--resume"))[0] == 0
    assert (out / "weights.safetensors").read_bytes() == undisturbed


def interrupted(log: Path, out: Path) -> None:
    """Leave a training at `out` that has kept its state and not come to its end."""
    config = g4r.Config().replace({"encoder.hidden_size": 8, "training.epochs": 2, "seed": 5})
    with pytest.raises(g4r.StoppedError):
        g4r.GRU4Rec(config, device="cpu").fit(log, keep=out, stopping=lambda: True)


def test_without_options_the_settings_are_those_of_the_interrupted_training(
    run: Run, log: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    interrupted(log, out)
    result = run("train", log, "-o", out, "--device", "cpu", "--resume")
    assert result.exit_code == 0
    config = g4r.load(out, device="cpu").config
    assert (config.encoder.hidden_size, config.training.epochs, config.seed) == (8, 2, 5)


def test_an_option_that_contradicts_it_is_refused(
    refusal: Refusal, log: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    interrupted(log, out)
    said = refusal("train", log, "-o", out, "--device", "cpu", "--resume", "--hidden-size", 9)
    assert "encoder.hidden_size = 8, asked is 9" in said


def test_what_is_complete_is_left_as_it_is(run: Run, log: Path, model: Path) -> None:
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    result = run("train", log, "-o", model, "--resume")
    assert result.exit_code == 0
    assert "nothing to go on with" in result.stderr
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before


def test_an_interrupted_training_is_not_overwritten_unasked(
    refusal: Refusal, train: Run, log: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    interrupted(log, out)
    said = refusal("train", log, "-o", out)
    assert "--resume" in said
    assert "--force" in said
    train(log, "-o", out, "--force")
    assert not (out / "resume").exists()


def test_a_divergence_says_how_to_go_on_before_it(
    refusal: Refusal, log: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    interrupted(log, out)
    said = refusal(
        "train", log, "-o", out, "--device", "cpu", "--resume", "--learning-rate", "1e39"
    )
    assert "lower --learning-rate" in said
    assert said.endswith("add --resume to go on before it")


def test_resume_goes_without_force(usage_error: Refusal, log: Path, tmp_path: Path) -> None:
    assert "--force" in usage_error("train", log, "-o", tmp_path / "m", "--resume", "--force")
