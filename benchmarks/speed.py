"""How fast the trainer learns: the whole path, batches made in the background included."""

import time
from contextlib import suppress
from dataclasses import dataclass

import torch
from logs import LOGS

import gru4rec as g4r
from gru4rec.model.network import Model
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.run import decide
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
    return decide(config, log.statistics, torch.device(device))[0]


def trainer_of(log: TrainingLog, config: g4r.Config, device: str = "cpu") -> Trainer:
    """A training from the start, of as many epochs as are asked for."""
    config = config.replace({"training.epochs": 1e6})
    model = Model(config, len(log.catalog))
    model.initialize(torch.Generator().manual_seed(config.seed))
    batches = TrainingBatches(log.sessions, log.catalog.support, config)
    return Trainer(model, batches, config, torch.device(device))


def measure(trainer: Trainer, *, seconds: float) -> Speed:
    """Train on: half of `seconds` to warm up, then for `seconds`, over some epochs if need be."""
    train(trainer, seconds / 2)
    windows, clicks = _done(trainer)
    began = time.perf_counter()
    train(trainer, seconds)
    took = time.perf_counter() - began
    windows_then, clicks_then = _done(trainer)
    batches = trainer.batches
    shown = range(0, len(batches), max(50, len(batches) // 20))
    some = [len(batches.make(0, window).candidates) for window in shown]
    return Speed(
        clicks=(clicks_then - clicks) / took,
        updates=(windows_then - windows) / took,
        candidates=sum(some) / len(some),
    )


def _done(trainer: Trainer) -> tuple[int, float]:
    """Windows and clicks learned from so far."""
    at, batches = trainer.position, trainer.batches
    pairs = len(batches) * batches.clicks_per_window
    return at.epoch * len(batches) + at.window, at.epoch * pairs + at.clicks


def train(trainer: Trainer, seconds: float) -> None:
    """Train on for a while; the device has done all of it then."""
    end = time.perf_counter() + seconds
    with suppress(g4r.StoppedError):
        trainer.run(Hooks(stopping=lambda: time.perf_counter() > end))
