"""A step with kernels of our own does what it does with torch alone."""

import os
from typing import Any

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before Triton is imported
pytest.importorskip("triton", reason="Triton is not installed")

from rank_engines import engine_of
from rank_threads import ThreadRanks
from two_paths import both_paths, some_clicks

from gru4rec.model.kernels import use_kernels
from gru4rec.training import row_kernels
from gru4rec.training.clock import Clock
from gru4rec.training.static import graphs
from gru4rec.training.static.rank_engine import StaticRankEngine

pytestmark = pytest.mark.kernels


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"encoder.reset_gate": "before", "training.momentum": 0.3},
        {"training.scoring": "dot", "encoder.embedding": "separate"},
        {"training.negatives": 1000},
        {"training.embedding_dropout": 0.2, "training.hidden_dropout": 0.3},
        {"training.loss": "bpr_max", "encoder.num_layers": 2, "training.hidden_dropout": 0.3},
        {"training.precision": "float32", "training.scale": 40.0},
        {"training.dense_optimizer": "adamw", "encoder.embedding": "separate"},
        {"encoder.embedding": "onehot", "training.logq_form": "support"},
    ],
    ids=str,
)
def test_a_step_by_kernels_learns_what_torch_learns(settings: dict[str, object]) -> None:
    log = some_clicks([4, 2, 9, 3, 2, 14, 5, 2, 2, 6, 3, 2, 8])
    settings = {"training.precision": "bf16", "encoder.hidden_size": 20, **settings}
    sums, moves = [], []
    for on_cpu in (False, True):
        _, _, engine, learner = both_paths(log, **settings)
        before = {name: part.clone() for name, part in learner.weights().items()}
        with use_kernels(on_cpu=on_cpu):
            list(engine.learn(0, range(3), lambda window: 1.0, Clock()))
        sums.append(engine.loss_sum.item())
        moves.append({name: part - before[name] for name, part in learner.weights().items()})
    assert sums[1] == pytest.approx(sums[0], rel=2e-3)
    for name, plain in moves[0].items():
        assert (moves[1][name] - plain).norm() <= 0.1 * plain.norm(), name


@pytest.mark.parametrize(
    "settings",
    [
        {"training.lanes": 2},
        {"training.steps": 1, "training.hidden_dropout": 0.3},
        {"training.negatives": 1000, "training.embedding_dropout": 0.2},
    ],
    ids=str,
)
@pytest.mark.parametrize("rank", [0, 1])
def test_so_does_the_step_of_a_rank(settings: dict[str, object], rank: int) -> None:
    log, moves = some_clicks([4, 2, 9, 3, 2, 14, 5, 2, 2, 6, 3, 2, 8]), []
    for on_cpu in (False, True):
        engine = engine_of(StaticRankEngine, log, ThreadRanks(rank, 2, None, None), **settings)
        before = {name: part.clone() for name, part in engine._learner.weights().items()}
        engine.windows.place(range(3), lambda window: 1.0)
        with use_kernels(on_cpu=on_cpu), graphs._alone(engine.step):
            for number, height in enumerate(engine.windows.heights):
                engine.step.seed(number)
                engine.step(height)
        after = engine._learner.weights()
        moves.append({name: part - before[name] for name, part in after.items()})
    for name, plain in moves[0].items():
        assert (moves[1][name] - plain).norm() <= 0.1 * plain.norm(), name


@pytest.mark.parametrize(
    "settings",
    [{}, {"training.scoring": "dot", "encoder.embedding": "separate"}, {"training.negatives": 0}],
    ids=str,
)
def test_windows_and_candidates_by_kernels_are_the_same(settings: dict[str, object]) -> None:
    log, learned = some_clicks([4, 2, 9, 3, 2, 14, 5, 2, 2, 6, 3, 2, 8]), []
    for on_cpu in (False, True):
        _, _, engine, learner = both_paths(log, **{"encoder.name": "lstm", **settings})
        with use_kernels(on_cpu=on_cpu):
            list(engine.learn(0, range(4), lambda window: 1.0, Clock()))
        learned.append(learner.tensors())
    for name, plain in learned[0].items():
        torch.testing.assert_close(learned[1][name], plain, rtol=1e-5, atol=1e-5, msg=name)


@pytest.mark.parametrize("momentum", [0.0, 0.3])
@pytest.mark.parametrize("learned", [0, 2])
def test_they_pass_the_check_before_a_recording_and_broken_ones_do_not(
    monkeypatch: pytest.MonkeyPatch, momentum: float, learned: int
) -> None:
    settings = {"training.precision": "bf16", "encoder.hidden_size": 20}
    log = some_clicks([4, 2, 9, 3, 2, 14, 5, 2, 2, 6, 3, 2, 8])
    _, _, engine, learner = both_paths(log, **{**settings, "training.momentum": momentum})
    list(engine.learn(0, range(learned), lambda window: 1.0, Clock()))
    engine.windows.place(range(learned, learned + 1), lambda window: 1.0)

    def tried(*, on_cpu: bool) -> tuple[graphs.Moves, graphs.Moves]:
        engine.step.random.manual_seed(7)
        with graphs._as_before(engine.step, learner) as before, use_kernels(on_cpu=on_cpu):
            engine.step.loss_sum.zero_()
            engine.step(engine.windows.heights[0])
            return before, graphs.moves_of(engine.step, learner)

    before, plain = tried(on_cpu=False)
    assert graphs.other_move(before, plain, tried(on_cpu=True)[1]) is None

    whole = row_kernels.update_rows
    for broken in (
        lambda rows, gradient: (rows, -gradient),
        lambda rows, gradient: (rows.flip(0), gradient),
        lambda rows, gradient: (rows, gradient * 0),
    ):

        def update_rows(*of_rows: Any, broken: Any = broken) -> None:
            *tables, rows, gradient, count, rate, momentum = of_rows
            whole(*tables, *broken(rows, gradient), count, rate, momentum)

        monkeypatch.setattr(row_kernels, "update_rows", update_rows)
        assert graphs.other_move(before, plain, tried(on_cpu=True)[1]) is not None
