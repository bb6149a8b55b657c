"""A learner that packs its windows and an engine of windows of one shape, with equal weights."""

import copy

import numpy as np
import polars as pl
import torch
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.model.network import Model
from gru4rec.sessions import SideInputs, to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.learner import Learner
from gru4rec.training.static.engine import StaticEngine

BASE = {
    **TINY,
    "training.lanes": 4,
    "training.scoring": "cosine",
    "training.precision": "float32",
    "training.loss": "cross_entropy",
    "training.scale": 16.0,
    "training.learning_rate": 0.02,  # a rounding error in a gradient of 0 moves a row by 20 of it
    "training.sample_alpha": 0.5,
    "training.momentum": 0.0,
    "training.schedule": "constant",
    "training.embedding_dropout": 0.0,
    "training.hidden_dropout": 0.0,
}
CPU = torch.device("cpu")


def some_clicks(lengths: list[int], num_items: int = 60) -> pl.DataFrame:
    random = np.random.default_rng(sum(lengths))
    popular = np.arange(1, num_items + 1) ** -0.8
    shares = popular / popular.sum()
    return clicks_of([random.choice(num_items, length, p=shares).tolist() for length in lengths])


def both_paths(
    log: pl.DataFrame, **changes: object
) -> tuple[Learner, TrainingBatches, StaticEngine, Learner]:
    """A learner and what it packs; and an engine of static windows with the same weights."""
    catalog = Catalog.of(log.lazy())
    config = g4r.Config().replace({**BASE, **changes})
    sides = SideInputs.of(log.lazy(), config.encoder.inputs)
    model = Model(config, len(catalog), sides)
    model.initialize(torch.Generator().manual_seed(0))
    arrays = to_arrays(log.lazy(), catalog, side_inputs=sides)
    batches = TrainingBatches(arrays, catalog.support, config)
    packed = Learner(model, config.training, CPU)
    static = Learner(copy.deepcopy(model), config.training, CPU)
    return packed, batches, StaticEngine(static, batches, config), static
