"""Log a training to MLflow."""

import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from gru4rec.errors import import_extra
from gru4rec.training.tracker import (
    FINISHED,
    STOPPED,
    Tracker,
    TrainingEnd,
    TrainingStart,
    figures_of,
    values_of,
)

if TYPE_CHECKING:
    from gru4rec.training.trainer import Progress

_STATUS = {FINISHED: "FINISHED", STOPPED: "KILLED"}  # else FAILED
_DEFAULT = "0"  # the experiment that every store has


class MLflow(Tracker):
    """Logs a run to MLflow: settings are parameters, why `auto` decided them are tags.

    Names that MLflow does not take are spelled otherwise: `recall@20` is `recall_at_20`. Figures of
    other models than the one that is kept, such as teachers, have their names before a slash. The
    step of a figure is the number of updates.
    """

    name = "mlflow"

    def __init__(
        self,
        uri: str | None = None,
        *,
        experiment: str | None = None,
        name: str | None = None,
    ) -> None:
        """Take the address of a server, a database or a folder; MLflow's own choice if none.

        Without `experiment` the one of MLFLOW_EXPERIMENT_NAME is taken, or MLflow's default.
        Raise MissingExtraError if MLflow is not installed.
        """
        self._mlflow = import_extra("mlflow", extra="mlflow")
        if uri is not None and "://" not in uri and uri != "databricks":
            self.place = Path(uri)
        self._uri, self._experiment, self._name = uri, experiment, name

    def begin(self, start: TrainingStart, known_as: str | None) -> str:
        """See `Tracker.begin`."""
        self._client = self._mlflow.MlflowClient(tracking_uri=self._uri)
        if known_as is not None:
            self._run = known_as
            self._client.update_run(known_as, status="RUNNING")
            return known_as
        run = self._client.create_run(self._experiment_id(), run_name=self._name)
        self._run = str(run.info.run_id)
        counts = {f"log.{name}": count for name, count in start.counts.items()}
        reasons = {f"auto.{name}": why for name, why in start.reasons.items()}
        self._log_texts({**values_of(start.config), **counts}, {**reasons, "device": start.device})
        return self._run

    def _experiment_id(self) -> str:
        from_environment = import_extra("mlflow.environment_variables", extra="mlflow")
        name = self._experiment or from_environment.MLFLOW_EXPERIMENT_NAME.get()
        if not name:
            return _DEFAULT
        known = self._client.get_experiment_by_name(name)
        return str(known.experiment_id if known else self._client.create_experiment(name))

    def _log_texts(self, params: Mapping[str, object], tags: Mapping[str, object]) -> None:
        """Log parameters but those that are logged, which MLflow never changes, and tags."""
        entities = self._mlflow.entities
        logged = self._client.get_run(self._run).data.params
        self._client.log_batch(
            self._run,
            params=[
                entities.Param(name, str(value))
                for name, value in params.items()
                if name not in logged
            ],
            tags=[entities.RunTag(name, str(value)) for name, value in tags.items()],
        )

    def _log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        now = int(1000 * time.time())
        metric = self._mlflow.entities.Metric
        self._client.log_batch(
            self._run,
            metrics=[
                metric(name.replace("@", "_at_"), float(value), now, step)
                for name, value in metrics.items()
            ],
        )

    def progress(self, progress: "Progress") -> None:
        """See `Tracker.progress`."""
        run = f"{progress.run}/" if progress.run else ""
        figures = {f"{run}{name}": value for name, value in figures_of(progress).items()}
        self._log_metrics(figures, progress.updates)

    def epoch(self, progress: "Progress") -> None:
        """See `Tracker.epoch`."""
        self.progress(progress)

    def end(self, end: TrainingEnd) -> None:
        """See `Tracker.end`."""
        kept = {f"kept/{name}": value for name, value in end.metrics.items()}
        self._log_metrics({**kept, "seconds": end.seconds}, 0)
        settings = {} if end.config is None else values_of(end.config)
        self._log_texts(settings, {"error": end.error} if end.error else {})
        with redirect_stdout(sys.stderr):  # it prints the address of the run
            self._client.set_terminated(self._run, status=_STATUS.get(end.status, "FAILED"))
