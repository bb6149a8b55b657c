"""On a GPU: what is recorded and replayed does what the CPU does. Run where there is one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from toys import TINY

import gru4rec as g4r
from gru4rec.model import kernels
from gru4rec.model.encoders import ENCODERS
from gru4rec.model.kernels import use_kernels
from gru4rec.model.network import Model
from gru4rec.sessions import to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.clock import Clock
from gru4rec.training.learner import Learner
from gru4rec.training.losses import LOSSES
from gru4rec.training.static.engine import StaticEngine

pytestmark = pytest.mark.gpu

SETTINGS = {
    **TINY,
    "encoder.hidden_size": 20,
    "training.lanes": 16,
    "training.steps": 8,
    "training.epochs": 3,
    "training.loss": "cross_entropy",
    "training.scoring": "cosine",
    "training.precision": "float32",
    "training.scale": 16.0,
    "training.learning_rate": 0.05,
    "training.momentum": 0.0,
    "training.sample_alpha": 0.5,
    "training.schedule": "constant",
    "training.embedding_dropout": 0.0,
    "training.hidden_dropout": 0.0,
}


@pytest.fixture(autouse=True)
def kernels_are_trusted(monkeypatch: pytest.MonkeyPatch):
    """Each test tries them anew, and none may have let go of them in the end."""
    monkeypatch.setattr(kernels._SWITCH, "trusted", True)
    yield
    assert kernels._SWITCH.trusted


@pytest.fixture(scope="module")
def log():
    return g4r.generate_clicks(sessions=300, items=100, categories=5, seed=1)


def engine_of(log, device: str, **settings: object) -> StaticEngine:
    """An engine that has no random draws: the whole catalog is scored."""
    catalog = Catalog.of(log.lazy())
    config = g4r.Config().replace({**SETTINGS, "training.negatives": 1000, **settings})
    model = Model(config, len(catalog))
    model.initialize(torch.Generator().manual_seed(0))
    batches = TrainingBatches(
        to_arrays(log.lazy(), catalog).with_targets(), catalog.support, config
    )
    return StaticEngine(Learner(model, config.training, torch.device(device)), batches, config)


def learned(engine: StaticEngine) -> dict[str, torch.Tensor]:
    list(engine.learn(0, range(10), lambda window: 1.0, Clock()))
    return {name: part.cpu() for name, part in engine._learner.weights().items()}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("encoder", [name for name in ENCODERS if ENCODERS[name].takes_lanes])
def test_windows_are_learned_as_on_a_cpu(log, encoder: str, loss: str) -> None:
    settings = {"encoder.name": encoder, "training.loss": loss}
    on_gpu, on_cpu = (learned(engine_of(log, device, **settings)) for device in ("cuda", "cpu"))
    for name, weight in on_cpu.items():
        torch.testing.assert_close(on_gpu[name], weight, rtol=1e-3, atol=1e-3, msg=name)


@pytest.mark.parametrize(
    "settings",
    [
        {"training.scoring": "dot", "encoder.embedding": "separate"},
        {"encoder.embedding": "onehot", "training.momentum": 0.3},
        {"encoder.reset_gate": "before", "encoder.num_layers": 2},
        {"training.dense_optimizer": "adamw"},
        {"training.steps": 1},
    ],
    ids=str,
)
def test_settings_are_heeded_as_on_a_cpu(log, settings) -> None:
    on_gpu, on_cpu = (learned(engine_of(log, device, **settings)) for device in ("cuda", "cpu"))
    for name, weight in on_cpu.items():
        torch.testing.assert_close(on_gpu[name], weight, rtol=1e-3, atol=1e-3, msg=name)


@pytest.mark.parametrize("negatives", [30, 1000])
@pytest.mark.parametrize("reset_gate", ["after", "before"])
@pytest.mark.parametrize("size", [20, 100, 128])
def test_kernels_do_what_torch_does(log, size: int, reset_gate: str, negatives: int) -> None:
    settings = {
        "encoder.hidden_size": size, "encoder.reset_gate": reset_gate,
        "training.precision": "bf16", "training.negatives": negatives,
        "training.embedding_dropout": 0.2, "training.hidden_dropout": 0.2,
    }  # fmt: skip
    ours = engine_of(log, "cuda", **settings)
    learned(ours)
    plain = engine_of(log, "cuda", **settings)
    with use_kernels(on_gpu=False):
        learned(plain)
    assert ours.loss_sum.item() == pytest.approx(plain.loss_sum.item(), rel=5e-3)


def test_no_kernel_is_let_go_of(log, caplog: pytest.LogCaptureFixture) -> None:
    learned(engine_of(log, "cuda", **{"training.precision": "bf16"}))
    assert not caplog.records


def test_a_training_is_measured_as_on_a_cpu(log) -> None:
    config = g4r.Config().replace({**SETTINGS, "training.embedding_dropout": 0.2})
    both = [g4r.GRU4Rec(config, device=device).fit(log, valid="20%") for device in ("cuda", "cpu")]
    ours, theirs = (recommender.meta.history[-1] for recommender in both)
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=0.05)
    assert ours["recall@20"] == pytest.approx(theirs["recall@20"], abs=0.1)


def test_what_was_interrupted_goes_on(log, tmp_path: Path) -> None:
    config = g4r.Config().replace({**SETTINGS, "training.embedding_dropout": 0.2})
    undisturbed = g4r.GRU4Rec(config, device="cuda").fit(log)
    asked = iter([False] * 12 + [True])
    with pytest.raises(g4r.StoppedError):
        g4r.GRU4Rec(config, device="cuda").fit(
            log, keep=tmp_path / "model", stopping=lambda: next(asked, True)
        )
    resumed = g4r.GRU4Rec(config, device="cuda").fit(log, keep=tmp_path / "model", resume=True)
    for name, weight in undisturbed.model.state_dict().items():
        own = resumed.model.state_dict()[name]
        np.testing.assert_allclose(own.cpu(), weight.cpu(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("encoder", [name for name in ENCODERS if not ENCODERS[name].takes_lanes])
def test_encoders_that_read_whole_sessions_learn_without_a_warning(log, encoder: str) -> None:
    config = g4r.Config().replace({**SETTINGS, "encoder.name": encoder, "encoder.hidden_size": 16})
    history = g4r.GRU4Rec(config, device="cuda").fit(log, valid="20%").meta.history
    assert history[-1]["loss"] < history[0]["loss"]
