"""The folder that holds a trained recommender: written beside and renamed, checked when read."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gru4rec import folders
from gru4rec.catalog import Catalog
from gru4rec.config import Config
from gru4rec.errors import CheckpointError, ConfigError
from gru4rec.index import ItemIndex

CONFIG, META, CATALOG = "config.json", "meta.json", "catalog.parquet"
WEIGHTS, INDEX = "weights.safetensors", "index.faiss"
_FILES = (CONFIG, META, CATALOG, WEIGHTS, INDEX)
_ATTEMPTS = 3

RESUME = "resume"
"""The folder inside that holds the state of a training that runs or was interrupted."""
UNFINISHED = {RESUME, *(folders.beside(Path(RESUME), role).name for role in ("new", "old"))}


@dataclass(frozen=True)
class Checkpoint:
    """All that a folder holds; it holds no clicks."""

    config: Config
    meta: Mapping[str, Any]
    """Versions, seed, counts, metrics, seconds: what `meta.json` says, less the list of files."""
    catalog: Catalog
    weights: Mapping[str, Tensor]
    index: ItemIndex


def check_free(path: Path, *, force: bool) -> None:
    """Raise CheckpointError unless a checkpoint may be written to `path`.

    With `force` an older checkpoint may stand there, an interrupted training or an empty folder,
    and nothing else. What a crash left beside the path is put back first.
    """
    if not force and is_unfinished(path):
        raise CheckpointError(
            f"{path} holds a training that was interrupted; go on from it with --resume, or start "
            "afresh with --force"
        )
    folders.check_free(
        path,
        force=force,
        kind="checkpoint",
        marks={META} | UNFINISHED,
        files={*_FILES, *UNFINISHED},
        error=CheckpointError,
    )


def is_finished(path: Path) -> bool:
    """Whether a checkpoint stands at `path`, with no training on top of it that goes on."""
    return (path / META).is_file() and not is_unfinished(path)


def is_unfinished(path: Path) -> bool:
    """Whether a folder holds the state of a training that has not come to its end."""
    return any((path / name).is_dir() for name in UNFINISHED)


def save(checkpoint: Checkpoint, path: str | Path, *, force: bool = False) -> None:
    """Write a folder beside `path` and swap it in by renames.

    A reader finds the older checkpoint or this one, never a mix. What a crash on the way leaves is
    mended by the next `save`; until then `load` finds the older one. Raises CheckpointError as
    `check_free` does, or when the disk refuses.
    """
    path = Path(path).resolve()
    check_free(path, force=force)
    try:
        with folders.replaced(path, error=CheckpointError) as new:
            (new / CONFIG).write_text(
                json.dumps(checkpoint.config.to_dict(), indent=2) + "\n", encoding="utf-8"
            )
            checkpoint.catalog.to_frame().write_parquet(new / CATALOG)
            save_file(
                {name: weight.contiguous() for name, weight in checkpoint.weights.items()},
                new / WEIGHTS,
            )
            shutil.copymode(new / CONFIG, new / WEIGHTS)  # safetensors lets only the owner read it
            checkpoint.index.save(new / INDEX)
            files = {name: _fingerprint(new / name) for name in (CONFIG, CATALOG, WEIGHTS, INDEX)}
            meta = {**checkpoint.meta, "files": files}
            (new / META).write_text(
                json.dumps(meta, indent=2, default=str) + "\n", encoding="utf-8"
            )
    except (OSError, SafetensorError, RuntimeError, pl.exceptions.PolarsError) as error:
        raise CheckpointError(f"cannot write the checkpoint {path}: {error}") from error


def load(path: str | Path) -> Checkpoint:
    """Read a folder. Nothing in it is executed or unpickled.

    Raises CheckpointError if it is missing or incomplete, or if a file is not the one that was
    saved.
    """
    path = Path(path).resolve()
    failure = CheckpointError(f"{path} was replaced again and again while it was read; try later")
    for _ in range(_ATTEMPTS):
        folder = path if path.is_dir() else folders.beside(path, "old")  # just then being replaced
        began = _stamp(folder)
        try:
            found = _read(folder, path)
        except CheckpointError as error:
            failure = error
            continue
        if _stamp(folder) == began:  # else some of it was read before a swap, some after
            return found
    raise failure


def _read(folder: Path, path: Path) -> Checkpoint:
    """What a folder holds; `path` is the one that was asked for."""
    if is_unfinished(folder) and not (folder / META).exists():
        raise CheckpointError(
            f"the training at {path} was interrupted; go on with `gru4rec train … --resume` first"
        )
    if not folder.is_dir():
        raise CheckpointError(
            f"no checkpoint at {path}; give the folder that `gru4rec train -o` wrote"
        )
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"the checkpoint {folder} lacks {', '.join(missing)}; train again, or copy it whole"
        )
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        files = meta.pop("files")
        for name in (CONFIG, CATALOG, WEIGHTS, INDEX):
            if files[name] != _fingerprint(folder / name):
                raise CheckpointError(
                    f"{folder / name} is not the file this checkpoint was saved with (damaged, or "
                    "of another checkpoint); train again, or copy it whole"
                )
        return Checkpoint(
            Config.from_dict(json.loads((folder / CONFIG).read_text(encoding="utf-8"))),
            meta,
            Catalog.from_frame(pl.read_parquet(folder / CATALOG)),
            load_file(folder / WEIGHTS),
            ItemIndex.load(folder / INDEX),
        )
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError,
        SafetensorError, ConfigError, pl.exceptions.PolarsError,
    ) as error:  # fmt: skip
        raise CheckpointError(
            f"cannot read the checkpoint {folder}: {error!r}; train again"
        ) from error


def _stamp(folder: Path) -> bytes | None:
    """What tells one checkpoint at a path from another."""
    try:
        return (folder / META).read_bytes()
    except OSError:
        return None


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
