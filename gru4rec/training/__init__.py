"""Windows and candidates become updates; settings, stops and resumption of a run."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.training.auto import Choice, LogStatistics, log_choices, resolve
    from gru4rec.training.batch import TrainingBatches
    from gru4rec.training.losses import LOSSES
    from gru4rec.training.presets import preset
    from gru4rec.training.resume import Keeper, load_snapshot, settings_of
    from gru4rec.training.trainer import Hooks, Progress, Trainer
    from gru4rec.training.training_log import TrainingLog, parts_of_log

__all__ = [
    "LOSSES",
    "Choice",
    "Hooks",
    "Keeper",
    "LogStatistics",
    "Progress",
    "Trainer",
    "TrainingBatches",
    "TrainingLog",
    "load_snapshot",
    "log_choices",
    "parts_of_log",
    "preset",
    "resolve",
    "settings_of",
]

__getattr__, __dir__ = lazy_face(__name__)
