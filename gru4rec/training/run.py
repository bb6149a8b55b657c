"""Train a model on a log: from settings that are open to weights that are learned."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gru4rec.config import Config
from gru4rec.model import Model, has_fast_bf16
from gru4rec.sessions import SessionArrays
from gru4rec.training.auto import Choice, LogStatistics, log_choices, resolve
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.resume import Keeper, restore, settings_of
from gru4rec.training.trainer import Hooks, Trainer
from gru4rec.training.training_log import TrainingLog

Measure = Callable[[Model, SessionArrays], Mapping[str, float]]
"""Measures a model on held-out sessions: "recall@20" and "mrr@20"."""


@dataclass(frozen=True)
class Trained:
    """What came of a training."""

    config: Config
    """Its settings, all decided."""
    model: Model
    reasons: Mapping[str, str]
    """Why `auto` decided a setting as it did, by its name."""
    history: list[dict[str, float]]
    """A row of figures for each epoch."""
    metrics: dict[str, float]
    """The epoch that was kept and its validation metrics; empty without validation."""
    seconds: float
    """Seconds of training, those before an interruption included."""


def decide(
    asked: Config, statistics: LogStatistics, device: torch.device
) -> tuple[Config, Sequence[Choice]]:
    """Return the config with every open setting decided, and the choices made."""
    return resolve(asked, statistics, fast_bf16=has_fast_bf16(device))


def train(
    log: TrainingLog,
    asked: Config,
    *,
    device: torch.device,
    measure: Measure,
    hooks: Hooks,
    keep: Path | None = None,
    resume: bool = False,
) -> Trained:
    """Train a model on a log with the settings asked for; what they leave open, `auto` decides.

    `hooks` say what to do on the way; `validate` and `save` are added to them here. With held-out
    sessions `measure` says after each epoch how good the model is, and the best epoch
    is kept. With `keep`, a checkpoint's folder, the state of training is kept in it, and with
    `resume` training goes on from the state that is there, to the same weights.

    Raise DivergenceError, StoppedError once a hook says so, CheckpointError or ConfigError if the
    state cannot be kept, or is of another log or other settings.
    """
    started, earlier = time.perf_counter(), 0.0
    keeper = Keeper(keep, log.fingerprint()) if keep is not None else None
    snapshot = keeper.begin(resume=resume) if keeper else None
    config, choices = decide(
        settings_of(snapshot, asked) if snapshot else asked, log.statistics, device
    )
    log_choices(log.statistics, choices)
    reasons: Mapping[str, str] = {choice.setting: choice.reason for choice in choices}

    model = Model(config, len(log.catalog), log.side_inputs)
    model.initialize(torch.Generator().manual_seed(config.seed))
    batches = TrainingBatches(log.sessions, log.catalog.support, config)
    trainer = Trainer(model, batches, config, device)
    held_out = log.cheap_to_measure()
    if held_out is not None:
        hooks = replace(hooks, validate=lambda: measure(model, held_out))
    if snapshot is not None and keep is not None:
        restore(trainer, snapshot, keep)
        earlier, reasons = snapshot.seconds, dict(snapshot.reasons)
    if keeper is not None:
        hooks = replace(hooks, save=keeper.saving(config, reasons, since=started - earlier))
    history = trainer.run(hooks)
    return Trained(
        config=config,
        model=model,
        reasons=reasons,
        history=history,
        metrics={} if held_out is None else _kept_metrics(history, config.training.stop_on),
        seconds=earlier + time.perf_counter() - started,
    )


def _kept_metrics(history: list[dict[str, float]], stop_on: str) -> dict[str, float]:
    """Return the metrics of the epoch whose weights were kept: the first of the best."""
    kept = max(history, key=lambda row: row[f"{stop_on}@20"])
    return {"epoch": kept["epoch"], "recall@20": kept["recall@20"], "mrr@20": kept["mrr@20"]}
