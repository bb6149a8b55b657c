"""Find the files that paths, folders and globs stand for."""

import glob
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from gru4rec.clicks.formats import scanner_of
from gru4rec.errors import DataError

CARD = "card.json"
"""The file that tells a folder of prepared sessions."""

_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def find_files(patterns: Iterable[str | Path]) -> list[Path]:
    """Return the files of all patterns: in the order given, by name within one.

    Raise DataError if a pattern has no file, if there is none at all, or one is given twice.
    """
    paths = [path for pattern in patterns for path in _expand(Path(pattern))]
    if not paths:
        raise DataError("no click log given; name at least one file")
    twice = [path for path, count in Counter(path.resolve() for path in paths).items() if count > 1]
    if twice:
        raise DataError(f"{twice[0]} is given twice; its clicks would count twice")
    return paths


def hive_keys(path: Path) -> dict[str, str | None]:
    """Return the `key=value` of the folders that a file lies in (Hive's layout)."""
    parts = [folder.split("=", 1) for folder in path.parent.parts if "=" in folder]
    return {key: None if value == _HIVE_NULL else unquote(value) for key, value in parts}


def _expand(pattern: Path) -> list[Path]:
    """Return the files that a path, a folder or a glob stands for, sorted by name.

    Of a folder, also of those inside it, the files whose suffix says a format.
    """
    if pattern.is_file():
        return [pattern]
    if pattern.is_dir():
        if _is_prepared(pattern):
            raise DataError(
                f"{pattern} holds prepared parts, which are not one log; name a part, such as "
                f"{pattern / 'train.parquet'}"
            )
        files = [path for path in pattern.rglob("*") if path.is_file() and scanner_of(path)]
        paths = [path for path in files if not _is_prepared(path.parent)]
    else:
        paths = [Path(path) for path in glob.glob(str(pattern), recursive=True)]  # noqa: PTH207 - takes absolute globs
    if not paths:
        raise DataError(f"no click log at {pattern}; give a file, a folder or a glob that exists")
    return sorted(paths)


def _is_prepared(folder: Path) -> bool:
    """Whether a folder holds what `gru4rec prepare` made of a log."""
    return (folder / CARD).exists()
