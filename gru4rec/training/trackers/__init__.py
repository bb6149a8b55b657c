"""The trackers that come with the package, by name."""

from collections.abc import Callable

from gru4rec.training.tracker import Tracker
from gru4rec.training.trackers.mlflow import MLflow
from gru4rec.training.trackers.tensorboard import TensorBoard
from gru4rec.training.trackers.wandb import WandB

TRACKERS: dict[str, Callable[..., Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
}
"""Each is called with where it writes, None for where it does by default, and `name=` of the
training or None."""
