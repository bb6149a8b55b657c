"""Keep what a backtest has done so far in a folder, from which it goes on.

kept/
├── backtest-first/    the model of the first step, a checkpoint
└── backtest-done/     replaced as a whole after each step:
    ├── backtest.json  the log, the settings and the last step
    ├── rows.parquet   the figures
    └── updated/       the updated model, a checkpoint
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec import atomic
from gru4rec.clicks import read_parquet, write_parquet
from gru4rec.errors import CheckpointError
from gru4rec.evaluation.step_figures import FIGURES
from gru4rec.evaluation.upkeep import Upkeep
from gru4rec.recommenders import GRU4Rec
from gru4rec.untrusted import brief, fits, read_json, shown

logger = logging.getLogger(__name__)

_FIRST, _DONE = "backtest-first", "backtest-done"
_STATE, _ROWS, _UPDATED = "backtest.json", "rows.parquet", "updated"
_KEYS = {"step": int, "models": Sequence[str], "asked": Mapping[str, Any]}
_LONGEST = 1_000_000  # characters of the settings
_DAMAGE = (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
_AT_ONCE = 100_000  # rows


@dataclass(frozen=True)
class Done:
    """A backtest between two steps."""

    step: int
    """The last one that is done."""
    rows: pl.DataFrame
    """The figures of all that are done."""
    first: GRU4Rec | None
    """What was trained at the first step, if it is needed later."""
    updated: GRU4Rec | None
    """What was updated at the last one, if it was."""


class KeptSteps:
    """Keeps one backtest in the folder `path`."""

    def __init__(self, path: str | Path, asked: Mapping[str, Any]) -> None:
        """Take what tells this backtest from another: its log, its settings, and the ways.

        Raise CheckpointError for a name that no folder can have.
        """
        self._path = atomic.place_of(path, CheckpointError)
        self._asked = json.loads(json.dumps(asked))
        self._has_first = False

    def begin(self, *, resume: bool, device: str) -> Done | None:
        """Return what was done, None to start afresh.

        Raise CheckpointError if something else is in the folder, if what is there is damaged, of
        another log or of other settings, and without `resume` if it is there at all.
        """
        _refuse_other_folder(self._path)
        folder = self._path / _DONE
        atomic.check_free(
            folder,
            force=True,
            kind="state of a backtest",
            marks={_STATE},
            files={_STATE, _ROWS, _UPDATED},
            error=CheckpointError,
        )
        if not folder.is_dir():
            if resume:
                logger.info("no interrupted backtest at %s: starting afresh", self._path)
            return None
        if not resume:
            raise CheckpointError(
                f"{self._path} holds a backtest that was interrupted; go on from it with resume, "
                "or start afresh with force",
                mend_with=["resume", "force"],
            )
        try:
            done = self._read(folder, device)
        except _DAMAGE as error:
            raise CheckpointError(
                f"cannot read the backtest in {self._path}: {brief(error)}; remove the folder, or "
                "start afresh with force",
                mend_with=["force"],
            ) from error
        logger.info("going on after step %d", done.step)
        return done

    def _read(self, folder: Path, device: str) -> Done:
        """Return what is in a folder. Raise CheckpointError, and what damage raises."""
        state = read_json(folder / _STATE, most=_LONGEST)
        for key, kind in _KEYS.items():
            if not fits(state.get(key), kind):
                raise ValueError(f"{key} in {_STATE} cannot be {shown(state.get(key))}")
        self._refuse_other(state["asked"])
        rows = read_parquet(folder / _ROWS)
        if rows.schema != FIGURES:
            raise ValueError(f"{_ROWS} has the columns {shown(rows.columns)}")
        first, updated = (
            GRU4Rec.load(place, device=device) if place.name in state["models"] else None
            for place in (self._path / _FIRST, folder / _UPDATED)
        )
        self._has_first = first is not None
        return Done(state["step"], rows, first, updated)

    def _refuse_other(self, kept: Mapping[str, Any]) -> None:
        """Raise CheckpointError if what is kept is not what is asked."""
        for name in dict.fromkeys([*self._asked, *kept]):
            old, new = kept.get(name), self._asked.get(name)
            if old != new:
                what = (
                    "is of another log" if name == "log"
                    else f"has {name} = {shown(old)}, asked is {shown(new)}"
                )  # fmt: skip
                raise CheckpointError(
                    f"the backtest interrupted at {self._path} {what}; give the same log and "
                    "settings, or remove the folder"
                )

    def save(self, step: int, rows: pl.DataFrame, upkeep: Upkeep) -> None:
        """Write the state after a step, in place of the one before, whole.

        Raise CheckpointError when the disk refuses; the state before is still there then.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            goes_on = not {"stale", "update"}.isdisjoint(self._asked["ways"])
            first = upkeep.first if goes_on else None
            if first is not None and not self._has_first:
                first.save(self._path / _FIRST, force=True)
                self._has_first = True
            with atomic.replaced(self._path / _DONE, error=CheckpointError) as new:
                if upkeep.updated is not None:
                    upkeep.updated.save(new / _UPDATED)
                write_parquet(rows, new / _ROWS)
                models = {_FIRST: first, _UPDATED: upkeep.updated}
                names = [name for name, model in models.items() if model is not None]
                state = {"step": step, "models": names, "asked": self._asked}
                (new / _STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        except (OSError, pl.exceptions.PolarsError) as error:
            raise CheckpointError(f"cannot keep the backtest in {self._path}: {error}") from error


def _refuse_other_folder(path: Path) -> None:
    """Raise CheckpointError if there is anything at `path` but an empty folder or a backtest's."""
    ours = {_FIRST, _DONE}
    ours |= {atomic.beside(Path(name), role).name for name in ours for role in ("new", "old")}
    if not path.exists():
        return
    names = {file.name for file in path.iterdir()} if path.is_dir() else {"a file"}
    if not names <= ours:
        raise CheckpointError(
            f"{path} is no folder of an interrupted backtest; choose another one for keep",
            mend_with=["keep"],
        )


def forget_steps(keep: str | Path) -> None:
    """Remove what `backtest` has kept in a folder, once its table is safe, and the folder.

    Raise CheckpointError if there is anything else in it.
    """
    path = atomic.place_of(keep, CheckpointError)
    _refuse_other_folder(path)
    shutil.rmtree(path, ignore_errors=True)


def fingerprint_of_log(log: pl.DataFrame) -> str:
    """Return what tells a log from any other."""
    digest = hashlib.sha256()
    for piece in log.iter_slices(_AT_ONCE):
        digest.update(piece.write_csv().encode())
    return digest.hexdigest()
