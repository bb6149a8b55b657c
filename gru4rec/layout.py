"""The names in a checkpoint's folder, and what is finished in it and what is not."""

from pathlib import Path

from gru4rec import atomic
from gru4rec.errors import CheckpointError

CONFIG, META, CATALOG = "config.json", "meta.json", "catalog.parquet"
WEIGHTS, INDEX, LEARNED, PARTS = (
    "weights.safetensors", "index.faiss", "learned.parquet", "parts",
)  # fmt: skip
_NAMES = {CONFIG, META, CATALOG, WEIGHTS, INDEX, LEARNED, PARTS}

RESUME = "resume"
"""The folder inside that holds the state of a training that runs or was interrupted."""
UNFINISHED = {RESUME, *(atomic.beside(Path(RESUME), role).name for role in ("new", "old"))}


def check_free(path: Path, *, force: bool) -> None:
    """Raise CheckpointError unless a checkpoint may be written to `path`.

    With `force` an older checkpoint may stand there, an interrupted training or an empty folder,
    and nothing else. What a crash left beside the path is put back first.
    """
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
    """Whether a checkpoint stands at `path`, with no training on top of it that goes on."""
    return (path / META).is_file() and not is_unfinished(path)


def is_unfinished(path: Path) -> bool:
    """Whether a folder holds the state of a training that has not come to its end."""
    return any((path / name).is_dir() for name in UNFINISHED)
