"""How the tests of the command line call it, and the log and checkpoint they share."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from gru4rec.cli import main
from gru4rec.clicks.synthetic import generate_clicks

Run = Callable[..., Result]
Refusal = Callable[..., str]

TRAINING = (
    "--hidden-size", 8, "--epochs", 1, "--negatives", 32, "--device", "cpu", "--no-repeats",
)  # fmt: skip


@contextmanager
def logging_as_before() -> Iterator[None]:
    """`main` sets up the package's logger, as a program may; undo it for the tests that follow."""
    logger = logging.getLogger("gru4rec")
    before = logger.handlers, logger.propagate, logger.level
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before[:2]
        logger.setLevel(before[2])


@pytest.fixture(scope="session")
def run() -> Run:
    """Calls `gru4rec` with the arguments given; an error that is a bug is raised as it is."""

    def call(*arguments: object) -> Result:
        with logging_as_before():
            given = [str(argument) for argument in arguments]
            return CliRunner().invoke(main, given, catch_exceptions=False)

    return call


@pytest.fixture(scope="session")
def train(run: Run) -> Run:
    """Calls `gru4rec train` for a small and short training; it must succeed."""

    def call(*arguments: object) -> Result:
        result = run("train", *TRAINING, *arguments)
        assert result.exit_code == 0, result.stderr
        return result

    return call


@pytest.fixture(scope="session")
def refusal(run: Run) -> Refusal:
    """The one line `Error: …` that a call ends with; before it there may be messages, no others."""

    def call(*arguments: object) -> str:
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert result.stdout == ""
        lines = result.stderr.splitlines()
        assert [line for line in lines if line.startswith("Error: ")] == lines[-1:]
        assert not any(line.startswith(("Usage", "Traceback")) for line in lines)
        return lines[-1]

    return call


@pytest.fixture(scope="session")
def usage_error(run: Run) -> Refusal:
    """What a call that click itself refuses says on stderr."""

    def call(*arguments: object) -> str:
        result = run(*arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("Usage: ")
        return result.stderr

    return call


@pytest.fixture(scope="session")
def clicks() -> pl.DataFrame:
    """1395 clicks of 300 sessions, 193 of them of two clicks or more, on 40 items."""
    return generate_clicks(sessions=300, items=40, categories=3)


@pytest.fixture(scope="session")
def log(clicks: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of `clicks`; for reading only."""
    path = tmp_path_factory.mktemp("log") / "clicks.parquet"
    clicks.write_parquet(path)
    return path


@pytest.fixture(scope="session")
def model(log: Path, train: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint trained on `log`; for reading only."""
    path = tmp_path_factory.mktemp("model") / "model"
    train(log, "-o", path)
    return path


@pytest.fixture(scope="session")
def int_log(clicks: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`log` as CSV, its items numbered."""
    path = tmp_path_factory.mktemp("int_log") / "clicks.csv"
    number = pl.col("item_id").str.slice(4).cast(pl.Int64)
    clicks.with_columns(number).write_csv(path)
    return path


@pytest.fixture(scope="session")
def int_model(int_log: Path, train: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint trained on `int_log`; for reading only."""
    path = tmp_path_factory.mktemp("int_model") / "model"
    train(int_log, "-o", path)
    return path


BAD_LOGS = {
    "missing.csv": (None, "missing.csv"),
    "empty.csv": ("", "empty.csv is empty"),
    "header.csv": ("session_id,item_id\n", "no rows"),
    "columns.csv": ("sid,item_id\n1,a\n", "lacks 'session_id'; it has ['sid', 'item_id']"),
    "null.csv": ("session_id,item_id\n1,a\n1,\n1,b\n", "first in row 2"),
    "partly.csv": ("session_id,item_id,ts\n1,a,\n1,b,5\n", "first in row 1"),
    "times.csv": ("session_id,item_id,ts\n1,a,2026-03-02\n1,b,soon\n", "first in row 2"),
    "format.xlsx": ("session_id,item_id\n1,a\n", "format.xlsx"),
    "text.parquet": ("session_id,item_id\n1,a\n", "cannot read the click log"),
}
"""Files that are no click log: their text, None for no file, and what is said of each."""


@pytest.fixture(params=BAD_LOGS)
def bad_log(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """A file of `BAD_LOGS`, alone in its folder, and what is said of it."""
    text, said = BAD_LOGS[request.param]
    (tmp_path / "bad").mkdir()
    path = tmp_path / "bad" / request.param
    if text is not None:
        path.write_text(text)
    return path, said
