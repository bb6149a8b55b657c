"""Find the blocks of commands and of Python in the README and in docs/, and run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {path.name: path.read_text("utf-8") for path in (ROOT / "README.md", *DOCS.glob("*.md"))}
BLOCK = re.compile(r"((?:<!-- \w+ -->\n)?)```(sh|python)\n(.*?)```", re.DOTALL)
# Left out where they run: the package is installed here, from the tree that is tested.
INSTALLS = re.compile(r"^(python3 -m venv|\. \.venv|pip install)")


ON_SPARK = "<!-- spark -->\n"
"""Marks a block that needs Spark: tests/spark runs it."""


def blocks_of(page: str, language: str, *, on_spark: bool = False) -> list[tuple[str, str]]:
    """The (marker, text) of the blocks of a page in `sh` or `python`."""
    return [
        (marker, text)
        for marker, kind, text in BLOCK.findall(PAGES[page])
        if kind == language and (marker == ON_SPARK) == on_spark
    ]


def run(command: list[str], folder: Path) -> str:
    """What a command prints that ends well."""
    bin_folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_shell(block: str, folder: Path) -> str:
    parts = re.split(r" *&& *\n?", block)
    commands = "\n".join(part for part in parts if not INSTALLS.match(part))
    # A block may leave a service running, which would keep this from its end.
    commands = f"trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n{commands}"
    return run(["bash", "-euo", "pipefail", "-c", commands], folder)
