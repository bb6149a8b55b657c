"""Run the trainings that one model takes: without the newest sessions, its teachers, its own."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from gru4rec.config import AUTO, Config
from gru4rec.model import Model, Placement
from gru4rec.sessions import SessionArrays
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.calibration import fit_calibration
from gru4rec.training.dealt_log import DealtLog
from gru4rec.training.finish import (
    Finish,
    fit_finish,
    neighbours_worth_asking,
    spread_of,
    unfitted,
)
from gru4rec.training.named_tensors import joined, part_of
from gru4rec.training.placing import Placing
from gru4rec.training.rank_batches import RankBatches
from gru4rec.training.resume import Keeper, restore
from gru4rec.training.smoothing import smoothed
from gru4rec.training.snapshot import Snapshot
from gru4rec.training.starting import start_from
from gru4rec.training.teaching import SessionNeighbours, SoftTargets
from gru4rec.training.trainer import Hooks, Progress, Trainer
from gru4rec.training.training_log import TrainingLog

logger = logging.getLogger(__name__)

NeighboursIn = Callable[[TrainingLog, int], SessionNeighbours]
"""Makes a teacher of the sessions of a log, which speaks after so many of its clicks."""

HELD_OUT_RUN = "repeats"
"""The name of the run without the newest sessions."""

_MOST_TARGETS = 10_000
_FEWEST_EPOCHS = 0.001  # that a config takes
_HELD_OUT_EPOCHS = 0.5  # as a share of the model's: all of them fit no better (LOG, 2026-11-27)
# But where outcomes are learned: a head is as sure of itself as it learned long (LOG, 2026-11-28).


@dataclass(frozen=True, kw_only=True)
class Runs:
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
        return [HELD_OUT_RUN, *(f"teacher {n + 1} of {count}" for n in range(count)), ""]

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
        model = Model(config, len(log.catalog), log.side_inputs, len(log.outcome))
        random = torch.Generator().manual_seed(config.seed)
        model.initialize(random)
        if log.initial is not None:
            start_from(model, log.initial)
        placing = None
        if log.attributes is not None and log.items is not None:
            placement = Placement.of(log.attributes, model)
            placement.initialize(len(log.items), random)
            placing = Placing(
                placement, log.items, config.training, self.device, in_parts=log.ranks.size > 1
            )
        teach: dict[str, Any] = {"neighbours": neighbours, "soft_targets": soft_targets}
        if isinstance(log, DealtLog):
            batches: TrainingBatches = RankBatches(log, config, **teach)
        else:
            batches = TrainingBatches(log.sessions, log.catalog.support, config, **teach)
        trainer = Trainer(model, batches, config, self.device, placing)
        held_out = None if name else log.cheap_to_measure()
        if held_out is not None and finish is not None:
            measure = partial(_measured, trainer, finish, log, held_out)
            hooks = replace(hooks, validate=measure)
        if self.snapshot is not None and self.keep is not None and self.snapshot.run == name:
            restore(trainer, self.snapshot, self.keep)
        if self.keeper is not None and log.ranks.is_first:
            save = self.keeper.saving(
                self.config,
                self.reasons,
                since=self.since,
                run=name,
                finish=finish,
                others=others,
            )
            hooks = replace(hooks, save=save)
        history = trainer.run(hooks)
        trainer.learner.fold()
        return trainer, history

    def held_out(self, log: TrainingLog) -> tuple[TrainingLog, SessionArrays] | None:
        """Return what the run without the newest sessions learns from, and these.

        None if there is no such run to come. Log that a log is too small to hold sessions out.
        """
        wanted = self.config.encoder.repeats or self.config.training.outcome
        if not wanted or self.is_done(HELD_OUT_RUN):
            return None
        older, newest = log.without_newest()
        if not (len(older.sessions) and len(newest)):
            logger.warning("too few sessions to hold some out: %s", self._missed)
            return None
        return older, newest

    @property
    def _missed(self) -> str:
        """What cannot be fitted without sessions held out."""
        if not self.config.training.outcome:
            return "repeats are left out"
        repeats = "repeats are left out, and " if self.config.encoder.repeats else ""
        return f"{repeats}the probabilities of outcomes are not calibrated"

    def fit_finish(
        self, older: TrainingLog, newest: SessionArrays, hooks: Hooks, *, most_targets: int
    ) -> Finish:
        """Return what a model is to be finished with, by a run without the newest sessions."""
        share = 1.0 if self.config.training.outcome else _HELD_OUT_EPOCHS
        epochs = max(_FEWEST_EPOCHS, self.config.training.epochs * share)
        trainer, _ = self.run(
            older,
            _named(hooks, HELD_OUT_RUN),
            name=HELD_OUT_RUN,
            settings={"training.epochs": float(int(epochs)) if epochs >= 1 else epochs},
        )
        model = trainer.learner.model
        finish = unfitted(self.config)
        if self.config.encoder.repeats:
            finish = self._fit_next_clicks(model, older, newest, min(_MOST_TARGETS, most_targets))
        if not self.config.training.outcome:
            return finish
        # Smoothing moves what is read of a shared table too, so the head is asked with it.
        with smoothed(model, older.sessions, finish.smoothing, older.ranks):
            return replace(finish, outcome=fit_calibration(model, older, newest))

    def _fit_next_clicks(
        self, model: Model, older: TrainingLog, newest: SessionArrays, most: int
    ) -> Finish:
        """Return what suits next clicks best, of a model that has learned from `older` alone."""
        neighbours = self.config.training.neighbours
        if neighbours is AUTO and self.config.training.rewards:
            neighbours = 0  # what they say next has not been done: it has no reward
        if neighbours is AUTO:

            def worth_asking() -> int:
                asked = self.neighbours_in(older.whole, 0)
                return neighbours_worth_asking(model, asked, newest, most_targets=most)

            neighbours = older.ranks.found_by_first(worth_asking)
        finish = fit_finish(
            model,
            older.sessions,
            newest,
            smoothing=self.config.training.smoothing,
            most_targets=most,
            ranks=older.ranks,
        )
        spread = spread_of(model, older) if self.config.training.teachers else 0.0
        return replace(finish, neighbours=neighbours, spread=spread)

    def taught(self, log: TrainingLog, hooks: Hooks, finish: Finish) -> dict[str, Any]:
        """Train the teachers that are not done, and return what the last run needs of them."""
        neighbours = None
        if finish.neighbours:
            neighbours = self.neighbours_in(log.whole, finish.neighbours)
        teachers: list[Model] = []
        weights: dict[str, Tensor] = {}
        for number, name in enumerate(self._names[1:-1], start=1):
            if self.snapshot is not None and self.is_done(name):
                model = Model(self.config, len(log.catalog), log.side_inputs, len(log.outcome))
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
        return {
            "soft_targets": SoftTargets.of(teachers, log.sessions, log.ranks),
            "others": weights,
        }


def _measured(
    trainer: Trainer, finish: Finish, log: TrainingLog, held_out: SessionArrays
) -> dict[str, float]:
    """Return the metrics of the model that learns, as if it were finished."""
    with trainer.learner.folded():
        return finish.measured(trainer.learner.model, log, held_out)


def _named(hooks: Hooks, name: str) -> Hooks:
    """Return hooks whose progress says which run of a training it is."""

    def tell(progress: Progress) -> None:
        hooks.on_progress(replace(progress, run=name))

    return replace(hooks, on_progress=tell)
