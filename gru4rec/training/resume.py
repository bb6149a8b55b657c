"""The state of a training that runs or was interrupted: a folder inside the checkpoint's."""

import dataclasses
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, get_type_hints

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gru4rec import atomic
from gru4rec.config import Config
from gru4rec.errors import CheckpointError, ConfigError
from gru4rec.layout import RESUME, UNFINISHED, check_free
from gru4rec.training.finish import Finish
from gru4rec.training.ranks import ONE, Ranks
from gru4rec.training.trainer import Position, Trainer
from gru4rec.untrusted import brief, fits, read_json, shown

logger = logging.getLogger(__name__)

_RUN, _TENSORS = "run.json", "state.safetensors"
_LONGEST = 100_000_000  # characters of what a run has said of its epochs
_KEYS = {
    "config": Mapping[str, Any], "log": str, "position": Mapping[str, Any],
    "reasons": Mapping[str, str], "seconds": float, "run": str | None,
    "finish": Mapping[str, Any] | None, "processes": int | None,
}  # fmt: skip
_DAMAGE = (
    OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError,
    SafetensorError, ConfigError,
)  # fmt: skip

MAY_CHANGE = ("training.learning_rate", "training.epochs", "training.patience")
"""Settings that a training may go on with other values of."""


@dataclass(frozen=True)
class Snapshot:
    """A training between two windows."""

    config: Config
    """Its settings, all decided."""
    log: str
    """The fingerprint of what it learns from and is measured on."""
    position: Position
    tensors: Mapping[str, Tensor]
    """What `Trainer.restore` takes."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why `auto` decided a setting as it did, by its name."""
    seconds: float = 0.0
    """Time that training has taken so far."""
    run: str = ""
    """Which run of the training it is in; see `Progress.run`."""
    finish: Finish | None = None
    """What the model will be finished with, once that is fitted."""
    processes: int = 1
    """How many train together."""

    def to_dict(self) -> dict[str, Any]:
        """Return all but the tensors as plain values, by the names of the fields."""
        return {
            "config": self.config.to_dict(),
            "log": self.log,
            "position": dataclasses.asdict(self.position),
            "reasons": dict(self.reasons),
            "seconds": self.seconds,
            "run": self.run,
            "finish": None if self.finish is None else self.finish.to_dict(),
            "processes": self.processes,
        }

    @classmethod
    def from_dict(cls, run: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Return the inverse of `to_dict`. Raise ValueError for what is none."""
        for key, kind in _KEYS.items():
            if not fits(run.get(key), kind):
                raise ValueError(f"{key} in {_RUN} cannot be {shown(run.get(key))}")
        config = Config.from_dict(run["config"])
        finish = run.get("finish")
        if "run" not in run:  # it is of a version that finished no model, and asked no neighbours
            left_out = {"encoder.repeats": False, "training.smoothing": 0.0}
            config = config.replace({**left_out, "training.neighbours": 0})
        return cls(
            config=config,
            log=run["log"],
            position=_position_of(run["position"]),
            tensors=tensors,
            reasons=run["reasons"],
            seconds=run["seconds"],
            run=run.get("run") or "",
            finish=None if finish is None else Finish.from_dict(finish),
            processes=run.get("processes") or 1,
        )


def save_snapshot(snapshot: Snapshot, path: Path) -> None:
    """Write the state into the checkpoint folder `path`, in place of an older one, whole.

    Raise CheckpointError when the disk refuses. The older state is still there then.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with atomic.replaced(path / RESUME, error=CheckpointError) as new:
            tensors = {name: part.contiguous().cpu() for name, part in snapshot.tensors.items()}
            save_file(tensors, new / _TENSORS)
            text = json.dumps(snapshot.to_dict(), indent=2)
            (new / _RUN).write_text(text + "\n", encoding="utf-8")
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(f"cannot keep the state of training in {path}: {error}") from error


def load_snapshot(path: Path) -> Snapshot | None:
    """Return the state that lies in the checkpoint folder `path`, None where there is none.

    Raise CheckpointError if it is damaged.
    """
    folder = path / RESUME
    atomic.mend(folder, error=CheckpointError)
    if not folder.is_dir():
        return None
    try:
        run = read_json(folder / _RUN, most=_LONGEST)
        tensors = load_file(folder / _TENSORS)
        for name, tensor in tensors.items():
            if name.startswith("learner.model.") and not tensor.isfinite().all():
                raise ValueError(f"{shown(name)} is no number")
        return Snapshot.from_dict(run, tensors)
    except _DAMAGE as error:
        raise _damaged(folder, error) from error


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
            raise _damaged(path / RESUME, f"{name} is not there, or of another shape")
    try:
        trainer.restore(snapshot.position, given)
    except _DAMAGE as error:
        raise _damaged(path / RESUME, error) from error


def _position_of(values: Mapping[str, Any]) -> Position:
    """Return a position. Raise ValueError for values of another type, and negative numbers."""
    types = get_type_hints(Position)
    wrong = [name for name in types if not fits(values.get(name), types[name])]
    if wrong or min(values[name] for name in ("epoch", "window", "clicks", "best_epoch")) < 0:
        raise ValueError(f"position in {_RUN} cannot be {shown(values)}")
    return Position(**{name: values[name] for name in types})


def _damaged(folder: Path, why: object) -> CheckpointError:
    return CheckpointError(
        f"cannot read the state of training in {folder}: {brief(why)}; start afresh with force",
        mend_with=["force"],
    )


def clear(path: Path) -> None:
    """Remove the state that lies in the checkpoint folder `path`, and the folder if it is empty.

    Raise CheckpointError if what bears its name there is something else.
    """
    for folder in (path / name for name in UNFINISHED):
        if folder.exists():
            names = {file.name for file in folder.iterdir()} if folder.is_dir() else {"a file"}
            if not names <= {_RUN, _TENSORS}:
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


def sent_by_first(snapshot: Snapshot | None, ranks: Ranks) -> Snapshot | None:
    """Return the first rank's snapshot on all ranks: the others need not see its disk."""
    said = None
    if snapshot is not None:
        shapes = {
            name: (list(part.shape), str(part.dtype).removeprefix("torch."))
            for name, part in snapshot.tensors.items()
        }
        said = {"run": snapshot.to_dict(), "shapes": shapes}
    said = ranks.from_first(said)
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

    def begin(self, *, resume: bool) -> Snapshot | None:
        """Return the state to go on from, None to start afresh.

        Without `resume` remove what state there is.

        Raise CheckpointError if the state is damaged or of another log, or if the folder holds
        anything but a checkpoint.
        """
        if self._ranks.size == 1:
            return self._begin(resume=resume)
        return sent_by_first(
            self._begin(resume=resume) if self._ranks.is_first else None, self._ranks
        )

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
                f"the training interrupted at {self._path} learns from another log, is measured on "
                "another one, or is of a version that cut endless sessions otherwise; give the "
                "same logs, or start afresh with force",
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
                config, self._log, position, every, reasons, seconds, run, finish, self._ranks.size
            )
            save_snapshot(snapshot, self._path)

        return keep
