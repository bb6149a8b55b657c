"""Progress on stderr: a bar on a terminal, a line now and then in a pipe."""

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result

from gru4rec.cli import progress
from gru4rec.cli.progress import Display, TrainingDisplay, counted
from gru4rec.training import Progress

Run = Callable[..., Result]

PROGRAM = "from gru4rec.cli import main; main()"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 columns, to be put in the place of stderr."""
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


def shown(stream: io.StringIO) -> list[str]:
    """What stood in the line one after the other, without what moves the cursor."""
    bare = re.sub(r"\x1b\[(\?25[lh]|K)", "", stream.getvalue())
    return [line.rstrip() for line in re.split(r"[\r\n]+", bare) if line.strip()]


def bar(full: int) -> str:
    return "█" * full + "░" * (20 - full)


# A terminal


def test_a_terminal_gets_a_bar_that_ends_full(terminal: Terminal) -> None:
    with redirect_stderr(terminal), Display("measuring") as display:
        display.show(1, 4)
        display.show(2, 4, "hnsw")
    assert shown(terminal) == [
        f"measuring {bar(0)}    0%",
        f"measuring {bar(5)}   25%",
        f"measuring {bar(10)}   50%  hnsw",
        f"measuring {bar(20)}  100%  hnsw",
    ]
    assert terminal.getvalue().endswith("\x1b[?25h\n")  # the cursor is back


def test_after_an_error_the_bar_stays_where_it_was_and_the_cursor_is_back(
    terminal: Terminal,
) -> None:
    def fail() -> None:
        with redirect_stderr(terminal), Display("measuring") as display:
            display.show(1, 4)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert shown(terminal)[-1] == f"measuring {bar(5)}   25%"
    assert terminal.getvalue().endswith("\x1b[?25h\n")


def test_a_line_that_stays_takes_the_place_of_the_bar(terminal: Terminal) -> None:
    with redirect_stderr(terminal), Display("tuning") as display:
        display.show(1, 2, "text")
        display.say("trial 0")
    assert "\r\x1b[Ktrial 0\n" in terminal.getvalue()
    assert shown(terminal)[-2] == f"tuning {bar(10)}   50%"


def test_nothing_hidden_is_shown(terminal: Terminal) -> None:
    with redirect_stderr(terminal), Display("measuring", hidden=True) as display:
        display.show(1, 2)
    assert terminal.getvalue() == ""


def test_a_text_is_cut_to_the_width_of_the_terminal(terminal: Terminal) -> None:
    with redirect_stderr(terminal), Display("measuring") as display:
        display.show(1, 2, "x" * 200)
    assert max(map(len, shown(terminal))) <= 80


def test_work_passed_on_is_counted_when_it_is_done(terminal: Terminal) -> None:
    with redirect_stderr(terminal), Display("measuring") as display:
        assert list(display.over("ab", 2)) == ["a", "b"]
    assert [line.split()[-1] for line in shown(terminal)] == ["0%", "50%", "100%"]


def report(epoch: int, share: float, metrics: dict[str, float] | None = None) -> Progress:
    return Progress(epoch, 2, share, loss=1.5, clicks_per_second=2000.0, metrics=metrics)


def test_training_shows_all_epochs_in_one_bar_and_keeps_the_figures_of_each(
    terminal: Terminal,
) -> None:
    with redirect_stderr(terminal), TrainingDisplay() as display:
        display(report(1, 0.5))
        display(report(1, 1.0, {"mrr@20": 0.25}))
        display(report(2, 1.0))
    lines = [re.sub(r"  \d+ s left", "", line) for line in shown(terminal)]
    assert lines[:3] == [
        bar(0), f"{bar(5)}  epoch 1/2  50%  loss 1.5000  2,000 clicks/s",
        "epoch 1/2 100%  loss 1.5000  2,000 clicks/s  mrr@20 0.2500",
    ]  # fmt: skip
    assert lines[-1] == f"{bar(20)}  epoch 2/2 100%  loss 1.5000  2,000 clicks/s"


def test_sessions_are_counted_without_knowing_how_many_come(terminal: Terminal) -> None:
    pieces = [pl.DataFrame({"rank": [1, 2, 1, 2]}), pl.DataFrame({"rank": [1, 2]})]
    with redirect_stderr(terminal):
        passed_on = list(counted(iter(pieces)))
    assert [piece.height for piece in passed_on] == [4, 2]
    assert "  2 sessions, " in shown(terminal)[1]
    assert shown(terminal)[-1].startswith(f"recommending {bar(20)}  3 sessions, ")


# A pipe


def test_a_pipe_gets_nothing_of_what_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    with Display("measuring") as display:
        display.show(1, 2, "text")
    assert capsys.readouterr() == ("", "")


def test_a_pipe_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_LINE_SECONDS", -1.0)
    with Display("measuring") as display:
        display.show(1, 4)
        display.show(2, 4, "half")
        display.say("as it is")
    with Display("measuring", hidden=True) as display:
        display.show(1, 4)
    assert capsys.readouterr() == ("", "measuring: 25%\nhalf\nas it is\n")


def test_training_tells_a_pipe_the_figures_of_each_epoch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with TrainingDisplay() as display:
        display(report(1, 0.5))
        display(report(1, 1.0, {}))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("epoch 1/2 100%  loss 1.5000  2,000 clicks/s")


# The commands


COMMANDS = {
    "prepare": "prepare {log} -o {out}",
    "evaluate": "evaluate {model} {log} -k 5 --no-intervals",
    "index": "index {model} {log} --kind flat --kind hnsw",
    "fuse": "fuse {model} {log} -o {out} --with markov",
    "recommend": "recommend {model} {log} -o {out}.csv",
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_commands_show_a_bar_on_a_terminal_and_none_in_a_pipe(
    run: Run, train: Run, log: Path, tmp_path: Path, command: str
) -> None:
    model = tmp_path / "model"
    train(log, "-o", model)
    places = {"log": log, "model": model}
    piped = command.format(**places, out=tmp_path / "piped").split()
    assert "█" not in run(*piped).stderr

    ours, theirs = pty.openpty()
    shown_here = command.format(**places, out=tmp_path / "shown").split()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *shown_here],
        stdout=subprocess.PIPE, stderr=theirs, timeout=120, check=False,
    )  # fmt: skip
    os.close(theirs)
    text = os.read(ours, 1 << 20).decode()
    os.close(ours)
    assert done.returncode == 0, text
    assert bar(0) in text
    assert bar(20) in text
    assert b"\x1b" not in done.stdout
