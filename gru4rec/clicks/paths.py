"""Find the files that paths, folders, globs and addresses stand for."""

import glob
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from gru4rec.addresses import address_of
from gru4rec.clicks.formats import Place, scanner_of
from gru4rec.clicks.stores import Address, check_address, is_object, list_objects
from gru4rec.errors import DataError

logger = logging.getLogger(__name__)

CARD = "card.json"
"""The file that tells a folder of prepared sessions."""

_DELTA_LOG = "_delta_log"
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_PREPARED = "{} holds prepared parts, which are not one log; name a part, such as {}"


def find_files(patterns: Iterable[str | Path]) -> dict[Place, bool]:
    """Return the files of all patterns, and whether each is a part of a folder that was named.

    They stand in the order of the patterns, by name within one. Raise DataError if a pattern has no
    file, if there is none at all, or one is given twice.
    """
    files: list[tuple[Place, bool]] = []
    for pattern in patterns:
        address = address_of(pattern)
        files += _expand(Path(pattern)) if address is None else _expand_address(address)
    if not files:
        raise DataError("no click log given; name at least one file")
    counts = Counter(path if isinstance(path, Address) else path.resolve() for path, _ in files)
    twice = [path for path, count in counts.items() if count > 1]
    if twice:
        raise DataError(f"{twice[0]} is given twice; its clicks would count twice")
    return dict(files)


def hive_keys(path: Place) -> dict[str, str | None]:
    """Return the `key=value` of the folders that a file lies in (Hive's layout)."""
    folders = path.folders if isinstance(path, Address) else path.parent.parts
    parts = [folder.split("=", 1) for folder in folders if "=" in folder]
    return {key: None if value == _HIVE_NULL else unquote(value) for key, value in parts}


def _expand_address(address: str) -> list[tuple[Place, bool]]:
    """Return the files that an address stands for: one object, or a folder of Parquet files.

    It is literal, whatever `[` or `*` is in it. Raise DataError if nothing can be read there.
    """
    check_address(address)
    place = Address(address)
    if scanner_of(place) is not None and is_object(address):
        return [(place, False)]
    is_folder = scanner_of(place) is None or place.name.lower().endswith(".parquet")
    found = list_objects(address) if is_folder else []
    start = len(Address(f"{address.rstrip('/')}/").folders)
    data = [file for file in found if not any(map(_is_hidden, [*file.folders[start:], file.name]))]
    if not data:
        raise DataError(
            f"no click log at {address}; give the address of a file, or of a folder with Parquet "
            "files that have rows"
        )
    if is_object(f"{address.rstrip('/')}/{CARD}"):
        raise DataError(_PREPARED.format(address, f"{address.rstrip('/')}/train.parquet"))
    return [(file, True) for file in data]


def _expand(pattern: Path) -> list[tuple[Place, bool]]:
    """Return the files that a path, a folder or a glob stands for, see `find_files`.

    What exists is itself, also where its name would do for a glob.
    """
    try:
        is_folder, exists = pattern.is_dir(), pattern.exists()
        if is_folder:
            paths = _data_files(pattern)
        elif exists:
            paths = [pattern]
        else:
            paths = [Path(path) for path in glob.glob(str(pattern), recursive=True)]  # noqa: PTH207 - takes absolute globs
    except (OSError, ValueError) as error:  # a name too long, or with a NUL in it
        raise DataError(f"cannot look for a click log at {str(pattern)[:80]!r}: {error}") from error
    if not paths:
        raise DataError(f"no click log at {pattern}; give a file, a folder or a glob that exists")
    return [(path, is_folder) for path in sorted(paths)]


def _data_files(folder: Path) -> list[Path]:
    """Return the files in a folder, and in those inside it, whose suffix says a format.

    Names that begin with a dot or an underscore are not data: what editors, Spark and Delta keep
    beside it. A folder `_key=value` is.
    """
    if folder.resolve() == Path(folder.resolve().anchor):
        raise DataError(f"{folder} is the whole disk; name the folder of the log")
    if _is_prepared(folder):
        raise DataError(_PREPARED.format(folder, folder / "train.parquet"))
    if (folder / _DELTA_LOG).is_dir():
        logger.warning(
            "%s is a Delta table: all of its files are read, also those whose rows were deleted or "
            "replaced; if there are such, write it as plain Parquet first",
            folder,
        )
    files = [path for path in folder.rglob("*") if scanner_of(path) and path.is_file()]
    hidden = [any(map(_is_hidden, path.relative_to(folder).parts)) for path in files]
    data = [path for path, is_hidden in zip(files, hidden, strict=True) if not is_hidden]
    return [path for path in data if not _is_prepared(path.parent)]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _is_prepared(folder: Path) -> bool:
    """Whether a folder holds what `gru4rec prepare` made of a log."""
    return (folder / CARD).exists()
