"""A training step never waits for the device: nothing in it reads a tensor's values on the host."""

from typing import Any

import polars as pl
import pytest
import torch
from toys import TINY, clicks_of
from waits import NoSync

import gru4rec as g4r
from gru4rec.model.encoders import ENCODERS
from gru4rec.model.network import Model
from gru4rec.sessions import OutcomeClasses, event_types_of, to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.losses import LOSSES
from gru4rec.training.trainer import Trainer


def trainer_of(**settings: object) -> Trainer:
    log = clicks_of([[f"{n}", f"{n + 1}", f"{n}", f"{n + 2}"] for n in range(60)]).lazy()
    log = log.with_columns(type=pl.int_range(pl.len()) % 3, bought=pl.col("session_id") % 2 == 0)
    catalog = Catalog.of(log)
    base = {
        "training.scoring": "cosine",
        "training.precision": "float32",
        "training.loss": "cross_entropy",
        "training.scale": 16.0,
        "training.learning_rate": 0.1,
    }
    open_ones = {
        "training.sample_alpha": 0.5, "training.momentum": 0.1, "training.schedule": "constant",
        "training.final_rate": 0.5, "training.embedding_dropout": 0.2,
        "training.hidden_dropout": 0.2,
    }  # fmt: skip
    config = g4r.Config().replace({**TINY, **base, **open_ones, **settings})
    classes = OutcomeClasses.of(log, config.training.outcome)
    model = Model(config, len(catalog), num_classes=len(classes))
    model.initialize(torch.Generator().manual_seed(0))
    sessions = to_arrays(log, catalog, events=event_types_of(log, config.training))
    batches = TrainingBatches(classes.on(sessions, log), catalog.support, config)
    return Trainer(model, batches, config, torch.device("cpu"))


def two_steps(trainer: Trainer) -> None:
    batches = [trainer.batches.make(0, window) for window in range(2)]
    state: Any = ()
    with NoSync():
        for batch in batches:
            _, state = trainer.learner.step(batch, state, 1.0)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_encoder_or_loss_makes_the_host_wait(encoder: str, loss: str) -> None:
    two_steps(trainer_of(**{"encoder.name": encoder, "training.loss": loss, "training.elu": 1.0}))


@pytest.mark.parametrize(
    "settings",
    [
        {"training.scoring": "dot"},
        {"training.precision": "bf16"},
        {"encoder.embedding": "separate"},
        {"encoder.embedding": "onehot"},
        {"encoder.reset_gate": "before", "encoder.num_layers": 2},
        {"encoder.state_dropout": 0.3, "training.steps": 1},
        {"training.event_column": "type", "training.event_weights": {"1": 5.0}},
        {"training.event_column": "type", "training.rewards": {"1": 5.0}},
        {
            "training.event_column": "type", "training.rewards": {"1": 5.0},
            "training.q_advantage": True, "training.scoring": "dot",
        },
        {"training.outcome": "bought"},
        # not AdamW: torch counts its steps in a tensor on the host, which no device waits for
    ],
    ids=str,
)  # fmt: skip
def test_no_setting_makes_the_host_wait(settings: dict[str, object]) -> None:
    two_steps(trainer_of(**settings))


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x[0] > 0),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.unique(),
    ],
)
def test_the_mode_notices_what_would_make_the_host_wait(work: Any) -> None:
    with pytest.raises(AssertionError, match="makes the host wait"), NoSync():
        work(torch.arange(3.0))
