"""Log a training to Weights & Biases."""

from typing import TYPE_CHECKING

from gru4rec.errors import ConfigError, import_extra
from gru4rec.training.tracker import (
    FINISHED,
    Tracker,
    TrainingEnd,
    TrainingStart,
    figures_of,
    values_of,
)
from gru4rec.untrusted import brief

if TYPE_CHECKING:
    from gru4rec.training.trainer import Progress


class WandB(Tracker):
    """Logs a run to Weights & Biases, in the mode and as the user that its own settings say.

    The x-axis of a figure is `epoch`, with a fraction. Figures of other models than the one that is
    kept, such as teachers, have their names before a slash.
    """

    name = "wandb"

    def __init__(self, project: str | None = None, *, name: str | None = None) -> None:
        """Take a project, `entity/project` or the one of W&B's own settings.

        Raise MissingExtraError if W&B is not installed, ConfigError if nobody is logged in.
        """
        self._wandb = import_extra("wandb", extra="wandb")
        if self._wandb.setup().settings.mode == "online":
            try:
                self._wandb.login(verify=False)  # which asks on a terminal
            except self._wandb.Error as error:
                raise ConfigError(
                    f"wandb: {brief(error)}; run `wandb login`, or set WANDB_MODE=offline"
                ) from error
        entity, _, self._project = (project or "").rpartition("/")
        self._entity, self._name = entity or None, name
        self._defined: set[str] = set()

    def begin(self, start: TrainingStart, known_as: str | None) -> str:
        """See `Tracker.begin`."""
        self._run = self._wandb.init(
            entity=self._entity,
            project=self._project or None,
            name=self._name,
            id=known_as,
            resume=None if known_as is None else "allow",
            reinit="create_new",  # beside a run that the program may have
            config={
                **values_of(start.config),
                "log": dict(start.counts),
                "auto": dict(start.reasons),
                "device": start.device,
            },
            allow_val_change=True,
        )
        return str(self._run.id)

    def progress(self, progress: "Progress") -> None:
        """See `Tracker.progress`."""
        run = f"{progress.run}/" if progress.run else ""
        figures = {f"{run}{name}": value for name, value in figures_of(progress).items()}
        for name in figures.keys() - self._defined:
            self._run.define_metric(name, step_metric=f"{run}epoch")
        self._defined |= figures.keys()
        self._run.log(figures)

    def epoch(self, progress: "Progress") -> None:
        """See `Tracker.epoch`."""
        self.progress(progress)

    def end(self, end: TrainingEnd) -> None:
        """See `Tracker.end`."""
        kept = {f"kept/{name}": value for name, value in end.metrics.items()}
        said = {"status": end.status, "error": end.error} if end.error else {"status": end.status}
        self._run.summary.update({**kept, **said, "seconds": end.seconds})
        if end.config is not None:
            self._run.config.update(values_of(end.config), allow_val_change=True)
        self._run.finish(exit_code=0 if end.status == FINISHED else 1)
