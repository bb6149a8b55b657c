"""Say what a tracker of trainings is told, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gru4rec.config import Config

if TYPE_CHECKING:
    from gru4rec.training.trainer import Progress

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"


@dataclass(frozen=True)
class TrainingStart:
    """What is known of a training before its first update."""

    config: Config
    """Its settings, decided but for what is fitted on the way."""
    reasons: Mapping[str, str]
    """Why `auto` decided a setting as it did, by its name."""
    counts: Mapping[str, int]
    """Clicks, sessions, items and pairs of the log."""
    device: str
    """Where it computes."""


@dataclass(frozen=True)
class TrainingEnd:
    """How a training came to its end."""

    status: str
    """`finished`, `stopped` or `failed`."""
    seconds: float
    """Seconds of training; of a finished one, those before an interruption included."""
    error: str = ""
    """What stopped it, or why it failed."""
    config: Config | None = None
    """The settings of a finished training, what was fitted too."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The epoch that was kept and its validation metrics; empty without validation."""


class Tracker:
    """Is told how a training goes: override what is of use, the rest does nothing.

    Every method is called in a thread of the tracker's own, one call after the other, so that no
    training waits for it. What one raises is logged once, and the tracker is left out from then on.
    """

    name = "tracker"
    """What log messages call it."""
    seconds = 2.0
    """The least time between two reports within an epoch."""
    place: Path | None = None
    """The folder it writes into, if it is one on this machine: never that of the checkpoint."""

    def begin(self, start: TrainingStart, known_as: str | None) -> str | None:
        """A training begins. Return what to know it by if it is interrupted and goes on later.

        `known_as` is what was returned at first, where one goes on; else None.
        """
        return None

    def progress(self, progress: "Progress") -> None:
        """Some of an epoch is done; `progress.run` says of which model, "" is the one kept."""

    def epoch(self, progress: "Progress") -> None:
        """An epoch is done; `progress.metrics` has what was measured, if anything was."""

    def end(self, end: TrainingEnd) -> None:
        """The training is at its end, a good one or another."""


def figures_of(progress: "Progress") -> dict[str, float]:
    """Return the figures of a report by name; `epoch` is how many are done, with a fraction."""
    size = min(1.0, progress.epochs - progress.epoch + 1)  # of an epoch, perhaps a share of one
    return {
        "epoch": progress.epoch - 1 + progress.share * size,
        "loss": progress.loss,
        "clicks_per_second": progress.clicks_per_second,
        **(progress.metrics or {}),
    }


def values_of(config: Config) -> dict[str, bool | int | float | str]:
    """Return the settings by dotted key, lists as texts."""
    return {
        name: value if isinstance(value, bool | int | float | str) else ", ".join(value)
        for name, value in config.flat().items()
    }
