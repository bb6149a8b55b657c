"""Write what TensorBoard shows of a training."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gru4rec.errors import import_extra
from gru4rec.training.tracker import (
    FAILED,
    FINISHED,
    Tracker,
    TrainingEnd,
    TrainingStart,
    figures_of,
    values_of,
)

if TYPE_CHECKING:
    from gru4rec.training.trainer import Progress

_FLUSH_SECONDS = 10


class TensorBoard(Tracker):
    """Writes event files for TensorBoard into a folder of its own in `folder`.

    The folder is called `name`, or `name-2`, … where there is one; without a name by the time. Runs
    of other models than the one that is kept, such as teachers, lie in folders in it. The step of a
    figure is the number of updates.
    """

    name = "tensorboard"

    def __init__(self, folder: str | Path | None = None, *, name: str | None = None) -> None:
        """Take the folder, `runs` if none is given, which is TensorBoard's `logdir`.

        Raise MissingExtraError if TensorBoard is not installed.
        """
        import_extra("tensorboard", extra="tensorboard")
        self._new_writer = import_extra(
            "torch.utils.tensorboard", extra="tensorboard"
        ).SummaryWriter
        self.place = Path("runs" if folder is None else folder).resolve()
        self._name = name
        self._writers: dict[str, Any] = {}

    def begin(self, start: TrainingStart, known_as: str | None) -> str:
        """See `Tracker.begin`."""
        self._goes_on = known_as is not None
        self._folder = self._new_folder() if known_as is None else Path(known_as)
        if not self._goes_on:
            writer = self._writer("")
            writer.add_text("settings", _settings_table(start), 0)
            writer.add_text("log", _counts_table(start), 0)
            writer.flush()
        return str(self._folder)

    def _new_folder(self) -> Path:
        name = self._name or datetime.now().strftime("%Y-%m-%d-%H-%M-%S")
        assert self.place is not None
        folder, number = self.place / name, 1
        while folder.exists():
            number += 1
            folder = self.place / f"{name}-{number}"
        return folder

    def _writer(self, run: str, step: int | None = None) -> Any:
        """Return what writes the figures of a run; what an interrupted one had from `step` goes."""
        if run not in self._writers:
            self._writers[run] = self._new_writer(
                str(self._folder / run.replace(" ", "-")),
                purge_step=step if self._goes_on else None,
                flush_secs=_FLUSH_SECONDS,
            )
        return self._writers[run]

    def progress(self, progress: "Progress") -> None:
        """See `Tracker.progress`."""
        writer = self._writer(progress.run, progress.updates)
        for name, value in figures_of(progress).items():
            writer.add_scalar(name, value, progress.updates)

    def epoch(self, progress: "Progress") -> None:
        """See `Tracker.epoch`."""
        self.progress(progress)
        self._writer(progress.run).flush()

    def end(self, end: TrainingEnd) -> None:
        """See `Tracker.end`."""
        writer = self._writer("")
        if end.status == FINISHED and end.config is not None:
            kept = {f"kept/{name}": value for name, value in end.metrics.items()}
            # In the folder itself, where TensorBoard would make one in it.
            writer.add_hparams(
                values_of(end.config), {**kept, "seconds": end.seconds}, run_name="."
            )
        elif end.status == FAILED:
            writer.add_text("error", end.error)
        for writer in self._writers.values():
            writer.close()


def _settings_table(start: TrainingStart) -> str:
    rows = (
        f"| {name} | {value} | {start.reasons.get(name, '')} |"
        for name, value in values_of(start.config).items()
    )
    return "\n".join(("| setting | value | why `auto` decided so |", "|---|---|---|", *rows))


def _counts_table(start: TrainingStart) -> str:
    rows = (f"| {name} | {count:,} |" for name, count in start.counts.items())
    return "\n".join(("| of the log | |", "|---|---|", *rows))
