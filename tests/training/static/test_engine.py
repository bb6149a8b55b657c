"""Training on windows of one shape: reproducible, resumable, in parts, without a wait."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from toys import TINY
from waits import NoSync, OnDevice

import gru4rec as g4r
from gru4rec.model.encoders import ENCODERS
from gru4rec.model.network import Model
from gru4rec.sessions import to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.training import trainer
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.clock import Clock
from gru4rec.training.engine import PackedEngine
from gru4rec.training.learner import Learner
from gru4rec.training.losses import LOSSES
from gru4rec.training.static import windows as static_windows
from gru4rec.training.static.engine import StaticEngine

SETTINGS = {
    **TINY,
    "training.lanes": 4,
    "training.momentum": 0.2,
    "training.epochs": 2.5,
    "training.patience": 5,
    "training.loss": "cross_entropy",
    "training.scoring": "cosine",
    "training.precision": "float32",
    "training.scale": 16.0,
    "training.learning_rate": 0.1,
    "training.sample_alpha": 0.5,
    "training.schedule": "linear",
    "training.embedding_dropout": 0.2,
    "training.hidden_dropout": 0.2,
}
CPU = torch.device("cpu")


@pytest.fixture
def static(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU does, on the CPU."""
    monkeypatch.setattr(trainer, "_engine_of", StaticEngine)


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=60, items=60, categories=3, seed=1)


def fit(log: pl.DataFrame, keep: Path | None = None, **how: Any) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**SETTINGS, **how.pop("settings", {})})
    return g4r.GRU4Rec(config, device="cpu").fit(log, valid="10%", keep=keep, **how)


def weights_of(recommender: g4r.GRU4Rec) -> dict[str, list[float]]:
    return {name: w.tolist() for name, w in recommender.model.state_dict().items()}


def engine_of(
    log: pl.DataFrame, kind: type = StaticEngine, device: torch.device = CPU, **settings: object
) -> Any:
    catalog = Catalog.of(log.lazy())
    config = g4r.Config().replace({**SETTINGS, **settings})
    model = Model(config, len(catalog))
    model.initialize(torch.Generator().manual_seed(0))
    batches = TrainingBatches(
        to_arrays(log.lazy(), catalog).with_targets(), catalog.support, config
    )
    learner = Learner(model, config.training, device)
    return kind(learner, batches, config) if kind is StaticEngine else kind(learner, batches)


def test_it_learns_what_the_packed_path_learns(static: None, monkeypatch) -> None:
    log = g4r.generate_clicks(sessions=1500, items=100, categories=5, seed=2)
    many = {"training.epochs": 3, "training.lanes": 16}
    ours = fit(log, settings=many).meta.history
    monkeypatch.undo()
    theirs = fit(log, settings=many).meta.history
    for own, other in zip(ours, theirs, strict=True):
        assert own["loss"] == pytest.approx(other["loss"], rel=0.03)
    assert ours[-1]["recall@20"] == pytest.approx(theirs[-1]["recall@20"], abs=0.05)
    assert ours[-1]["loss"] < 0.95 * ours[0]["loss"]


def test_a_seed_says_all(static: None, log: pl.DataFrame) -> None:
    assert weights_of(fit(log)) == weights_of(fit(log))
    assert weights_of(fit(log)) != weights_of(fit(log, settings={"seed": 1}))


def test_windows_in_parts_are_windows_in_one_piece(static: None, log, monkeypatch) -> None:
    whole = weights_of(fit(log))
    monkeypatch.setattr(static_windows, "_PLACES", 16 * 3)
    assert weights_of(fit(log)) == whole


def after(windows: int) -> Callable[[], bool]:
    asked = itertools.count(1)
    return lambda: next(asked) >= windows


@pytest.mark.parametrize("stop", [1, 7, 20, 33])
@pytest.mark.parametrize(
    "settings",
    [{}, {"training.dense_optimizer": "adamw"}, {"encoder.name": "conv_gru"},
     {"encoder.name": "attention_gru", "training.scoring": "dot", "encoder.embedding": "separate"}],
    ids=str,
)  # fmt: skip
def test_what_was_interrupted_goes_on_to_the_bit(static, log, tmp_path, settings, stop) -> None:
    undisturbed = fit(log, settings=settings)
    keep = tmp_path / "model"
    with pytest.raises(g4r.StoppedError):
        fit(log, keep, stopping=after(stop), settings=settings)
    resumed = fit(log, keep, resume=True, settings=settings)
    assert weights_of(resumed) == weights_of(undisturbed)


