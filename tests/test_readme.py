"""The README's commands and Python run as they stand."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHELL = re.findall(r"((?:<!-- \w+ -->\n)?)```sh\n(.*?)```", README, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
INSTALLS = re.compile(r"^(python3 -m venv|\. \.venv|pip install)")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the README's commands read."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "datasets", folder / "datasets")
    clicks = pl.read_parquet(folder / "datasets" / "sample" / "clicks.parquet")
    ours = ("session_id", "item_id", "timestamp")
    visits = clicks.rename(dict(zip(ours, ("visitor", "sku", "ts"), strict=True)))
    visits.with_columns(event=pl.lit("view")).write_csv(folder / "events.csv")
    news = clicks.rename({"item_id": "article", "timestamp": "clicked_at"})
    (folder / "hours").mkdir()
    for number, hour in enumerate(news.iter_slices(5_000)):
        hour.write_csv(folder / "hours" / f"{number:03d}.csv")
    return folder


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    bin_folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


pytestmark = pytest.mark.docs


def test_the_blocks_of_the_ci_are_there():
    assert [marker for marker, _ in SHELL if marker] == ["<!-- main -->\n", "<!-- test -->\n"]


@pytest.mark.parametrize("number", range(len(SHELL)))
def test_shell_blocks_run_as_they_stand(number, checkout):
    marker, block = SHELL[number]
    if "test" in marker:
        assert "pytest" in block  # running it here would run this test
        return
    parts = re.split(r" *&& *\n?", block)
    commands = "\n".join(part for part in parts if not INSTALLS.match(part))
    done = run(["bash", "-euo", "pipefail", "-c", commands], checkout)
    if "main" in marker:
        assert "item_id" in done.stdout
        assert done.stdout.count("c03-") >= 3


def test_python_blocks_run_one_after_the_other(checkout):
    assert PYTHON
    run([sys.executable, "-W", "error", "-c", "\n".join(PYTHON)], checkout)


def test_the_tree_names_every_room():
    for room in (ROOT / "gru4rec").glob("*/__init__.py"):
        assert f"{room.parent.name}/ " in README, room
