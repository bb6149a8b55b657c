"""Learn a model from batches, epoch after epoch: schedule, early stopping, stops in between."""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gru4rec.config import Config
from gru4rec.errors import DivergenceError, StoppedError
from gru4rec.model import Model
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.clock import Clock
from gru4rec.training.engine import Engine, PackedEngine
from gru4rec.training.learner import Learner
from gru4rec.training.named_tensors import joined, part_of
from gru4rec.training.placing import Placing
from gru4rec.training.rank_batches import RankBatches
from gru4rec.training.rank_engine import RankEngine
from gru4rec.training.rank_learner import RankLearner
from gru4rec.training.ranks import ONE
from gru4rec.training.static.engine import StaticEngine
from gru4rec.training.static.rank_engine import StaticRankEngine
from gru4rec.training.tracker import TrainingStart

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How far a training is."""

    epoch: int
    """The epoch that runs, from 1."""
    epochs: float
    """Epochs asked for."""
    share: float
    """Share of the epoch that is done."""
    loss: float
    """Mean loss of the epoch so far."""
    clicks_per_second: float
    """(click, next click) pairs learned from per second in this epoch."""
    metrics: Mapping[str, float] | None = None
    """Validation metrics, at the end of an epoch."""
    run: str = ""
    """What is trained, if not the model that is kept."""
    updates: int = 0
    """Updates of this run so far."""


@dataclass
class Position:
    """Where a run stands between two windows."""

    epoch: int = 0
    """Epochs done."""
    window: int = 0
    """The window to learn from next; 0 at the start of an epoch."""
    clicks: int = 0
    """Pairs learned from in the epoch that runs."""
    seconds: float = 0.0
    """Time spent on them."""
    history: list[dict[str, float]] = field(default_factory=list)
    """A row of figures for each epoch done."""
    best: float = -1.0
    """The best validation measure."""
    best_epoch: int = 0
    """The epoch it was measured after, from 1."""


@dataclass(frozen=True)
class Hooks:
    """What a run calls on its way."""

    on_progress: Callable[[Progress], None] = lambda progress: None
    """Is told twice a second, and after each epoch."""
    on_begin: Callable[[TrainingStart, Mapping[str, str]], None] = lambda start, known_as: None
    """Is told once what is known before, and what `tracked` said where a training goes on."""
    tracked: Callable[[], Mapping[str, str]] = dict
    """Says what to keep for the trackers of a training that goes on later."""
    validate: Callable[[], Mapping[str, float]] | None = None
    """Measures the model after an epoch: "mrr@20" and "recall@20"."""
    save: Callable[[Position, Mapping[str, Tensor]], None] = lambda position, tensors: None
    """Keeps all that `Trainer.restore` needs; called after each epoch and now and then within."""
    save_seconds: float = math.inf
    """Time between saves within an epoch."""
    stopping: Callable[[], bool] = lambda: False
    """Whether the run should stop: asked after each window."""


class Trainer:
    """Runs the epochs of a config from wherever its position is; the model is trained in place.

    With `RankBatches` all ranks run together: they save, stop and diverge after the same windows.
    """

    def __init__(
        self,
        model: Model,
        batches: TrainingBatches,
        config: Config,
        device: torch.device,
        placing: Placing | None = None,
    ) -> None:
        self.batches = batches
        self.config = config.training
        self._ranks = ONE
        self.learner: Learner
        self.engine: Engine
        if isinstance(batches, RankBatches):
            self._ranks = batches.ranks
            self.learner = learner = RankLearner(
                model, config.training, device, self._ranks, placing
            )
            self.engine = _rank_engine_of(learner, batches, config)
        else:
            self.learner = Learner(model, config.training, device, placing)
            self.engine = _engine_of(self.learner, batches, config)
        self.position = Position()
        self._began = 0.0
        self._kept: dict[str, Tensor] = {}

    def run(self, hooks: Hooks | None = None) -> list[dict[str, float]]:
        """Train for the epochs of the config; return the history: a row of figures per epoch.

        With validation the epoch that is best by `stop_on` is kept, and training stops after
        `patience` epochs without a better. Raise StoppedError, after a save, once a hook says so,
        and DivergenceError. What was saved last is then still good.
        """
        try:
            return self._run(hooks or Hooks())
        finally:
            self.engine.end()

    def _run(self, hooks: Hooks) -> list[dict[str, float]]:
        at = self.position
        while at.epoch < math.ceil(self.config.epochs):
            if at.best_epoch and at.epoch - at.best_epoch >= self.config.patience:
                logger.info(
                    "stopped: no better %s than that of epoch %d", self._measure, at.best_epoch
                )
                break
            done = self._epoch(hooks)
            metrics = {} if hooks.validate is None else dict(hooks.validate())
            figures = {"loss": done.loss, "clicks_per_second": done.clicks_per_second}
            at.history.append({"epoch": done.epoch, **figures, **metrics})
            hooks.on_progress(dataclasses.replace(done, metrics=metrics))
            at.epoch, at.window, at.clicks, at.seconds = done.epoch, 0, 0, 0.0
            self._keep_if_best(metrics)
            hooks.save(at, self.tensors())
            if at.epoch < self.config.epochs and self._ranks.any(hooks.stopping()):
                raise StoppedError(f"stopped after epoch {at.epoch}")
        if self._kept:
            self.learner.load_weights(self._kept)
        return at.history

    @property
    def _measure(self) -> str:
        """The validation metric that says which epoch is best."""
        return f"{self.config.stop_on}@20"

    def _keep_if_best(self, metrics: Mapping[str, float]) -> None:
        """Keep the weights if no earlier epoch was as good; without metrics there is no best."""
        at = self.position
        if metrics and metrics[self._measure] > at.best:
            at.best, at.best_epoch = metrics[self._measure], at.epoch
            weights = self.learner.weights()
            self._kept = {name: weight.clone() for name, weight in weights.items()}

    def _epoch(self, hooks: Hooks) -> Progress:
        """Learn from every window once, or in a share of an epoch from the last of them."""
        self.learner.model.train()
        at, total = self.position, len(self.batches)
        first = self._first_window()
        if at.window == 0:
            at.window = first
            self.engine.begin()
        self._began = time.perf_counter() - at.seconds
        clock = Clock(hooks.stopping, hooks.save_seconds)

        def rate_factor(window: int) -> float:
            return self._rate_factor(at.epoch + (window - first) / total)

        windows = range(at.window, total)
        for clicks, due in self.engine.learn(at.epoch, windows, rate_factor, clock):
            at.window += 1
            at.clicks += clicks
            if due.report or at.window == total:
                hooks.on_progress(self._progress())
            if at.window < total and (due.stop or due.save):
                self._progress(check_weights=True)
                hooks.save(at, self.tensors())
                clock.saved()
                if due.stop:
                    raise StoppedError(f"stopped in epoch {at.epoch + 1}")
        return self._progress(check_weights=True)

    def _first_window(self) -> int:
        """Return the window that the epoch begins with: a later one for a share of an epoch."""
        total = len(self.batches)
        return total - max(1, round(total * min(1.0, self.config.epochs - self.position.epoch)))

    def _progress(self, *, check_weights: bool = False) -> Progress:
        """Return the figures of the epoch so far.

        Raise DivergenceError if the loss is no number, or with `check_weights` a weight.
        """
        at = self.position
        loss = self.engine.loss_sum.item() / at.clicks  # waits until all is learned
        at.seconds = time.perf_counter() - self._began
        if not math.isfinite(loss):
            raise self._divergence(f"whose mean loss is {loss}")
        if check_weights and not self.learner.is_finite():
            raise self._divergence("which leaves weights that are no numbers")
        return Progress(
            epoch=at.epoch + 1,
            epochs=self.config.epochs,
            share=(at.window - self._first_window()) / (len(self.batches) - self._first_window()),
            loss=loss,
            clicks_per_second=at.clicks / at.seconds,
            updates=at.epoch * len(self.batches) + at.window - self._first_window(),
        )

    def _divergence(self, how: str) -> DivergenceError:
        at, total = self.position, len(self.batches)
        return DivergenceError(
            f"training diverged by window {at.window} of {total} in epoch {at.epoch + 1}, "
            f"{how}; lower learning_rate, which is {self.config.learning_rate:g}",
            mend_with=["learning_rate"],
        )

    def _rate_factor(self, epochs_done: float) -> float:
        """Return the share of the rate that the schedule leaves."""
        config = self.config
        rise = min(1.0, epochs_done / config.warmup) if config.warmup > 0 else 1.0
        if config.schedule == "constant":
            return rise
        return rise * (1.0 - (1.0 - config.final_rate) * epochs_done / config.epochs)

    def tensors(self) -> dict[str, Tensor]:
        """Return all that the run has changed and goes on from, by name."""
        carried = self.engine.carried(self.position.window)
        parts: dict[str, Mapping[str, Tensor]] = {
            "learner": self.learner.tensors(),
            "kept": self._kept,
            "carried": {str(number): part for number, part in enumerate(carried)},
        }
        return {"loss_sum": self.engine.loss_sum, **joined(parts)}

    def restore(self, position: Position, tensors: Mapping[str, Tensor]) -> None:
        """Take over what a save hook was given, in this process or another.

        On a CPU with as many threads, what is learned from there on is the same to the bit.
        """
        self.position = position
        self.learner.restore(part_of("learner", tensors))
        device = self.learner.device
        self._kept = {name: part.to(device) for name, part in part_of("kept", tensors).items()}
        carried = part_of("carried", tensors)
        state = tuple(carried[str(number)].to(device) for number in range(len(carried)))
        self.engine.carry_on(position.window, state)
        self.engine.loss_sum.copy_(tensors["loss_sum"])


def _engine_of(learner: Learner, batches: TrainingBatches, config: Config) -> Engine:
    """Return what learns fastest on the learner's device."""
    if learner.device.type == "cuda" and StaticEngine.runs(learner, batches):
        return StaticEngine(learner, batches, config)
    return PackedEngine(learner, batches)


def _rank_engine_of(learner: RankLearner, batches: RankBatches, config: Config) -> Engine:
    """Return the same where several ranks learn together."""
    if learner.device.type == "cuda" and StaticEngine.runs(learner, batches):
        return StaticRankEngine(learner, batches, config)
    return RankEngine(learner, batches)
