"""Name the files of a checkpoint, and tell a finished one from one whose training goes on.

    model/
    ├── config.json           the settings
    ├── meta.json             the kind of recommender, versions, counts, digests of the files
    ├── catalog.parquet       the items, by item index
    ├── weights.safetensors   what a neural model has learned
    ├── optimizer.safetensors the state of its optimisers, from which an update goes on
    ├── placement.safetensors where the attributes of an item place it
    ├── items.parquet        what a table told of the items
    ├── index.faiss           the index of its item vectors
    ├── learned.parquet       what a baseline has learned
    ├── parts/                the recommenders that one is made of, a checkpoint each
    └── resume/               the state of a training that runs or was interrupted

A recommender writes those that it has. A checkpoint is finished if it has `meta.json` and no state
of a training. A training that is interrupted before its end leaves the state alone, or beside the
older checkpoint that it was to replace.
"""

from pathlib import Path

from gru4rec import atomic
from gru4rec.errors import CheckpointError

CONFIG = "config.json"
META = "meta.json"
CATALOG = "catalog.parquet"
WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
PLACEMENT = "placement.safetensors"
ITEMS = "items.parquet"
INDEX = "index.faiss"
LEARNED = "learned.parquet"
PARTS = "parts"
_NAMES = {CONFIG, META, CATALOG, WEIGHTS, OPTIMIZER, PLACEMENT, ITEMS, INDEX, LEARNED, PARTS}

RESUME = "resume"
UNFINISHED = {RESUME, *(atomic.beside(Path(RESUME), role).name for role in ("new", "old"))}
"""Folders that say a training goes on: its state, and what the state is while it is replaced."""


def check_free(path: Path, *, force: bool) -> None:
    """Raise CheckpointError unless a checkpoint may be written to `path`.

    With `force` an older checkpoint may stand there, an interrupted training or an empty folder,
    and nothing else. What a crash left beside the path is put back first.
    """
    path = atomic.place_of(path, CheckpointError)
    if not force and is_unfinished(path):
        raise CheckpointError(
            f"{path} holds a training that was interrupted; go on from it with resume, or start "
            "afresh with force",
            mend_with=["resume", "force"],
        )
    atomic.check_free(
        path,
        force=force,
        kind="checkpoint",
        marks={META} | UNFINISHED,
        files=_NAMES | UNFINISHED,
        error=CheckpointError,
    )


def is_finished(path: Path) -> bool:
    """Whether a checkpoint stands at `path`, and no training on top of it goes on."""
    return (path / META).is_file() and not is_unfinished(path)


def is_unfinished(path: Path) -> bool:
    """Whether a folder holds the state of a training that has not come to its end."""
    return any((path / name).is_dir() for name in UNFINISHED)