@pytest.mark.parametrize("encoder", ["gru", "lstm", "conv_gru", "attention_gru"])
@pytest.mark.parametrize("stop", [1, 3, 8])
def test_each_engine_carries_on_from_the_other(log: pl.DataFrame, encoder: str, stop: int) -> None:
    still = {
        "encoder.name": encoder, "training.learning_rate": 0.0,
        "training.embedding_dropout": 0.0, "training.hidden_dropout": 0.0,
    }  # fmt: skip
    packed, ours = engine_of(log, PackedEngine, **still), engine_of(log, **still)
    for engine in (packed, ours):
        list(engine.learn(0, range(stop), lambda window: 1.0, Clock()))
    goes_on = torch.from_numpy(ours._segments[stop].carried_from)
    assert len(goes_on)
    for theirs, own in zip(packed.carried(stop), ours.carried(stop), strict=True):
        torch.testing.assert_close(own[goes_on], theirs[goes_on])
    other = engine_of(log, **still)
    other.carry_on(stop, packed.carried(stop))
    segments = ours._segments[stop].carried
    lanes = ours._segments.lanes_of(stop)[segments]
    for theirs, own in zip(other.step.state, ours.step.state, strict=True):
        torch.testing.assert_close(theirs[lanes], own[lanes])


def test_draws_follow_support_to_a_power(log: pl.DataFrame) -> None:
    engine = engine_of(log, **{"training.negatives": 40})
    candidates, random = engine.step.candidates, torch.Generator().manual_seed(0)
    drawn = torch.cat([candidates.draw(random) for _ in range(2000)])
    weights = np.diff(candidates._sampling.cumulative, prepend=0)
    shares = np.bincount(drawn, minlength=len(weights)) / len(drawn)
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.004)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("encoder", [name for name in ENCODERS if ENCODERS[name].takes_lanes])
def test_no_encoder_or_loss_makes_the_host_wait(log, encoder: str, loss: str) -> None:
    two_steps(engine_of(log, **{"encoder.name": encoder, "training.loss": loss}))


@pytest.mark.parametrize(
    "settings",
    [
        {"training.scoring": "dot"},
        {"training.precision": "bf16"},
        {"training.negatives": 1000},
        {"training.logq_form": "support"},
        {"encoder.embedding": "separate"},
        {"encoder.embedding": "onehot"},
        {"encoder.reset_gate": "before", "encoder.num_layers": 2},
        {"encoder.state_dropout": 0.3, "training.steps": 1},
    ],
    ids=str,
)
def test_no_setting_makes_the_host_wait(log, settings: dict[str, object]) -> None:
    two_steps(engine_of(log, **settings))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training.scoring": "dot", "encoder.embedding": "separate"},
        {"training.loss": "bpr_max"},
        {"training.logq_form": "support"},
        {"training.negatives": 1000},
        {"encoder.name": "conv_gru"},
        {"encoder.name": "lstm"},
        {"encoder.name": "attention_gru"},
    ],
    ids=str,
)
def test_a_step_is_all_on_its_device(log, monkeypatch, settings: dict[str, object]) -> None:
    """Tensors of the meta device have no values, and go with none of the CPU's."""
    of_cpu = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device=None: of_cpu())
    engine = engine_of(log, device=torch.device("meta"), **settings)
    engine.windows.place(range(1), lambda window: 1.0)
    engine.step.random = None
    with OnDevice():
        engine.step(engine.windows.heights[0])
    assert engine.loss_sum.is_meta


def two_steps(engine: StaticEngine) -> None:
    engine.windows.place(range(2), lambda window: 1.0)
    with NoSync():
        for height in engine.windows.heights:
            engine.step(height)
    assert engine.loss_sum.isfinite()


@pytest.mark.parametrize(
    ("settings", "runs"),
    [({}, True), ({"encoder.name": "narm"}, False), ({"encoder.name": "lstm"}, True)],
    ids=str,
)
def test_what_reads_whole_sessions_stays_packed(log, settings, runs: bool) -> None:
    engine = engine_of(log, PackedEngine, **settings)
    assert StaticEngine.runs(engine._learner, engine._batches) == runs
