"""Train a model on a log: from settings that are open to weights that are learned."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from gru4rec.config import AUTO, Config
from gru4rec.model import Model, has_fast_bf16
from gru4rec.serving import RepeatHead
from gru4rec.training.auto import Choice, LogStatistics, log_choices, resolve
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.finish import (
    HELD_OUT_SHARE,
    Finish,
    fit_finish,
    neighbours_worth_asking,
    spread_of,
)
from gru4rec.training.learner import joined, part_of
from gru4rec.training.resume import Keeper, Snapshot, restore, settings_of
from gru4rec.training.smoothing import smooth
from gru4rec.training.teaching import SessionNeighbours, SoftTargets
from gru4rec.training.trainer import Hooks, Progress, Trainer
from gru4rec.training.training_log import TrainingLog

logger = logging.getLogger(__name__)

NeighboursIn = Callable[[TrainingLog, int], SessionNeighbours]
"""Makes a teacher of the sessions of a log, which speaks after so many of its clicks."""

_HELD_OUT_RUN = "repeats"
_FITTED = "by the newest tenth of the sessions, held out in a first run"
_TOO_FEW = "too few sessions to hold some out"
_MOST_TARGETS = 10_000
_FEWEST_EPOCHS = 0.001  # that a config takes
_HELD_OUT_EPOCHS = 0.5  # as a share of the model's: all of them fit no better (LOG, 2026-11-27)


@dataclass(frozen=True)
class Trained:
    """What came of a training."""

    config: Config
    """Its settings, all decided, what was fitted too."""
    model: Model
    reasons: Mapping[str, str]
    """Why `auto` decided a setting as it did, by its name."""
    history: list[dict[str, float]]
    """A row of figures for each epoch."""
    metrics: dict[str, float]
    """The epoch that was kept and its validation metrics; empty without validation."""
    seconds: float
    """Seconds of training, those before an interruption included."""
    repeats: RepeatHead | None = None
    """The repeat head, where one was fitted."""
    optimizer: Mapping[str, Tensor] = field(default_factory=dict)
    """The state of the optimisers of the model, from which an update goes on."""


def decide(
    asked: Config, statistics: LogStatistics, device: torch.device
) -> tuple[Config, Sequence[Choice]]:
    """Return the config with its open settings decided, and the choices made; see `resolve`."""
    return resolve(asked, statistics, fast_bf16=has_fast_bf16(device))


def train(
    log: TrainingLog,
    asked: Config,
    *,
    device: torch.device,
    hooks: Hooks,
    neighbours_in: NeighboursIn,
    keep: Path | None = None,
    resume: bool = False,
) -> Trained:
    """Train a model on a log with the settings asked for; what they leave open, `auto` decides.

    With `encoder.repeats` a first run learns without the newest sessions, on which smoothing and
    the repeat head are fitted; the model that is kept learns from all. With `training.neighbours`
    models learn also what `neighbours_in` the log say; with `training.teachers` the one that is
    kept learns what the others say. `hooks` say what to do on the way; `validate` and `save` are
    added to them here. With held-out sessions the model is measured on them after each epoch, and
    the best epoch is kept. With `keep`, a checkpoint's folder, the state of training is kept in it,
    and with `resume` training goes on from the state that is there, to the same weights.

    Raise DivergenceError, StoppedError once a hook says so, CheckpointError or ConfigError if the
    state cannot be kept, or is of another log or other settings.
    """
    started = time.perf_counter()
    keeper = Keeper(keep, log.fingerprint()) if keep is not None else None
    snapshot = keeper.begin(resume=resume) if keeper else None
    config, choices = decide(
        settings_of(snapshot, asked) if snapshot else asked, log.statistics, device
    )
    log_choices(log.statistics, choices)
    training = _Training(
        config=config,
        device=device,
        neighbours_in=neighbours_in,
        reasons=dict(snapshot.reasons if snapshot else {c.setting: c.reason for c in choices}),
        since=started - (snapshot.seconds if snapshot else 0.0),
        keep=keep,
        keeper=keeper,
        snapshot=snapshot,
    )
    finish = snapshot.finish if snapshot else None
    if config.encoder.repeats and not training.is_done(_HELD_OUT_RUN):
        finish = training.fit_finish(log, hooks)
    if finish is None:
        finish = Finish(config.training.smoothing or 0.0, None, config.training.neighbours or 0)
    taught = training.taught(log, hooks, finish)
    trainer, history = training.run(log, hooks, finish=finish, **taught)
    model = trainer.learner.model
    repeats = finish.head_of(model, log)
    smooth(model, log.sessions, finish.smoothing)
    fitted = {
        f"training.{name}": getattr(finish, name)
        for name in ("smoothing", "neighbours")
        if getattr(config.training, name) is AUTO
    }
    return Trained(
        config=config.replace(fitted),
        model=model,
        reasons={
            **training.reasons,
            **dict.fromkeys(fitted, _FITTED if finish.repeats else _TOO_FEW),
        },
        history=history,
        metrics={} if log.held_out is None else _kept_metrics(history, config.training.stop_on),
        seconds=time.perf_counter() - training.since,
        repeats=repeats,
        optimizer=trainer.learner.optimizer_tensors(),
    )


@dataclass(frozen=True, kw_only=True)
class _Training:
    """What the runs of one training have in common."""

    config: Config
    device: torch.device
    neighbours_in: NeighboursIn
    reasons: Mapping[str, str]
    since: float
    """The moment at which it began, had it not been interrupted."""
    keep: Path | None
    keeper: Keeper | None
    snapshot: Snapshot | None
    """The state to go on from, of one of the runs."""

    @property
    def _names(self) -> list[str]:
        """The runs in their order; that of the model that is kept is the last."""
        count = self.config.training.teachers
        return [_HELD_OUT_RUN, *(f"teacher {n + 1} of {count}" for n in range(count)), ""]

    def is_done(self, name: str) -> bool:
        """Whether a run came to its end before the training was interrupted."""
        if self.snapshot is None or self.snapshot.run not in self._names:
            return False
        return self._names.index(name) < self._names.index(self.snapshot.run)

    def run(
        self,
        log: TrainingLog,
        hooks: Hooks,
        *,
        name: str = "",
        settings: Mapping[str, Any] = MappingProxyType({}),
        finish: Finish | None = None,
        neighbours: SessionNeighbours | None = None,
        soft_targets: SoftTargets | None = None,
        others: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> tuple[Trainer, list[dict[str, float]]]:
        """Return the trainer of a model that has learned from a log, and the figures of its epochs.

        The model that is kept is measured as if it were finished. `settings` are of this run alone;
        `others` are kept beside its state.
        """
        config = self.config.replace(settings)
        model = Model(config, len(log.catalog), log.side_inputs)
        model.initialize(torch.Generator().manual_seed(config.seed))
        batches = TrainingBatches(
            log.sessions,
            log.catalog.support,
            config,
            neighbours=neighbours,
            soft_targets=soft_targets,
        )
        trainer = Trainer(model, batches, config, self.device)
        held_out = None if name else log.cheap_to_measure()
        if held_out is not None and finish is not None:
            measure = partial(finish.measured, model, log, held_out)
            hooks = replace(hooks, validate=measure)
        if self.snapshot is not None and self.keep is not None and self.snapshot.run == name:
            restore(trainer, self.snapshot, self.keep)
        if self.keeper is not None:
            save = self.keeper.saving(
                self.config,
                self.reasons,
                since=self.since,
                run=name,
                finish=finish,
                others=others,
            )
            hooks = replace(hooks, save=save)
        return trainer, trainer.run(hooks)

    def fit_finish(self, log: TrainingLog, hooks: Hooks) -> Finish | None:
        """Return what a model is to be finished with, by a run without the newest sessions.

        Log that there is nothing where a log is too small to hold sessions out.
        """
        older, newest = log.without_newest(HELD_OUT_SHARE)
        if not (len(older.sessions) and len(newest)):
            logger.warning("too few sessions to hold some out: repeats are left out")
            return None
        epochs = max(_FEWEST_EPOCHS, self.config.training.epochs * _HELD_OUT_EPOCHS)
        trainer, _ = self.run(
            older,
            _named(hooks, _HELD_OUT_RUN),
            name=_HELD_OUT_RUN,
            settings={"training.epochs": float(int(epochs)) if epochs >= 1 else epochs},
        )
        model = trainer.learner.model
        most = min(_MOST_TARGETS, log.affordable_targets())
        neighbours = self.config.training.neighbours
        if neighbours is AUTO:
            asked = self.neighbours_in(older, 0)
            neighbours = neighbours_worth_asking(model, asked, newest, most_targets=most)
        finish = fit_finish(
            model,
            older.sessions,
            newest,
            smoothing=self.config.training.smoothing,
            most_targets=most,
        )
        spread = spread_of(model, older.sessions) if self.config.training.teachers else 0.0
        return replace(finish, neighbours=neighbours, spread=spread)

    def taught(self, log: TrainingLog, hooks: Hooks, finish: Finish) -> dict[str, Any]:
        """Train the teachers that are not done, and return what the last run needs of them."""
        neighbours = None
        if finish.neighbours:
            neighbours = self.neighbours_in(log, finish.neighbours)
        teachers: list[Model] = []
        weights: dict[str, Tensor] = {}
        for number, name in enumerate(self._names[1:-1], start=1):
            if self.snapshot is not None and self.is_done(name):
                model = Model(self.config, len(log.catalog), log.side_inputs)
                model.load(part_of(name, self.snapshot.tensors))
            else:
                trainer, _ = self.run(
                    log,
                    _named(hooks, name),
                    name=name,
                    settings={"seed": (self.config.seed + number) % 2**63},
                    finish=finish,
                    neighbours=neighbours,
                    others=dict(weights),
                )
                model = trainer.learner.model
            teachers.append(model.to(self.device))
            weights |= joined({name: model.state_dict()})
        if not teachers:
            return {"neighbours": neighbours}
        logger.info("asking %d teachers about every click", len(teachers))
        return {"soft_targets": SoftTargets.of(teachers, log.sessions), "others": weights}


def _named(hooks: Hooks, name: str) -> Hooks:
    """Return hooks whose progress says which run of a training it is."""

    def tell(progress: Progress) -> None:
        hooks.on_progress(replace(progress, run=name))

    return replace(hooks, on_progress=tell)


def _kept_metrics(history: list[dict[str, float]], stop_on: str) -> dict[str, float]:
    """Return the metrics of the epoch whose weights were kept: the first of the best."""
    kept = max(history, key=lambda row: row[f"{stop_on}@20"])
    return {"epoch": kept["epoch"], "recall@20": kept["recall@20"], "mrr@20": kept["mrr@20"]}
