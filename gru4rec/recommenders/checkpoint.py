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
from gru4rec.addresses import refuse_address
from gru4rec.clicks import read_parquet, refuse_forked, scan_parquet, write_parquet
from gru4rec.errors import CheckpointError, ConfigError, DataError
from gru4rec.layout import (
    CATALOG,
    CONFIG,
    INDEX,
    ITEMS,
    LEARNED,
    META,
    OPTIMIZER,
    PARTS,
    PLACEMENT,
    WEIGHTS,
    check_free,
    is_unfinished,
)
from gru4rec.recommenders.meta import Meta
from gru4rec.serving import ItemIndex
from gru4rec.sessions import Catalog
from gru4rec.untrusted import brief, fits, read_json, read_text, shown

_ATTEMPTS = 3
_LONGEST_META, _LONGEST_CONFIG = 32_000_000, 1_000_000  # characters
_MOST_ROWS, _ROWS_PER_BYTE = 1_000_000, 20  # ours have 6 at most: rules between items, compressed
_FILES, _FINGERPRINT = "files", "fingerprint"  # keys of meta.json

# What readers of foreign bytes raise; PanicException is how Polars meets a damaged Parquet file.
_DAMAGE = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError,
    MemoryError, SafetensorError, pl.exceptions.PolarsError, pl.exceptions.PanicException,
    ConfigError, DataError,
)  # fmt: skip

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
    part_folders: Sequence[Path] = ()
    """Of one that was read, the folders of its parts, in their order."""
    optimizer: Mapping[str, Tensor] | None = None
    """The state of the optimisers, if it is kept for updates."""
    placement: Mapping[str, Tensor] | None = None
    """What places items by their attributes, if the model knows any."""
    items: pl.DataFrame | None = None
    """What the table of items had of them besides vectors, for the rules of lists."""


def write_checkpoint(checkpoint: Checkpoint, path: str | Path, *, force: bool = False) -> None:
    """Write a folder beside `path` and swap it in by renames.

    A reader finds the older checkpoint or this one, never a mix. What a crash on the way leaves is
    mended by the next write; until then a read finds the older one. Raise CheckpointError as
    `check_free` does, or when the disk refuses.
    """
    path = atomic.place_of(path, CheckpointError)
    check_free(path, force=force)
    refuse_forked()
    try:
        with atomic.replaced(path, error=CheckpointError) as new:
            _write_json(dict(checkpoint.config), new / CONFIG)
            write_parquet(checkpoint.catalog.to_frame(), new / CATALOG)
            _write_tensors(checkpoint.weights, new / WEIGHTS)
            _write_tensors(checkpoint.optimizer, new / OPTIMIZER)
            _write_tensors(checkpoint.placement, new / PLACEMENT)
            if checkpoint.items is not None:
                write_parquet(checkpoint.items, new / ITEMS)
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
            _write_json(_signed({**checkpoint.meta.to_dict(), _FILES: files}), new / META)
    except (OSError, SafetensorError, RuntimeError, pl.exceptions.PolarsError) as error:
        raise CheckpointError(f"cannot write the checkpoint {path}: {error}") from error


def read_checkpoint(path: str | Path, make: Callable[[Checkpoint], T]) -> T:
    """Return what `make` makes of the contents of a folder.

    Nothing in it is executed or unpickled. Raise CheckpointError if it is missing or incomplete,
    if a file is not the one that was saved, or if `make` finds that it does not fit together.
    """
    refuse_address(path, CheckpointError)
    path = Path(path).resolve()
    failure = CheckpointError(f"{path} was replaced again and again while it was read; try later")
    for _ in range(_ATTEMPTS):
        folder = path if path.is_dir() else atomic.beside(path, "old")  # just then being replaced
        began = _stamp(folder)
        try:
            made = make(_read(folder, path))
        except CheckpointError as error:
            failure = error
        except _DAMAGE as error:
            failure = CheckpointError(
                f"cannot read the checkpoint {folder}: {brief(error)}; train again"
            )
            failure.__cause__ = error
        else:
            if _stamp(folder) == began:  # else some of it was read before a swap, some after
                return made
            continue
        if began is not None and _stamp(folder) == began:  # no swap explains the failure
            break
    raise failure


