"""The engine of a rank, with weights that all ranks have."""

from typing import Any

import polars as pl
import torch
import two_paths

import gru4rec as g4r
from gru4rec.model.network import Model
from gru4rec.training import Ranks, TrainingLog
from gru4rec.training.dealt_log import DealtLog
from gru4rec.training.rank_batches import RankBatches
from gru4rec.training.rank_learner import RankLearner
from gru4rec.training.static.rank_engine import StaticRankEngine

BASE = {**two_paths.BASE, "encoder.hidden_size": 8, "training.lanes": 5, "training.epochs": 1}
CPU = torch.device("cpu")


def engine_of(
    kind: type, log: pl.DataFrame, ranks: Ranks, device: torch.device = CPU, **changes: object
) -> Any:
    config = g4r.Config().replace({**BASE, **changes})
    config = g4r.GRU4Rec(config, device="cpu").decide(log)
    whole = TrainingLog.read(log, None)
    model = Model(config, len(whole.catalog))
    model.initialize(torch.Generator().manual_seed(0))
    dealt = DealtLog.of(whole, config, ranks)
    batches = RankBatches(dealt, config)
    learner = RankLearner(model, config.training, device, ranks)
    how = (config,) if kind is StaticRankEngine else ()
    return kind(learner, batches, *how)
