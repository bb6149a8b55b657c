"""A training between two windows, and the files that it lies in meanwhile."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, get_type_hints

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from gru4rec import atomic
from gru4rec.config import Config
from gru4rec.errors import CheckpointError, ConfigError
from gru4rec.layout import RESUME
from gru4rec.training.finish import Finish
from gru4rec.training.trainer import Position
from gru4rec.untrusted import brief, fits, read_json, shown

RUN_FILE, TENSORS_FILE = "run.json", "state.safetensors"
_LONGEST = 100_000_000  # characters of what a run has said of its epochs
_KEYS = {
    "config": Mapping[str, Any], "log": str, "position": Mapping[str, Any],
    "reasons": Mapping[str, str], "seconds": float, "run": str | None,
    "finish": Mapping[str, Any] | None, "processes": int | None,
    "tracked": Mapping[str, str] | None,
}  # fmt: skip
DAMAGE = (
    OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError,
    SafetensorError, ConfigError,
)  # fmt: skip
"""What reading and taking over a damaged state raises."""


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
    tracked: Mapping[str, str] = field(default_factory=dict)
    """What its trackers know it by."""

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
            "tracked": dict(self.tracked),
        }

    @classmethod
    def from_dict(cls, run: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Self:
        """Return the inverse of `to_dict`. Raise ValueError for what is none."""
        for key, kind in _KEYS.items():
            if not fits(run.get(key), kind):
                raise ValueError(f"{key} in {RUN_FILE} cannot be {shown(run.get(key))}")
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
            tracked=run.get("tracked") or {},
        )


def save_snapshot(snapshot: Snapshot, path: Path) -> None:
    """Write the state into the checkpoint folder `path`, in place of an older one, whole.

    Raise CheckpointError when the disk refuses. The older state is still there then.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with atomic.replaced(path / RESUME, error=CheckpointError) as new:
            tensors = {name: part.contiguous().cpu() for name, part in snapshot.tensors.items()}
            save_file(tensors, new / TENSORS_FILE)
            text = json.dumps(snapshot.to_dict(), indent=2)
            (new / RUN_FILE).write_text(text + "\n", encoding="utf-8")
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
        run = read_json(folder / RUN_FILE, most=_LONGEST)
        tensors = load_file(folder / TENSORS_FILE)
        for name, tensor in tensors.items():
            if name.startswith("learner.model.") and not tensor.isfinite().all():
                raise ValueError(f"{shown(name)} is no number")
        return Snapshot.from_dict(run, tensors)
    except DAMAGE as error:
        raise damaged(folder, error) from error


def _position_of(values: Mapping[str, Any]) -> Position:
    """Return a position. Raise ValueError for values of another type, and negative numbers."""
    types = get_type_hints(Position)
    wrong = [name for name in types if not fits(values.get(name), types[name])]
    if wrong or min(values[name] for name in ("epoch", "window", "clicks", "best_epoch")) < 0:
        raise ValueError(f"position in {RUN_FILE} cannot be {shown(values)}")
    return Position(**{name: values[name] for name in types})


def damaged(folder: Path, why: object) -> CheckpointError:
    """Return the error of a damaged state."""
    return CheckpointError(
        f"cannot read the state of training in {folder}: {brief(why)}; start afresh with force",
        mend_with=["force"],
    )
