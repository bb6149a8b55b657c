"""Prune a model little by little, and let it learn between.

After step t of n the share s · (1 − (1 − t/n)³) of each matrix is 0 (Zhu, Gupta: To prune, or not
to prune, arXiv 1710.01878): most goes at first, where most can be spared.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray
from gru4rec.config import Config
from gru4rec.model import Model, is_pruned, kept_entries
from gru4rec.sessions import SessionArrays
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.trainer import Hooks, Progress, Trainer
from gru4rec.training.updating import take_over

_STEPS = 3  # with one, or four of half an epoch, no more is found (LOG, 2026-11-28)
_SEEDS = 1_000_003  # between the seeds of two steps


def prune_gradually(
    model: Model,
    sessions: SessionArrays,
    support: IntArray,
    config: Config,
    *,
    sparsity: float,
    optimizer: Mapping[str, Tensor] | None,
    device: torch.device,
    hooks: Hooks,
) -> Model:
    """Return a copy of a model that has learned on with ever fewer weights in its encoder.

    It learns sessions of two clicks or more, once in each step, items too. `optimizer` is the state
    of its optimisers, if that was kept. Raise CheckpointError if it is of another model, and as
    `Trainer.run` does.
    """
    model = copy.deepcopy(model).to(device)
    for step in range(1, _STEPS + 1):
        share = sparsity * (1 - (1 - step / _STEPS) ** 3)
        settings = config.replace(
            {
                "training.epochs": 1.0,
                "training.schedule": "constant",
                "training.warmup": 0.0,
                "seed": (config.seed + _SEEDS * step) % 2**63,
            }
        )
        trainer = Trainer(model, TrainingBatches(sessions, support, settings), settings, device)
        if optimizer is not None:
            take_over(optimizer, trainer, len(model.output_table))
        with _pruned(trainer, share):
            trainer.run(_saying(f"{share:.0%} pruned", hooks))
        optimizer = trainer.learner.optimizer_tensors()
    return model


@contextmanager
def _pruned(trainer: Trainer, sparsity: float) -> Iterator[None]:
    """Prune the model of a trainer in place; while this lasts, what is 0 stays so.

    An entry has no gradient and the optimisers remember nothing of it, so they do not move it.
    """
    remembered, handles = trainer.learner.dense.tensors(), []
    model = trainer.learner.model
    names = {weight: name for name, weight in model.named_parameters()}
    for number, weight in enumerate(model.learned_densely()):
        if not is_pruned(names[weight], weight):
            continue
        kept = kept_entries(weight, sparsity).to(weight.dtype)
        weight.data.mul_(kept)
        handles.append(weight.register_hook(kept.mul))  # type: ignore[no-untyped-call]
        for name, state in remembered.items():
            if name.startswith(f"{number}.") and state.dim():  # a count of steps has none
                state.mul_(kept)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _saying(run: str, hooks: Hooks) -> Hooks:
    """Return hooks whose progress says what is run."""

    def report(progress: Progress) -> None:
        hooks.on_progress(dataclasses.replace(progress, run=run))

    return dataclasses.replace(hooks, on_progress=report)
