"""Several ranks learn what one process does; here they are threads, see `rank_threads`."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_fits import (
    BASE,
    assert_close,
    assert_equal_replicas,
    assert_goes_on,
    assert_learn_the_same,
    fitted,
    interrupted,
)
from rank_threads import ThreadRanks, together
from toys import clicks_of

import gru4rec as g4r
from gru4rec.config import AUTO
from gru4rec.training import ONE, Ranks, TrainingLog
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.clock import Due
from gru4rec.training.dealt_log import DealtLog
from gru4rec.training.rank_batches import RankBatches


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=60, items=70, categories=3, seed=1)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"training.lanes": 3, "training.steps": 1},
        {"encoder.num_layers": 2, "encoder.inputs": ["gap"]},
        {"training.dense_optimizer": "adamw", "training.epochs": 1.5},
        {"encoder.name": "lstm", "encoder.embedding": "separate"},
        {"encoder.name": "attention_gru"},
        {"encoder.name": "narm"},
        {"encoder.name": "sasrec", "encoder.embedding": "separate"},
        {"training.negatives": 0, "training.steps": 2},
        {"training.neighbours": 100},
    ],
    ids=str,
)
def test_they_learn_what_one_process_learns(log, settings, size):
    assert_learn_the_same(log, size, settings=settings)


@pytest.mark.parametrize("name", ["gru", "narm"])
def test_an_endless_session_is_learned_by_the_rank_that_has_it(name):
    endless = [number % 7 for number in range(700)]
    log = clicks_of([[1, 2, 3], endless, *[[4, 5, 6, 2]] * 20])
    how = {"encoder.name": name, "encoder.max_length": 4}
    assert_learn_the_same(log, 2, 1e-4, settings=how)


def test_a_rank_that_has_nothing_of_a_window_takes_part(log):
    tiny = clicks_of([[1, 2, 3, 4, 5, 6, 7, 8], [2, 3]])
    assert_learn_the_same(tiny, 2, settings={"training.lanes": 2, "training.steps": 1})


@pytest.mark.parametrize("neighbours", [0, AUTO])
def test_repeats_smoothing_and_validation_are_those_of_one_process(log, neighbours):
    settings = {"encoder.repeats": True, "training.epochs": 2, "training.neighbours": neighbours}
    how = {"settings": settings, "valid": "20%"}
    one = fitted(ONE, log, **how)
    first, other = together(2, lambda ranks: fitted(ranks, log, **how))
    for two in (first, other):
        assert two.config == one.config
        assert two.meta.metrics == pytest.approx(one.meta.metrics, abs=0.02)
        assert (two.meta.repeats is None) == (one.meta.repeats is None)
        assert two.meta.counts == one.meta.counts
    assert first.meta.repeats == other.meta.repeats
    assert_equal_replicas([first, other])
    assert_close(one, first, 1e-4)


@given(
    lengths=st.lists(st.integers(2, 9), min_size=3, max_size=12),
    lanes=st.integers(3, 6),
    size=st.integers(2, 3),
    name=st.sampled_from(["gru", "narm"]),
    shared=st.booleans(),
)
@settings(max_examples=15)
def test_the_parts_of_a_batch_are_the_batch(lengths, lanes, size, name, shared):
    random = np.random.default_rng(sum(lengths))
    clicks = clicks_of([random.integers(0, 60, length).tolist() for length in lengths])
    asked = {**BASE, "training.lanes": lanes, "encoder.name": name, "training.negatives": 8}
    asked["encoder.embedding"] = "shared" if shared else "separate"
    config = g4r.Config().replace({**asked, "training.loss": "cross_entropy"})
    config = g4r.GRU4Rec(config, device="cpu").decide(clicks)
    log = TrainingLog.read(clicks, None)
    whole = TrainingBatches(log.sessions, log.catalog.support, config)

    def batches(ranks: Ranks) -> list:
        made = RankBatches(DealtLog.of(log, config, ranks), config)
        return [(made.windows.part(w), made.together(0, w, Due())) for w in range(len(made))]

    dealt = together(size, batches)
    for window in range(len(whole)):
        batch, width = whole.make(0, window), 0
        masked, targets = [], torch.full_like(batch.targets, -1)
        for ranks in range(size):
            part, made = dealt[ranks][window]
            own, width = made.own, len(made.own.candidates)
            assert made.clicks == len(batch.targets)
            assert torch.equal(own.candidates, batch.candidates)
            assert torch.equal(own.correction, batch.correction)
            assert torch.equal(own.input_rows, batch.input_rows)
            rows, read = torch.from_numpy(part.rows), torch.from_numpy(part.read)
            targets[rows] = own.targets
            assert torch.equal(own.inputs, batch.inputs[read])
            assert torch.equal(own.input_places, batch.input_places[read])
            masked.append(rows[own.masked // width] * width + own.masked % width)
        assert torch.equal(targets, batch.targets)
        assert torch.equal(torch.cat(masked).sort().values, batch.masked.sort().values)
        seeds = [made[window][1].own.seed for made in dealt]
        assert seeds[0] == batch.seed
        assert len(set(seeds)) == size


def test_each_rank_keeps_the_clicks_of_its_own_sessions(log):
    whole = TrainingLog.read(log, "10%")
    config = g4r.GRU4Rec(g4r.Config().replace(BASE), device="cpu").decide(log)
    parts = [DealtLog.of(whole, config, ThreadRanks(rank, 3, None, None)) for rank in range(3)]
    for name in ("sessions", "held_out"):
        kept = [set(getattr(part, name).session_ids) for part in parts]
        assert set.union(*kept) == set(getattr(whole, name).session_ids)
        assert sum(map(len, kept)) == len(getattr(whole, name))
    assert all(part.statistics == whole.statistics for part in parts)


@pytest.mark.parametrize("name", ["gru", "narm"])
@pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 1), (1, 3), (3, 2)])
def test_a_training_goes_on_with_any_number_of_ranks(log, tmp_path, name, before, after, caplog):
    how = {"settings": {"encoder.name": name, "training.epochs": 2, "training.momentum": 0.2}}
    assert_goes_on(log, tmp_path / "m", caplog, before=before, after=after, **how)


def test_with_dropout_a_training_goes_on_to_the_same_bits(log, tmp_path):
    how = {"settings": {"training.hidden_dropout": 0.3, "training.embedding_dropout": 0.3}}
    undisturbed = together(2, lambda ranks: fitted(ranks, log, **how))
    interrupted(log, tmp_path / "m", 2, **how)
    gone_on = together(2, lambda ranks: fitted(ranks, log, keep=tmp_path / "m", resume=True, **how))
    assert_equal_replicas([*undisturbed, *gone_on])


def test_all_diverge_at_once(log):
    def work(ranks: Ranks) -> None:
        with pytest.raises(g4r.DivergenceError):
            fitted(ranks, log, settings={"training.learning_rate": 1e39})

    together(2, work)


def test_the_first_rank_alone_reports(log):
    def work(ranks: Ranks) -> int:
        reports: list[object] = []
        fitted(ranks, log, on_progress=reports.append)
        return len(reports)

    first, other = together(2, work)
    assert first > 0
    assert other == 0


def test_fewer_lanes_than_ranks_are_refused(log):
    def work(ranks: Ranks) -> None:
        with pytest.raises(g4r.ConfigError, match="lanes") as refused:
            fitted(ranks, log, settings={"training.lanes": 1})
        assert "lanes" in refused.value.mend_with

    together(2, work)


def test_another_log_is_refused(log):
    with pytest.raises(g4r.DataError, match="rank 1 has read another log"):
        together(2, lambda ranks: fitted(ranks, log if ranks.is_first else log.head(200)))


def test_other_settings_are_refused(log):
    def work(ranks: Ranks) -> None:
        fitted(ranks, log, settings={"training.epochs": 1 + ranks.rank})

    with pytest.raises(g4r.ConfigError, match=r"rank 1 was asked for another training\.epochs"):
        together(2, work)
