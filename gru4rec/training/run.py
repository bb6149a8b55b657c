"""Train a model on a log: from settings that are open to weights that are learned."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gru4rec.config import AUTO, Config
from gru4rec.errors import ConfigError
from gru4rec.model import Model, Placement, has_fast_bf16
from gru4rec.serving import RepeatHead
from gru4rec.training.auto import Choice, LogStatistics, log_choices, resolve
from gru4rec.training.dealt_log import DealtLog, agreed
from gru4rec.training.finish import unfitted
from gru4rec.training.ranks import ONE, Ranks
from gru4rec.training.resume import Keeper, settings_of
from gru4rec.training.runs import NeighboursIn, Runs
from gru4rec.training.smoothing import smooth
from gru4rec.training.tracker import TrainingStart
from gru4rec.training.trainer import Hooks
from gru4rec.training.training_log import TrainingLog

logger = logging.getLogger(__name__)

_FITTED = "by the newest tenth of the sessions, held out in a first run"
_TOO_FEW = "too few sessions to hold some out"


@dataclass(frozen=True)
class Trained:
    """What came of a training."""

    config: Config
    """Its settings, all decided, what was fitted too."""
    model: Model
    log: TrainingLog
    """What it learned from; of several processes, the part of this one."""
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
    placement: Placement | None = None
    """What places items by their attributes, if the log has them."""


def decide(
    asked: Config, statistics: LogStatistics, device: torch.device
) -> tuple[Config, Sequence[Choice]]:
    """Return the config with its open settings decided, and the choices made; see `resolve`."""
    on_gpu = device.type == "cuda"
    return resolve(asked, statistics, fast_bf16=has_fast_bf16(device), on_gpu=on_gpu)


def train(
    log: TrainingLog,
    asked: Config,
    *,
    device: torch.device,
    hooks: Hooks,
    neighbours_in: NeighboursIn,
    keep: Path | None = None,
    resume: bool = False,
    ranks: Ranks = ONE,
) -> Trained:
    """Train a model on a log with the settings asked for; what they leave open, `auto` decides.

    With `encoder.repeats` a first run learns without the newest sessions, on which smoothing and
    the repeat head are fitted, and with `training.outcome` its calibration; the model that is kept
    learns from all. With `training.neighbours` models learn also what `neighbours_in` the log say;
    with `training.teachers` the one that is kept learns what the others say. `hooks` say what to do
    on the way; `validate` and `save` are added to them here. With held-out sessions the model is
    measured on them after each epoch, and the best epoch is kept. With `keep`, a checkpoint's
    folder, the state of training is kept in it, and with `resume` training goes on from the state
    that is there, to the same weights.

    With several `ranks` all call this with the same log and settings, and each keeps its part of
    the log, if the caller forgets it. All return the same; the first reports and saves.

    Raise LostRankError where another rank is gone, DivergenceError, StoppedError once a hook says
    so, CheckpointError or ConfigError if the state cannot be kept, or is of another log or other
    settings.
    """
    started = time.perf_counter()
    fingerprint = log.fingerprint() if keep is not None or ranks.size > 1 else ""
    keeper = Keeper(keep, fingerprint, ranks) if keep is not None else None
    snapshot = keeper.begin(resume=resume) if keeper else None
    _check_measured(asked, log)
    config, choices = decide(
        settings_of(snapshot, asked) if snapshot else asked, log.statistics, device
    )
    reasons = dict(snapshot.reasons if snapshot else {c.setting: c.reason for c in choices})
    if ranks.size > 1:
        config, reasons = agreed(asked, config, reasons, fingerprint, ranks)
    log_choices(log.statistics, choices)
    if ranks.size > 1:
        logger.info("%d processes share the training", ranks.size)
    runs = Runs(
        config=config,
        device=device,
        neighbours_in=neighbours_in,
        reasons=reasons,
        since=started - (snapshot.seconds if snapshot else 0.0),
        keep=keep,
        keeper=keeper,
        snapshot=snapshot,
    )
    start = TrainingStart(config, runs.reasons, log.statistics.counts(), str(device))
    hooks.on_begin(start, snapshot.tracked if snapshot else {})
    if keeper is not None:
        keeper.tracked = hooks.tracked
    finish = snapshot.finish if snapshot else None
    held_out, most = runs.held_out(log), log.affordable_targets()
    if ranks.size > 1:
        log = DealtLog.of(log, config, ranks)
        if held_out is not None:
            newest = held_out[1] if ranks.is_first else held_out[1].take(np.arange(0))
            held_out = DealtLog.of(held_out[0], config, ranks), newest
        if not ranks.is_first:
            hooks = replace(hooks, on_progress=lambda progress: None)
    if held_out is not None:
        finish = runs.fit_finish(*held_out, hooks, most_targets=most)
        del held_out
    if finish is None:
        finish = unfitted(config)
    taught = runs.taught(log, hooks, finish)
    trainer, history = runs.run(log, hooks, finish=finish, **taught)
    model = trainer.learner.model
    repeats = finish.head_of(model, log)
    smooth(model, log.sessions, finish.smoothing, ranks)
    if finish.outcome is not None:
        finish.outcome.fold_into(model, log)
    fitted = {
        f"training.{name}": getattr(finish, name)
        for name in ("smoothing", "neighbours")
        if getattr(config.training, name) is AUTO
    }
    return Trained(
        config=config.replace(fitted),
        model=model,
        log=log,
        reasons={
            **runs.reasons,
            **dict.fromkeys(fitted, _FITTED if finish.repeats else _TOO_FEW),
        },
        history=history,
        metrics={} if log.held_out is None else _kept_metrics(history, config.training.stop_on),
        seconds=time.perf_counter() - runs.since,
        repeats=repeats,
        optimizer=trainer.learner.optimizer_tensors(),
        placement=trainer.learner.placement,
    )


def _check_measured(asked: Config, log: TrainingLog) -> None:
    """Raise ConfigError if what is measured after each epoch is not what is learned."""
    if asked.learns_outcome_alone and log.held_out is not None:
        raise ConfigError(
            "training.outcome_weight 1 learns no next clicks, and these are what valid measures; "
            "leave it out",
            mend_with=["valid"],
        )


def _kept_metrics(history: list[dict[str, float]], stop_on: str) -> dict[str, float]:
    """Return the metrics of the epoch whose weights were kept: the first of the best."""
    kept = max(history, key=lambda row: row[f"{stop_on}@20"])
    return {"epoch": kept["epoch"], "recall@20": kept["recall@20"], "mrr@20": kept["mrr@20"]}
