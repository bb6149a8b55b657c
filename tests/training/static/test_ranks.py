"""Several ranks learn on windows of one shape what one process does; they are threads here."""

import dataclasses
import itertools
import logging
from pathlib import Path

import polars as pl
import pytest
import torch
from rank_threads import ThreadRanks, together
from toys import TINY, clicks_of
from waits import NoSync, OnDevice

import gru4rec as g4r
from gru4rec.model.encoders import ENCODERS
from gru4rec.model.network import Model
from gru4rec.training import ONE, Ranks, TrainingLog, trainer
from gru4rec.training.clock import Clock, Due
from gru4rec.training.dealt_log import DealtLog
from gru4rec.training.losses import LOSSES
from gru4rec.training.rank_batches import RankBatches
from gru4rec.training.rank_engine import RankEngine
from gru4rec.training.rank_learner import RankLearner
from gru4rec.training.static import graphs
from gru4rec.training.static import windows as static_windows
from gru4rec.training.static.engine import StaticEngine
from gru4rec.training.static.graphs import Graphs, _alone
from gru4rec.training.static.rank_engine import StaticRankEngine

BASE = {
    **TINY,
    "encoder.hidden_size": 8,
    "training.lanes": 5,
    "training.epochs": 1,
    "training.loss": "cross_entropy",
    "training.scoring": "cosine",
    "training.scale": 16.0,
    "training.sample_alpha": 0.5,
    "training.momentum": 0.0,
    "training.learning_rate": 0.02,
    "training.precision": "float32",
    "training.embedding_dropout": 0.0,
    "training.hidden_dropout": 0.0,
}
CPU = torch.device("cpu")


@pytest.fixture
def static(monkeypatch: pytest.MonkeyPatch) -> None:
    """What GPUs do, on the CPU."""
    monkeypatch.setattr(trainer, "_engine_of", StaticEngine)
    monkeypatch.setattr(trainer, "_rank_engine_of", StaticRankEngine)


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=40, items=60, categories=3, seed=1)


def fitted(ranks: Ranks, log: pl.DataFrame, **how: object) -> g4r.GRU4Rec:
    config = g4r.Config().replace({**BASE, **how.pop("settings", {})})
    return g4r.GRU4Rec(config, device="cpu").fit(log, ranks=ranks, **how)


def weights_of(recommender: g4r.GRU4Rec) -> dict[str, torch.Tensor]:
    return recommender.model.state_dict()


def assert_equal_replicas(recommenders: list[g4r.GRU4Rec]) -> None:
    first, *others = map(weights_of, recommenders)
    for name, weight in first.items():
        for other in others:
            assert torch.equal(weight, other[name]), name


def assert_close(one: g4r.GRU4Rec, other: g4r.GRU4Rec, tolerance: float = 1e-5) -> None:
    for name, weight in weights_of(one).items():
        torch.testing.assert_close(
            weights_of(other)[name], weight, rtol=1e-3, atol=tolerance, msg=name
        )


def assert_learn_the_same(log: pl.DataFrame, size: int, tolerance: float = 1e-5, **how) -> None:
    one = fitted(ONE, log, **how)
    gone = together(size, lambda ranks: fitted(ranks, log, **how))
    assert_equal_replicas(gone)
    assert_close(one, gone[0], tolerance)
    losses = [row["loss"] for row in one.meta.history]
    assert [row["loss"] for row in gone[0].meta.history] == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training.lanes": 3, "training.steps": 1},
        {"encoder.embedding": "separate", "training.scoring": "dot", "training.loss": "bpr_max"},
        {"encoder.embedding": "onehot", "training.logq_form": "support"},
        {"encoder.num_layers": 2, "encoder.inputs": ["gap"], "training.lanes": 6},
        {"training.dense_optimizer": "adamw", "training.epochs": 1.5},
        {"training.momentum": 0.3, "training.schedule": "linear"},
        {"training.negatives": 0},
        {"training.negatives": 1000, "encoder.embedding": "separate"},
        {"training.negatives": 1000},
    ],
    ids=str,
)
def test_they_learn_what_one_process_learns(static, log, settings, size) -> None:
    assert_learn_the_same(log, size, settings=settings)


@pytest.mark.parametrize("name", [name for name in ENCODERS if ENCODERS[name].takes_lanes])
def test_every_encoder_that_takes_lanes(static, log, name) -> None:
    assert_learn_the_same(log, 2, settings={"encoder.name": name})


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(static, log, loss) -> None:
    settings = {"training.loss": loss, "training.scoring": "dot", "training.elu": 0.5}
    assert_learn_the_same(log, 2, settings=settings)


