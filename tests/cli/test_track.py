"""`gru4rec train --track`: trackers by name, errors of one line, and no word to stdout."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import gru4rec as g4r
from gru4rec.training import TRACKERS

Run = Callable[..., Result]
Refusal = Callable[..., str]


class Notes(g4r.Tracker):
    """Writes a line for each call."""

    name = "notes"

    def __init__(self, file: str, *, name: str | None) -> None:
        self.file, self.called = Path(file), name

    def note(self, line: object) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def begin(self, start: object, known_as: str | None) -> str:
        self.note(f"{self.called} begins, known as {known_as}")
        return "the first"

    def epoch(self, progress: object) -> None:
        self.note(f"epoch {progress.epoch}")  # type: ignore[attr-defined]

    def end(self, end: object) -> None:
        raise OSError(28, "No space left on device")


@pytest.fixture(autouse=True)
def notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRACKERS, "notes", Notes)


def test_each_tracker_is_told_and_one_that_fails_is_one_line(
    train: Run, log: Path, tmp_path: Path
) -> None:
    result = train(
        log, "-o", tmp_path / "shop", "--track", f"notes={tmp_path}/a", "--track",
        f"notes={tmp_path}/b",
    )  # fmt: skip
    assert result.stdout == ""
    # The same line of both is printed once.
    left_out = [line for line in result.stderr.splitlines() if "left out: [" in line]
    assert left_out == ["notes is left out: [Errno 28] No space left on device"]
    for name in "ab":
        told = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        assert told == ["shop begins, known as None", "epoch 1"]
    assert (tmp_path / "shop" / "meta.json").is_file()


def test_with_resume_it_goes_on(run: Run, log: Path, tmp_path: Path) -> None:
    config = g4r.Config().replace(
        {"encoder.hidden_size": 8, "training.epochs": 1, "encoder.repeats": False}
    )
    track, out = f"notes={tmp_path}/a", tmp_path / "shop"
    with pytest.raises(g4r.StoppedError):
        g4r.GRU4Rec(config, device="cpu").fit(log, keep=out, track=track, stopping=lambda: True)
    result = run("train", log, "-o", out, "--device", "cpu", "--resume", "--track", track)
    assert result.exit_code == 0, result.stderr
    told = (tmp_path / "a").read_text(encoding="utf-8").splitlines()
    assert told == ["shop begins, known as None", "shop begins, known as the first", "epoch 1"]


def test_what_cannot_be_is_refused_before_training(
    refusal: Refusal, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "shop"
    said = refusal("train", log, "-o", out, "--track", "nonesuch")
    assert said == "Error: no tracker 'nonesuch'; choose from tensorboard, mlflow, wandb, notes"
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    said = refusal("train", log, "-o", out, "--track", "tensorboard")
    assert said.endswith("pip install 'gru4rec[tensorboard]'")
    assert not out.exists()
