"""How fast the trainer learns: the whole path, batches made in the background included."""

import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from logs import LOGS

import gru4rec as g4r
from gru4rec.model.device import has_fast_bf16
from gru4rec.model.network import Model
from gru4rec.training import auto
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.trainer import Hooks, Trainer
from gru4rec.training.training_log import TrainingLog


@dataclass(frozen=True)
class Speed:
    """Of one run."""

    clicks: float
    """(click, next click) pairs learned from per second."""
    updates: float
    """Updates per second."""
    candidates: float
    """Candidates of a window, on average."""


def read_log(name: str | None) -> TrainingLog:
    """A real log's training part, or a generated log of the size of yoochoose1_64."""
    if name is None:
        clicks = g4r.generate_clicks(sessions=90_000, items=17_000, categories=300)
        return TrainingLog.read(clicks, None)
    log = LOGS[name]
    return TrainingLog.read(g4r.read_clicks(log.path, where=log.train_where), None)


def decided(log: TrainingLog, settings: dict[str, object], device: str = "cpu") -> g4r.Config:
    """The settings given, and those of `auto` for the rest."""
    config = g4r.Config().replace(settings)
    fast_bf16 = has_fast_bf16(torch.device(device))
    return auto.resolve(config, log.statistics, fast_bf16=fast_bf16)[0]


def measure(log: TrainingLog, config: g4r.Config, *, seconds: float, device: str = "cpu") -> Speed:
    """Train from the start: half of `seconds` to warm up, then for `seconds`.

    The whole must lie within the first epoch.
    """
    model = Model(config, len(log.catalog))
    model.initialize(torch.Generator().manual_seed(config.seed))
    batches = TrainingBatches(log.sessions, log.catalog.support, config)
    trainer = Trainer(model, batches, config, torch.device(device))
    _train(trainer, seconds / 2)
    warm = replace(trainer.position)
    _train(trainer, seconds)
    at = trainer.position
    took = at.seconds - warm.seconds
    some = [len(batches.make(0, window).candidates) for window in range(0, at.window, 50)]
    return Speed(
        clicks=(at.clicks - warm.clicks) / took,
        updates=(at.window - warm.window) / took,
        candidates=sum(some) / len(some),
    )


def _train(trainer: Trainer, seconds: float) -> None:
    end = time.perf_counter() + seconds
    with suppress(g4r.StoppedError):
        trainer.run(Hooks(stopping=lambda: time.perf_counter() > end or trainer.position.epoch > 0))
    if trainer.position.epoch > 0:
        sys.exit("the log is too short to measure on; ask for fewer --seconds")
