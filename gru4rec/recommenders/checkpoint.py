"""The folder that holds a trained recommender: written beside and renamed, checked when read."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import polars as pl
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gru4rec import atomic
from gru4rec.clicks import read_parquet, write_parquet
from gru4rec.errors import CheckpointError
from gru4rec.forks import refuse_forked
from gru4rec.layout import (
    CATALOG,
    CONFIG,
    INDEX,
    LEARNED,
    META,
    PARTS,
    WEIGHTS,
    check_free,
    is_unfinished,
)
from gru4rec.recommenders.meta import Meta
from gru4rec.serving import ItemIndex
from gru4rec.sessions import Catalog

_ATTEMPTS = 3

T = TypeVar("T")


class _Part(Protocol):
    """A recommender that is part of another one."""

    def contents(self) -> "Checkpoint":
        """See `Recommender.contents`."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a folder holds; what a kind of recommender does not have is None or empty."""

    config: Mapping[str, Any]
    """The settings."""
    meta: Meta
    """What `meta.json` says, less the fingerprints of its files."""
    catalog: Catalog
    weights: Mapping[str, Tensor] | None = None
    index: ItemIndex | None = None
    learned: pl.DataFrame | None = None
    """What a baseline has learned; of a neighbour method the sessions."""
    parts: Sequence[_Part] = ()
    """The recommenders that make one, each in a folder of its own."""


def write_checkpoint(checkpoint: Checkpoint, path: str | Path, *, force: bool = False) -> None:
    """Write a folder beside `path` and swap it in by renames.

    A reader finds the older checkpoint or this one, never a mix. What a crash on the way leaves is
    mended by the next write; until then a read finds the older one. Raise CheckpointError as
    `check_free` does, or when the disk refuses.
    """
    path = Path(path).resolve()
    check_free(path, force=force)
    refuse_forked()
    try:
        with atomic.replaced(path, error=CheckpointError) as new:
            _write_json(dict(checkpoint.config), new / CONFIG)
            write_parquet(checkpoint.catalog.to_frame(), new / CATALOG)
            if checkpoint.weights is not None:
                weights = {name: weight.contiguous() for name, weight in checkpoint.weights.items()}
                save_file(weights, new / WEIGHTS)
                shutil.copymode(new / CONFIG, new / WEIGHTS)  # safetensors lets only the owner read
            if checkpoint.index is not None:
                checkpoint.index.save(new / INDEX)
            if checkpoint.learned is not None:
                write_parquet(checkpoint.learned, new / LEARNED)
            for number, part in enumerate(checkpoint.parts):
                write_checkpoint(part.contents(), new / PARTS / str(number))
            written = [*new.glob("*.*"), *new.glob(f"{PARTS}/*/{META}")]
            files = {
                file.relative_to(new).as_posix(): _fingerprint(file) for file in sorted(written)
            }
            _write_json({**checkpoint.meta.to_dict(), "files": files}, new / META)
    except (OSError, SafetensorError, RuntimeError, pl.exceptions.PolarsError) as error:
        raise CheckpointError(f"cannot write the checkpoint {path}: {error}") from error


def read_checkpoint(path: str | Path, make: Callable[[Checkpoint, Path], T]) -> T:
    """Return what `make` makes of the contents of a folder, given with the folder for its parts.

    Nothing in it is executed or unpickled. Raise CheckpointError if it is missing or incomplete,
    if a file is not the one that was saved, or if `make` finds that it does not fit together.
    """
    path = Path(path).resolve()
    failure = CheckpointError(f"{path} was replaced again and again while it was read; try later")
    for _ in range(_ATTEMPTS):
        folder = path if path.is_dir() else atomic.beside(path, "old")  # just then being replaced
        began = _stamp(folder)
        try:
            made = make(_read(folder, path), folder)
        except CheckpointError as error:
            failure = error
            continue
        if _stamp(folder) == began:  # else some of it was read before a swap, some after
            return made
    raise failure


def _read(folder: Path, path: Path) -> Checkpoint:
    """Return what a folder holds; `path` is the one that was asked for."""
    if is_unfinished(folder) and not (folder / META).exists():
        raise CheckpointError(
            f"the training at {path} was interrupted; go on with it first, by resume",
            mend_with=["resume"],
        )
    if not folder.is_dir():
        raise CheckpointError(
            f"no checkpoint at {path}; give the folder that `gru4rec train -o` wrote"
        )
    refuse_forked()
    try:
        _refuse_missing(folder, [META])
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        files = {CONFIG: "", CATALOG: "", **meta.pop("files")}
        _refuse_missing(folder, files)
        for name, fingerprint in files.items():
            if fingerprint != _fingerprint(folder / name):
                raise CheckpointError(
                    f"{folder / name} is not the file this checkpoint was saved with (damaged, or "
                    "of another checkpoint); train again, or copy it whole"
                )
        return Checkpoint(
            dict(json.loads((folder / CONFIG).read_text(encoding="utf-8"))),
            Meta.from_dict(meta),
            Catalog.from_frame(read_parquet(folder / CATALOG)),
            load_file(folder / WEIGHTS) if WEIGHTS in files else None,
            ItemIndex.load(folder / INDEX) if INDEX in files else None,
            read_parquet(folder / LEARNED) if LEARNED in files else None,
        )
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError,
        SafetensorError, pl.exceptions.PolarsError,
    ) as error:  # fmt: skip
        raise CheckpointError(
            f"cannot read the checkpoint {folder}: {error!r}; train again"
        ) from error


def parts_of(folder: Path) -> list[Path]:
    """Return the folders of the recommenders that make one, in their order."""
    parts = (folder / PARTS).iterdir() if (folder / PARTS).is_dir() else ()
    numbered = [part for part in parts if part.name.isdecimal()]
    return sorted(numbered, key=lambda part: int(part.name))


def _refuse_missing(folder: Path, names: Iterable[str]) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"the checkpoint {folder} lacks {', '.join(missing)}; train again, or copy it whole"
        )


def _write_json(content: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")


def _stamp(folder: Path) -> bytes | None:
    """Return what tells one checkpoint at a path from another."""
    try:
        return (folder / META).read_bytes()
    except OSError:
        return None


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
