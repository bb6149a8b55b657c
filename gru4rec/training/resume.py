"""The state of a training that runs or was interrupted: a folder inside the checkpoint's."""

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from gru4rec.config import Config
from gru4rec.errors import CheckpointError, ConfigError
from gru4rec.layout import RESUME, UNFINISHED, check_free
from gru4rec.training.finish import Finish
from gru4rec.training.ranks import ONE, Ranks
from gru4rec.training.snapshot import (
    DAMAGE,
    RUN_FILE,
    TENSORS_FILE,
    Snapshot,
    damaged,
    load_snapshot,
    save_snapshot,
)
from gru4rec.training.trainer import Position, Trainer

logger = logging.getLogger(__name__)

MAY_CHANGE = ("training.learning_rate", "training.epochs", "training.patience")
"""Settings that a training may go on with other values of."""


def restore(trainer: Trainer, snapshot: Snapshot, path: Path) -> None:
    """Let a trainer go on from the state that was read in the checkpoint folder `path`.

    Raise CheckpointError if it is of another model.
    """
    given = snapshot.tensors
    for name, tensor in trainer.tensors().items():
        if name not in given or (given[name].shape, given[name].dtype) != (
            tensor.shape,
            tensor.dtype,
        ):
            raise damaged(path / RESUME, f"{name} is not there, or of another shape")
    try:
        trainer.restore(snapshot.position, given)
    except DAMAGE as error:
        raise damaged(path / RESUME, error) from error


def clear(path: Path) -> None:
    """Remove the state that lies in the checkpoint folder `path`, and the folder if it is empty.

    Raise CheckpointError if what bears its name there is something else.
    """
    for folder in (path / name for name in UNFINISHED):
        if folder.exists():
            names = {file.name for file in folder.iterdir()} if folder.is_dir() else {"a file"}
            if not names <= {RUN_FILE, TENSORS_FILE}:
                raise CheckpointError(f"{folder} is no state of a training; choose another folder")
            shutil.rmtree(folder, ignore_errors=True)
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()


def settings_of(snapshot: Snapshot, asked: Config) -> Config:
    """Return the settings a training goes on with: its own, but for what `asked` may change.

    Raise ConfigError if `asked` gives another value to any other setting.
    """
    own, given = snapshot.config.flat(), asked.flat()
    changes = {name: value for name, value in given.items() if own.get(name) != value}
    for name, value in changes.items():
        if name not in MAY_CHANGE:
            raise ConfigError(
                f"the interrupted training has {name} = {own.get(name)!r}, asked is {value!r}; "
                "leave it out, or start afresh with force",
                mend_with=["force"],
            )
    return snapshot.config.replace(changes)


def sent_by_first(find: Callable[[], Snapshot | None], ranks: Ranks) -> Snapshot | None:
    """Return the snapshot that the first rank finds: the others need not see its disk."""
    snapshot: Snapshot | None = None

    def said_of() -> dict[str, Any] | None:
        nonlocal snapshot
        snapshot = find()
        if snapshot is None:
            return None
        shapes = {
            name: (list(part.shape), str(part.dtype).removeprefix("torch."))
            for name, part in snapshot.tensors.items()
        }
        return {"run": snapshot.to_dict(), "shapes": shapes}

    said = ranks.found_by_first(said_of)
    if said is None:
        return None
    tensors = {
        name: torch.empty(shape, dtype=getattr(torch, dtype))
        for name, (shape, dtype) in said["shapes"].items()
    }
    for name in tensors:
        if snapshot is not None:
            tensors[name] = snapshot.tensors[name]
        ranks.sent_by_first(tensors[name])
    return Snapshot.from_dict(said["run"], tensors)


class Keeper:
    """Keeps one training's state in the folder `path` of a checkpoint; the first rank does."""

    def __init__(self, path: Path, log: str, ranks: Ranks = ONE) -> None:
        """`log` is the fingerprint of what is learned from."""
        self._path, self._log, self._ranks = path, log, ranks
        self.tracked: Callable[[], Mapping[str, str]] = dict

    def begin(self, *, resume: bool) -> Snapshot | None:
        """Return the state to go on from, None to start afresh.

        Without `resume` remove what state there is.

        Raise CheckpointError if the state is damaged or of another log, or if the folder holds
        anything but a checkpoint.
        """
        find = partial(self._begin, resume=resume)
        return find() if self._ranks.size == 1 else sent_by_first(find, self._ranks)

    def _begin(self, *, resume: bool) -> Snapshot | None:
        check_free(self._path, force=True)
        if not resume:
            clear(self._path)
            return None
        snapshot = load_snapshot(self._path)
        if snapshot is None:
            logger.info("no interrupted training at %s: starting from the beginning", self._path)
        elif snapshot.log != self._log:
            raise CheckpointError(
                f"the training interrupted at {self._path} learns from another log, starts from "
                "other vectors, is measured on another log, or is of a version that cut endless "
                "sessions otherwise; give the same, or start afresh with force",
                mend_with=["force"],
            )
        else:
            at = snapshot.position
            run = f" of {snapshot.run}" if snapshot.run else ""
            logger.info("going on in epoch %d, window %d%s", at.epoch + 1, at.window + 1, run)
            if snapshot.processes != self._ranks.size:
                logger.info(
                    "it was trained by %d processes, and goes on by %d",
                    snapshot.processes, self._ranks.size,
                )  # fmt: skip
        return snapshot

    def saving(
        self,
        config: Config,
        reasons: Mapping[str, str],
        *,
        since: float,
        run: str = "",
        finish: Finish | None = None,
        others: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> Callable[[Position, Mapping[str, Tensor]], None]:
        """Return the hook that saves; `since` is the moment at which training began.

        `others` are tensors that are kept besides those of the run.
        """

        def keep(position: Position, tensors: Mapping[str, Tensor]) -> None:
            seconds = time.perf_counter() - since
            every = {**tensors, **others}
            snapshot = Snapshot(
                config, self._log, position, every, reasons, seconds, run, finish,
                self._ranks.size, self.tracked(),
            )  # fmt: skip
            save_snapshot(snapshot, self._path)

        return keep
