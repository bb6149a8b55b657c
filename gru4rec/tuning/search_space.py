"""The settings that `tune` searches, and the values it tries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class Dimension:
    """The values of one setting that are tried: `choices`, or the numbers from `low` to `high`."""

    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    """Numbers in such steps; without it any, evenly in their logarithm."""
    where: tuple[str, Any] | None = None
    """A setting, and the value of it with which this one matters."""

    def nearest(self, value: Any) -> Any:
        """Return the value that is tried in place of `value`."""
        if self.choices:
            return value if value in self.choices else self.choices[0]
        value = min(self.high, max(self.low, value))
        return value if self.step is None else self._rounded(value)

    def draw(self, trial: "optuna.Trial", name: str) -> Any:
        """Return the value that a trial tries."""
        if self.choices:
            return trial.suggest_categorical(name, self.choices)
        if self.step is None:
            return trial.suggest_float(name, self.low, self.high, log=True)
        return self._rounded(trial.suggest_float(name, self.low, self.high, step=self.step))

    def _rounded(self, value: float) -> float:
        assert self.step is not None
        return round(self.low + self.step * round((value - self.low) / self.step), 6)


_BPR_MAX, _COSINE = ("training.loss", "bpr_max"), ("training.scoring", "cosine")
_LINEAR = ("training.schedule", "linear")

SPACE: Mapping[str, Dimension] = {
    "training.loss": Dimension(choices=("cross_entropy", "bpr_max")),
    "training.bpreg": Dimension(low=0.0, high=2.0, step=0.05, where=_BPR_MAX),
    "training.elu": Dimension(choices=(0.0, 0.5, 1.0), where=_BPR_MAX),
    "training.logq": Dimension(choices=(1.0, 0.5, 0.0), where=("training.loss", "cross_entropy")),
    "training.scoring": Dimension(choices=("cosine", "dot")),
    "training.scale": Dimension(low=8.0, high=24.0, step=1.0, where=_COSINE),
    "training.lanes": Dimension(choices=(32, 16, 64, 128, 256)),
    "training.steps": Dimension(choices=(16, 8, 4, 1)),
    "training.sample_alpha": Dimension(low=0.0, high=1.0, step=0.1),
    "training.learning_rate": Dimension(low=0.01, high=0.3),
    "training.momentum": Dimension(low=0.0, high=0.9, step=0.05),
    "training.schedule": Dimension(choices=("constant", "linear")),
    "training.final_rate": Dimension(low=0.1, high=0.9, step=0.1, where=_LINEAR),
    "training.embedding_dropout": Dimension(low=0.0, high=0.6, step=0.05),
    "training.hidden_dropout": Dimension(low=0.0, high=0.7, step=0.05),
}
"""The space that the GRU4Rec authors search, and what this package adds to it: scoring, windows and
schedule. Units, epochs and negatives are left to `auto`. A setting stands after the one it needs.
"""


def suggest(
    trial: "optuna.Trial", space: Mapping[str, Dimension], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a trial tries of a space: a value for each setting that matters there.

    `given` are the settings outside the space.
    """
    tried: dict[str, Any] = {}
    for name, dimension in space.items():
        if dimension.where is None or _matters(dimension.where, {**given, **tried}):
            tried[name] = dimension.draw(trial, name)
    return tried


def _matters(where: tuple[str, Any], settings: Mapping[str, Any]) -> bool:
    name, value = where
    return bool(settings.get(name) == value)
