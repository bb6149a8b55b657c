"""Learn from new clicks on top of a model that has learned before.

An update goes on from the weights and, where it was kept, from the state of the optimisers: without
that the first steps are as large as those of a training, and it forgets a little more. New items
begin where the items lie that they are clicked beside.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gru4rec.config import Config
from gru4rec.errors import CheckpointError, DataError
from gru4rec.model import Model, item_tables, unit
from gru4rec.serving import RepeatHead
from gru4rec.sessions import SessionArrays, SideInputs
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.finish import fit_finish
from gru4rec.training.smoothing import Neighbours
from gru4rec.training.trainer import Hooks, Trainer
from gru4rec.training.update_log import UpdateLog

logger = logging.getLogger(__name__)

_FEWEST, _MOST = 1000, 10_000  # targets that the repeat head is fitted on
_SQUARES = ("accumulated", "exp_avg_sq")  # sums and means of squares
_SEEDS = 1_000_003  # between the seeds of two updates


@dataclass(frozen=True)
class Updated:
    """What came of an update."""

    model: Model
    optimizer: Mapping[str, Tensor]
    """The state of the optimisers, from which the next update goes on."""
    repeats: RepeatHead | None
    history: list[dict[str, float]]
    """A row of figures for each epoch."""
    seconds: float


def update(
    model: Model,
    log: UpdateLog,
    config: Config,
    *,
    side_inputs: SideInputs,
    optimizer: Mapping[str, Tensor] | None,
    repeats: RepeatHead | None,
    epochs: float,
    number: int,
    device: torch.device,
    hooks: Hooks,
    placed: Mapping[str, Tensor] | None = None,
) -> Updated:
    """Return a model that has learned a log too; the one that is given stays as it is.

    `placed` are rows for all items by the name of the model's table, which new ones have at first
    unless they are clicked beside others; zeros where there is none. `number` is that of the
    update, from 1: each has draws of its own. The repeat head is fitted anew on the new sessions,
    before they are learned, if there are enough. A head of outcomes learns too where the new
    sessions have some, else it stays as it is. Raise CheckpointError if the optimisers' state is
    of another model, and as `Trainer.run` does.
    """
    began = time.perf_counter()
    if config.learns_outcome_alone and not log.tells_outcomes:
        raise DataError(
            f"the model learns {config.training.outcome!r} alone, the outcome of sessions, and the "
            "new clicks say nothing of it; give a log with this column"
        )
    if config.encoder.repeats:
        repeats = _refitted(repeats, model, log)
    settings = config.replace(
        {
            "training.epochs": epochs,
            "training.schedule": "constant",
            "training.warmup": 0.0,
            "seed": (config.seed + _SEEDS * number) % 2**63,
        }
    )
    random = torch.Generator().manual_seed(settings.seed)
    grown = _grown(model, log, settings, side_inputs, random, placed or {})
    learned = log.learned
    if not log.tells_outcomes:
        learned = replace(learned, outcomes=learned.outcomes[:0])
    batches = TrainingBatches(learned, log.catalog.support, settings)
    trainer = Trainer(grown, batches, settings, device)
    if optimizer is None:
        logger.warning(
            "the checkpoint keeps no state of its optimisers: an update begins with a new one, "
            "and forgets a little more; train with updatable"
        )
    else:
        take_over(optimizer, trainer, len(model.output_table))
    history = trainer.run(hooks)
    if grown.outcome is not None and model.outcome is not None and not log.tells_outcomes:
        grown.outcome.load_state_dict(model.outcome.state_dict())
    return Updated(
        trainer.learner.model,
        trainer.learner.optimizer_tensors(),
        repeats,
        history,
        time.perf_counter() - began,
    )


def optimizer_of_items(optimizer: Mapping[str, Tensor], items: Tensor) -> dict[str, Tensor]:
    """Return the state of the optimisers with the rows of these items [N] alone, as `Updated`'s."""
    return {
        name: state if name.startswith("dense.") else state.index_select(0, items.to(state.device))
        for name, state in optimizer.items()
    }


def _refitted(repeats: RepeatHead | None, model: Model, log: UpdateLog) -> RepeatHead | None:
    """Return the repeat head fitted on what the model has not learned yet."""
    size, index = len(model.output_table), np.arange(len(log.catalog))
    index[size:] = -1  # the model has no vector of new items
    known = log.new.renumbered(index).with_targets()
    if len(known.items) - len(known) < _FEWEST:
        logger.info("too few new clicks to fit repeats on: they stay as they were")
        return repeats
    return fit_finish(model, known, known, smoothing=0.0, most_targets=_MOST).repeats


def _grown(
    model: Model,
    log: UpdateLog,
    config: Config,
    side_inputs: SideInputs,
    random: torch.Generator,
    placed: Mapping[str, Tensor],
) -> Model:
    """Return a copy of a model with rows for the new items."""
    grown = Model(config, len(log.catalog), side_inputs, model.num_classes)
    grown.initialize(random)
    size = len(model.output_table)
    with torch.no_grad():
        for name, old in model.state_dict().items():
            grown.state_dict()[name][: len(old)] = old  # item tables have more rows
        for name, table in item_tables(grown).items():
            if name in placed:
                rows = placed[name][size:].to(table)
                is_placed = rows.abs().sum(1) > 0
                table[size:][is_placed] = rows.view_as(table[size:])[is_placed]
        _place(grown.output_table, size, log.learned)
        if not (grown.shared or grown.onehot):
            _place(grown.input_table, size, log.learned)
    return grown


def _place(table: Tensor, size: int, sessions: SessionArrays) -> None:
    """Place the rows from `size` on by those before them whose items are clicked beside theirs.

    They are as long as the others are on average; where there are none, they stay as drawn.
    """
    units_ND = unit(table)
    units_ND[size:] = 0.0
    means_ND = Neighbours.of(sessions, len(table)).means(units_ND)[size:]
    length = torch.linalg.vector_norm(table[:size], dim=1).mean()
    has_some = means_ND.abs().sum(1) > 0
    table[size:][has_some] = unit(means_ND[has_some]) * length


def take_over(optimizer: Mapping[str, Tensor], trainer: Trainer, size: int) -> None:
    """Give a trainer the state of the optimisers of a model of so many items.

    Rows of new items begin with none. Raise CheckpointError if it is of another model.
    """
    own = trainer.learner.optimizer_tensors()
    shapes = {name: state.shape for name, state in own.items()} | trainer.learner.dense.shapes()
    tables = {name for name in shapes if name.partition(".")[0] in trainer.learner.tables}
    needed = {
        name: (size, *shape[1:]) if name in tables else tuple(shape)
        for name, shape in shapes.items()
    }
    sound = needed == {name: tuple(state.shape) for name, state in optimizer.items()} and all(
        state.is_floating_point()
        and bool(state.isfinite().all())
        and not (name.endswith(_SQUARES) and bool((state < 0).any()))
        for name, state in optimizer.items()
    )
    if not sound:
        raise CheckpointError("the state of the optimisers is of another model; train again")
    restored = dict(optimizer)
    for name in tables:
        restored[name] = torch.cat((optimizer[name].to(own[name]), own[name][size:]))
    trainer.learner.restore_optimizer(restored)