@pytest.mark.parametrize(("size", "lanes"), [(2, 3), (3, 8)])
@pytest.mark.parametrize("embedding", ["shared", "separate"])
def test_an_endless_session_is_learned_by_the_rank_that_has_it(
    static, size, lanes, embedding
) -> None:
    endless = [number % 7 for number in range(700)]
    log = clicks_of([[1, 2, 3], endless, *[[4, 5, 6, 2]] * 20])
    how = {"training.lanes": lanes, "encoder.embedding": embedding, "training.negatives": 4}
    assert_learn_the_same(log, size, 1e-4, settings=how)


def test_a_rank_that_has_nothing_of_a_window_takes_part(static) -> None:
    tiny = clicks_of([[1, 2, 3, 4, 5, 6, 7, 8], [2, 3]])
    assert_learn_the_same(tiny, 2, settings={"training.lanes": 2, "training.steps": 1})


@pytest.mark.parametrize("inputs", [(), ("type",)])
def test_so_does_one_that_has_nothing_at_all(static, inputs) -> None:
    tiny = clicks_of([[1, 2, 3, 4, 5, 6, 7, 8]])
    tiny = tiny.with_columns(type=pl.Series(list("ababcabc")))
    settings = {"training.lanes": 2, "training.steps": 3, "encoder.inputs": inputs}
    assert_learn_the_same(tiny, 2, settings=settings)


def test_windows_in_parts_are_windows_in_one_piece(static, log, monkeypatch) -> None:
    monkeypatch.setattr(static_windows, "_PLACES", 16 * 3)
    assert_learn_the_same(log, 2)


def test_no_two_ranks_drop_the_same(static, log) -> None:
    def dropped(ranks: Ranks) -> tuple[torch.Tensor, torch.Tensor]:
        step = engine_of(StaticRankEngine, log, ranks).step
        step.seed(7)
        return tuple(torch.rand(8, generator=random) for random in step.generators)

    (candidates, ours), (others, theirs) = together(2, dropped)
    assert torch.equal(candidates, others)
    assert not torch.equal(ours, theirs)
    assert not torch.equal(ours, candidates)


def test_with_dropout_replicas_are_equal_and_a_training_goes_on_to_the_bit(
    static, log, tmp_path
) -> None:
    how = {"settings": {"training.hidden_dropout": 0.3, "training.embedding_dropout": 0.3}}
    undisturbed = together(2, lambda ranks: fitted(ranks, log, **how))
    interrupted(log, tmp_path / "m", 2, **how)
    gone_on = together(2, lambda ranks: fitted(ranks, log, keep=tmp_path / "m", resume=True, **how))
    assert_equal_replicas([*undisturbed, *gone_on])


def interrupted(log: pl.DataFrame, keep: Path, size: int, windows: int = 7, **how) -> None:
    """Stop a training of so many ranks once the last of them asks for it."""

    def work(ranks: Ranks) -> None:
        asked = itertools.count(1)
        stopping = (lambda: next(asked) >= windows) if ranks.rank == size - 1 else lambda: False
        with pytest.raises(g4r.StoppedError):
            fitted(ranks, log, keep=keep, stopping=stopping, **how)

    together(size, work)


@pytest.mark.parametrize("name", ["gru", "attention_gru"])
@pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 1), (1, 3), (3, 2)])
def test_a_training_goes_on_with_any_number_of_ranks(
    static, log, tmp_path, name, before, after, caplog
) -> None:
    how = {"settings": {"encoder.name": name, "training.epochs": 2, "training.momentum": 0.2}}
    undisturbed = fitted(ONE, log, **how)
    interrupted(log, tmp_path / "m", before, **how)
    with caplog.at_level(logging.INFO, logger="gru4rec"):
        gone_on = together(
            after, lambda ranks: fitted(ranks, log, keep=tmp_path / "m", resume=True, **how)
        )
    assert_equal_replicas(gone_on)
    assert_close(undisturbed, gone_on[0])
    said = f"it was trained by {before} processes, and goes on by {after}"
    assert (said in caplog.text) == (before != after)


def test_all_diverge_at_once(static, log) -> None:
    def work(ranks: Ranks) -> None:
        with pytest.raises(g4r.DivergenceError):
            fitted(ranks, log, settings={"training.learning_rate": 1e39})

    together(2, work)


def engine_of(
    kind: type, log: pl.DataFrame, ranks: Ranks, device: torch.device = CPU, **changes: object
):
    """An engine of a rank with weights that all have."""
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


@pytest.mark.parametrize(("name", "kind"), [("gru", "runs"), ("narm", "stays packed")])
def test_what_reads_whole_sessions_stays_packed(log, name, kind) -> None:
    engine = engine_of(RankEngine, log, ThreadRanks(0, 2, None, None), **{"encoder.name": name})
    assert StaticEngine.runs(engine._learner, engine._batches) == (kind == "runs")