def fingerprint_of(path: str | Path) -> str | None:
    """Return what tells the checkpoint at `path` from any other; None if none can be read there."""
    path = Path(path).resolve()
    folder = path if path.is_dir() else atomic.beside(path, "old")  # just then being replaced
    stamp = _stamp(folder)
    return None if stamp is None else hashlib.sha256(stamp.encode()).hexdigest()


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
    _refuse_missing(folder, [META])
    meta, files = _read_meta(folder / META)
    _refuse_missing(folder, files)
    for name, fingerprint in files.items():
        if fingerprint != _fingerprint(folder / name):
            raise _changed(folder / name)
    return Checkpoint(
        read_json(folder / CONFIG, most=_LONGEST_CONFIG),
        meta,
        Catalog.from_frame(_read_table(folder / CATALOG)),
        load_file(folder / WEIGHTS) if WEIGHTS in files else None,
        ItemIndex.load(folder / INDEX) if INDEX in files else None,
        _read_table(folder / LEARNED) if LEARNED in files else None,
        part_folders=[(folder / name).parent for name in _parts(len(files)) if name in files],
        optimizer=load_file(folder / OPTIMIZER) if OPTIMIZER in files else None,
        placement=load_file(folder / PLACEMENT) if PLACEMENT in files else None,
        items=_read_table(folder / ITEMS) if ITEMS in files else None,
    )


def _read_meta(path: Path) -> tuple[Meta, dict[str, str]]:
    """Return what `meta.json` says, and the fingerprint of each file by its name.

    Raise CheckpointError if it is not what was saved; an older one without a fingerprint of its
    own is taken as it is.
    """
    content = read_json(path, most=_LONGEST_META)
    if _FINGERPRINT in content and content[_FINGERPRINT] != _signed(content)[_FINGERPRINT]:
        raise _changed(path)
    files: dict[str, str] = content.get(_FILES, {})
    if not files or not fits(files, Mapping[str, str]):
        raise CheckpointError(f"{path} lists no files, got {shown(files)}; train again")
    below = {name for name in files if Path(name).name != name}
    if below != {*_parts(len(below))}:
        raise CheckpointError(f"{path} lists files elsewhere, {shown(sorted(below))}; train again")
    return Meta.from_dict(content), {CONFIG: "", CATALOG: "", **files}


def _parts(count: int) -> list[str]:
    """Return the names by which a checkpoint lists so many parts among its files."""
    return [f"{PARTS}/{number}/{META}" for number in range(count)]


def _read_table(path: Path) -> pl.DataFrame:
    """Return a table. Raise ValueError if it has many more rows than a file of its size holds."""
    rows = scan_parquet(path).select(pl.len()).collect().item()
    if rows > _MOST_ROWS + _ROWS_PER_BYTE * path.stat().st_size:
        raise ValueError(f"{path.name} has {rows:,} rows, in a file too small for them")
    return read_parquet(path)


def _refuse_missing(folder: Path, names: Iterable[str]) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise CheckpointError(
            f"the checkpoint {folder} lacks {brief(', '.join(missing))}; train again, or copy it "
            "whole"
        )


def _changed(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is not the file this checkpoint was saved with (damaged, or of another "
        "checkpoint); train again, or copy it whole"
    )


def _signed(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contents of `meta.json` with their fingerprint, that of their canonical JSON."""
    content = {key: value for key, value in meta.items() if key != _FINGERPRINT}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return {**content, _FINGERPRINT: hashlib.sha256(canonical.encode()).hexdigest()}


def _write_tensors(tensors: Mapping[str, Tensor] | None, path: Path) -> None:
    if tensors is not None:
        save_file({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}, path)
        shutil.copymode(path.with_name(CONFIG), path)  # safetensors lets only the owner read


def _write_json(content: Mapping[str, Any], path: Path) -> None:
    path.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")


def _stamp(folder: Path) -> str | None:
    """Return what tells one checkpoint at a path from another."""
    try:
        return read_text(folder / META, most=_LONGEST_META)
    except (OSError, ValueError):
        return None


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
