"""What the engine of a rank agrees on with the others, carries on, and gives the device."""

import dataclasses
import itertools
from contextlib import nullcontext
from functools import partial

import polars as pl
import pytest
import torch
from rank_engines import engine_of
from rank_threads import ThreadRanks, together
from toys import clicks_of
from waits import NoSync, OnDevice

import gru4rec as g4r
from gru4rec.training import Ranks
from gru4rec.training.clock import Clock, Due
from gru4rec.training.rank_engine import RankEngine
from gru4rec.training.static import graphs
from gru4rec.training.static.engine import StaticEngine
from gru4rec.training.static.graphs import Graphs, _alone
from gru4rec.training.static.rank_engine import StaticRankEngine


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=40, items=60, categories=3, seed=1)


def test_no_two_ranks_drop_the_same(log) -> None:
    def dropped(ranks: Ranks) -> tuple[torch.Tensor, torch.Tensor]:
        step = engine_of(StaticRankEngine, log, ranks).step
        step.seed(7)
        return tuple(torch.rand(8, generator=random) for random in step.generators)

    (candidates, ours), (others, theirs) = together(2, dropped)
    assert torch.equal(candidates, others)
    assert not torch.equal(ours, theirs)
    assert not torch.equal(ours, candidates)


@pytest.mark.parametrize("kind", [StaticRankEngine, RankEngine])
def test_the_same_is_due_on_all(log, kind) -> None:
    def dues(ranks: Ranks) -> list[Due]:
        engine, clock = engine_of(kind, log, ranks), Clock()
        asked = itertools.count(1)

        def due() -> Due:
            number = next(asked)
            first = ranks.is_first
            return Due(report=first, save=first and number == 3, stop=not first and number == 5)

        clock.due = due
        learned = list(engine.learn(0, range(20), lambda window: 1.0, clock))
        assert all(clicks > 0 for clicks, _ in learned)
        return [due for _, due in learned]

    ours, theirs = together(2, dues)
    assert ours == theirs
    assert [due.save for due in ours] == [number == 3 for number in range(1, 6)]
    assert [due.stop for due in ours] == [number == 5 for number in range(1, 6)]
    assert all(due.report for due in ours)


@pytest.mark.parametrize("stop", [1, 3, 8])
def test_each_engine_carries_on_from_the_other(log, stop) -> None:
    still = {"training.learning_rate": 0.0}

    def carried(ranks: Ranks):
        ours, packed = (
            engine_of(kind, log, ranks, **still) for kind in (StaticRankEngine, RankEngine)
        )
        states = []
        for engine in (ours, packed):
            list(engine.learn(0, range(stop), lambda window: 1.0, Clock()))
            states.append(engine.carried(stop))
        other = engine_of(StaticRankEngine, log, ranks, **still)
        other.carry_on(stop, states[1])
        segments = ours._segments[stop]
        lanes = ours._segments.lanes_of(stop)[segments.carried]
        own = (lanes[lanes % ranks.size == ranks.rank] - ranks.rank) // ranks.size
        for theirs, mine in zip(other.step.state, ours.step.state, strict=True):
            torch.testing.assert_close(theirs[own], mine[own])
        return states, torch.from_numpy(segments.carried_from)

    for (ours, packed), goes_on in together(2, carried):
        assert len(goes_on)
        for mine, theirs in zip(ours, packed, strict=True):
            torch.testing.assert_close(mine[goes_on], theirs[goes_on])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training.dense_optimizer": "adagrad", "training.scoring": "dot"},
        {"training.loss": "bpr_max", "encoder.embedding": "separate"},
        {"training.negatives": 1000, "training.hidden_dropout": 0.2},
    ],
    ids=str,
)
def test_nothing_makes_the_host_wait(log, settings) -> None:
    def two_steps(ranks: Ranks) -> None:
        engine = engine_of(StaticRankEngine, log, ranks, **settings)
        engine.windows.place(range(2), lambda window: 1.0)
        with NoSync():
            for height in engine.windows.heights:
                engine.step(height)
        assert engine.loss_sum.isfinite()

    together(2, two_steps)


