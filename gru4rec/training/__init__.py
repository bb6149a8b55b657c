"""Windows and candidates become updates; settings, stops and resumption of a run."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.training.joining import join_ranks
    from gru4rec.training.losses import LOSSES
    from gru4rec.training.model_scores import queries_after, scores_after, scores_by
    from gru4rec.training.presets import preset
    from gru4rec.training.pruning import prune_gradually
    from gru4rec.training.ranks import ONE, Ranks
    from gru4rec.training.run import Trained, decide, train
    from gru4rec.training.snapshot import load_snapshot
    from gru4rec.training.teaching import SoftTargets
    from gru4rec.training.tracker import Tracker, TrainingEnd, TrainingStart
    from gru4rec.training.trackers import TRACKERS
    from gru4rec.training.trackers.mlflow import MLflow
    from gru4rec.training.trackers.tensorboard import TensorBoard
    from gru4rec.training.trackers.wandb import WandB
    from gru4rec.training.tracking import Trackers, Tracking
    from gru4rec.training.trainer import Hooks, Progress
    from gru4rec.training.training_log import TrainingLog, parts_of_log
    from gru4rec.training.update_log import UpdateLog
    from gru4rec.training.updating import Updated, optimizer_of_items, update

__all__ = [
    "LOSSES",
    "ONE",
    "TRACKERS",
    "Hooks",
    "MLflow",
    "Progress",
    "Ranks",
    "SoftTargets",
    "TensorBoard",
    "Tracker",
    "Trackers",
    "Tracking",
    "Trained",
    "TrainingEnd",
    "TrainingLog",
    "TrainingStart",
    "UpdateLog",
    "Updated",
    "WandB",
    "decide",
    "join_ranks",
    "load_snapshot",
    "optimizer_of_items",
    "parts_of_log",
    "preset",
    "prune_gradually",
    "queries_after",
    "scores_after",
    "scores_by",
    "train",
    "update",
]

__getattr__, __dir__ = lazy_face(__name__)
