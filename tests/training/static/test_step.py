"""The step on windows of one shape does what the packed path does, on the same candidates."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from two_paths import both_paths, some_clicks

from gru4rec.model.encoders import ENCODERS
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.losses import LOSSES


def draws_of(batches: TrainingBatches, window: int) -> torch.Tensor:
    """What the packed path draws for a window of the first epoch."""
    random = np.random.Generator(np.random.Philox(key=[0, window]))
    return torch.from_numpy(batches.sampler.draw(random))


def assert_same(log: pl.DataFrame, **changes: object) -> None:
    packed, batches, engine, static = both_paths(log, **changes)
    state = ()
    step, windows = engine.step, engine.windows
    windows.place(range(len(batches)), lambda window: 0.5 + window / 100)
    for number, height in enumerate(windows.heights):
        static.restore(packed.tensors())  # what is compared are single updates
        batch = batches.make(0, number)
        weight = len(batch.targets) / batches.clicks_per_window
        loss, state = packed.step(batch, state, 0.5 + number / 100, weight=weight)

        window = windows.read(height)
        if batches.sampler.whole:
            columns, rows = step.candidates.of(window, step.random)
        else:
            columns, rows = step.candidates.sampled(window, draws_of(batches, number))
        assert columns.items[: columns.count].tolist() == batch.candidates.tolist()
        assert sorted(rows.items[: rows.count].tolist()) == sorted(batch.input_rows.tolist())
        correction = columns.correction[: columns.count]
        torch.testing.assert_close(correction, batch.correction, rtol=1e-5, atol=1e-5)
        step.loss_sum.zero_()
        step.learn(window, columns, rows)
        mean = (step.loss_sum / window.num_clicks).float()
        torch.testing.assert_close(mean, loss, rtol=1e-5, atol=1e-5)

        own = static.tensors()
        for name, expected in packed.tensors().items():
            size = max(1.0, float(expected.abs().max()))  # squares of gradients may be large
            torch.testing.assert_close(
                own[name],
                expected,
                rtol=1e-5,
                atol=1e-5 * size,
                msg=lambda text, name=name, number=number: f"window {number}, {name}: {text}",
            )


LENGTHS = [4, 2, 9, 3, 2, 14, 5, 2, 2, 6, 3, 2, 8]


@pytest.mark.parametrize("scoring", ["cosine", "dot"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_and_score(loss: str, scoring: str) -> None:
    changes = {"training.loss": loss, "training.scoring": scoring, "training.elu": 0.5}
    assert_same(some_clicks(LENGTHS), **changes)


@pytest.mark.parametrize("encoder", [name for name in ENCODERS if ENCODERS[name].takes_lanes])
def test_every_encoder(encoder: str) -> None:
    assert_same(some_clicks(LENGTHS), **{"encoder.name": encoder, "encoder.num_layers": 2})


@pytest.mark.parametrize(
    "changes",
    [
        {"encoder.embedding": "separate", "encoder.embedding_size": 5},
        {"encoder.embedding": "onehot"},
        {"encoder.embedding": "separate", "training.negatives": 1000},
        {"training.negatives": 1000},
        {"training.negatives": 0},
        {"training.negatives": 0, "training.lanes": 1},
        {"training.momentum": 0.4},
        {"training.momentum": 0.4, "training.scoring": "dot", "encoder.embedding": "separate"},
        {"training.logq_form": "support"},
        {"training.logq_form": "support", "training.logq": 0.0},
        {"training.logq": 0.4},
        {"training.scale": 40.0},
        {"training.dense_optimizer": "adamw"},
        {"encoder.reset_gate": "before"},
        {"training.steps": 1, "training.lanes": 3},
    ],
    ids=str,
)
def test_every_setting(changes: dict[str, object]) -> None:
    assert_same(some_clicks(LENGTHS), **changes)


def test_side_inputs() -> None:
    log = some_clicks(LENGTHS).with_columns(
        pl.int_range(pl.len()).mod(5).cast(pl.String).alias("type"),
        pl.int_range(pl.len()).mod(3).cast(pl.String).alias("place"),
    )
    for merge in ("add", "concat"):
        changes = {"encoder.inputs": ("type", "place"), "encoder.merge": merge}
        assert_same(log, **changes)


def test_endless_sessions() -> None:
    sessions = some_clicks([5, 1500, 3, 2, 4, 700, 2, 9], num_items=80)
    assert_same(sessions, **{"training.lanes": 8, "training.steps": 4})
    assert_same(sessions, **{"training.lanes": 8, "training.steps": 80, "training.negatives": 5})


@given(
    lengths=st.lists(st.integers(2, 12), min_size=1, max_size=12),
    lanes=st.integers(1, 6),
    steps=st.integers(1, 6),
    loss=st.sampled_from(sorted(LOSSES)),
    negatives=st.integers(0, 40),
)
@settings(max_examples=30)
def test_any_windows(lengths: list[int], lanes: int, steps: int, loss: str, negatives: int) -> None:
    changes = {
        "training.lanes": lanes,
        "training.steps": steps,
        "training.loss": loss,
        "training.negatives": negatives,
    }
    assert_same(some_clicks(lengths), **changes)