def test_a_step_is_all_on_its_device(log, monkeypatch) -> None:
    """Tensors of the meta device have no values, and go with none of the CPU's."""
    of_cpu = torch.Generator
    monkeypatch.setattr(torch, "Generator", lambda device=None: of_cpu())
    ranks = ThreadRanks(0, 2, None, None)
    engine = engine_of(StaticRankEngine, log, ranks, device=torch.device("meta"))
    engine.windows.place(range(1), lambda window: 1.0)
    engine.step.random = None
    with OnDevice(), _alone(engine.step):
        engine.step(engine.windows.heights[0])
    assert engine.loss_sum.is_meta


def test_nor_does_a_window_of_an_endless_session() -> None:
    log = clicks_of([[1, 2, 3], [number % 7 for number in range(700)], *[[4, 5, 6, 2]] * 20])

    def highest(ranks: Ranks) -> None:
        engine = engine_of(StaticRankEngine, log, ranks)
        engine.windows.place(range(len(engine._segments)), lambda window: 1.0)
        heights = engine.windows.heights
        assert max(heights) > engine.windows.steps
        with NoSync():
            for height in heights:
                engine.step(height)

    together(2, highest)


def test_a_rank_tries_its_kernels_without_the_others(log) -> None:
    """A thread of its own that no other answers would wait for ever."""
    engine = engine_of(StaticRankEngine, log, ThreadRanks(1, 2, None, None))
    engine.windows.place(range(1), lambda window: 1.0)
    with _alone(engine.step):
        engine.step(engine.windows.heights[0])
    assert engine.loss_sum > 0
    assert engine.step.ranks.size == 2


def test_kernels_that_one_rank_leaves_out_all_leave_out(log, monkeypatch) -> None:
    left_out: list[int] = []
    monkeypatch.setattr(graphs, "kernels_for", lambda values: True)
    monkeypatch.setattr(graphs, "distrust_kernels", lambda: left_out.append(1))
    monkeypatch.setattr(Graphs, "_serve", lambda self, height: self._step.ranks.is_first)

    def check(ranks: Ranks) -> None:
        engine = engine_of(StaticRankEngine, log, ranks)
        Graphs(engine.step, engine._learner)._check_kernels(4)

    together(2, check)
    assert len(left_out) == 2


@pytest.mark.parametrize("settings", [{"training.steps": 1}, {"training.lanes": 2}], ids=str)
def test_what_kernels_are_given_lies_side_by_side(log, settings) -> None:
    def contiguous(ranks: Ranks) -> None:
        engine = engine_of(StaticRankEngine, log, ranks, **settings)
        engine.windows.place(range(1), lambda window: 1.0)
        window = engine.windows.part_of(engine.windows.read(engine.windows.heights[0]))
        for field in dataclasses.fields(window):
            assert getattr(window, field.name).is_contiguous(), field.name

    together(2, contiguous)


class NoGraph:
    """A recording of nothing."""

    def register_generator_state(self, random: torch.Generator) -> None:
        pass

    def replay(self) -> None:
        pass


@pytest.mark.parametrize("fails", [False, True])
def test_what_one_rank_cannot_record_all_do_anew(log, monkeypatch, fails) -> None:
    monkeypatch.setattr(torch.cuda, "CUDAGraph", NoGraph)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, **how: nullcontext())

    def recorded(ranks: Ranks) -> bool:
        engine = engine_of(StaticRankEngine, log, ranks)

        def read(height: int) -> None:
            if fails and not ranks.is_first:
                raise RuntimeError("this GPU records nothing")

        engine.step.windows.read, engine.step._learn = read, lambda window: None
        return not isinstance(Graphs(engine.step, engine._learner)._recorded(4), partial)

    assert together(2, recorded) == [not fails] * 2


@pytest.mark.parametrize(("name", "runs"), [("gru", True), ("narm", False)])
def test_what_reads_whole_sessions_stays_packed(log, name, runs) -> None:
    engine = engine_of(RankEngine, log, ThreadRanks(0, 2, None, None), **{"encoder.name": name})
    assert StaticEngine.runs(engine._learner, engine._batches) == runs
