"""Several ranks learn what one process does of all that a log tells besides clicks."""

import re
import threading

import polars as pl
import pytest
from rank_fits import (
    BASE,
    assert_equal_replicas,
    assert_goes_on,
    assert_learn_the_same,
    fitted,
)
from rank_threads import ThreadRanks, together
from toys import clicks_of

import gru4rec as g4r
from gru4rec.training import ONE, Ranks, TrainingLog, q_learning
from gru4rec.training.batch import TrainingBatches
from gru4rec.training.dealt_log import DealtLog
from gru4rec.training.placing import Placing
from gru4rec.training.rank_batches import RankBatches


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    """Two sessions of each user; every third click is a buy, every fifth session unknown."""
    session, row = pl.col("session_id"), pl.int_range(pl.len())
    return g4r.generate_clicks(sessions=60, items=70, categories=3, seed=1).with_columns(
        user=session // 2,
        kind=pl.when(row % 3 == 2).then(pl.lit("buy")).otherwise(pl.lit("view")),
        bought=pl.when(session % 5 != 0).then(session % 3 == 1),
    )


@pytest.fixture(scope="module")
def items(log: pl.DataFrame) -> pl.DataFrame:
    """Two attributes of each item."""
    item = pl.col("item_id")
    return log.select(item.unique()).with_columns(
        kind=item.hash(1) % 4, price=(item.hash(2) % 100).cast(pl.Float64)
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"training.event_column": "kind", "training.event_weights": {"buy": 5.0}},
        {"training.event_column": "kind", "training.target_events": ["buy"]},
        {"encoder.user_column": "user"},
        {"encoder.user_column": "user", "encoder.name": "narm"},
        {"training.outcome": "bought", "training.outcome_weight": 0.5},
        {"training.outcome": "bought", "training.outcome_weight": 1.0},
        {"training.teachers": 1, "training.negatives": 8},
        {"training.teachers": 2, "encoder.repeats": True, "training.epochs": 2},
        {
            "training.event_column": "kind",
            "training.event_weights": {"buy": 5.0},
            "training.outcome": "bought",
            "encoder.user_column": "user",
            "training.teachers": 1,
            "encoder.inputs": ["kind"],
        },
    ],
    ids=str,
)
def test_whatever_the_log_tells_besides(log, settings):
    # Ties between what teachers name are decided by the order of sums.
    tolerance = 0.02 if "training.teachers" in settings else 1e-5
    assert_learn_the_same(log, 3, tolerance, settings=settings)


@pytest.mark.parametrize("embedding", ["shared", "separate"])
def test_items_are_placed_alike_by_their_attributes(log, items, embedding):
    settings = {"training.own_row_dropout": 0.0, "encoder.embedding": embedding}
    settings["training.scoring"] = "dot"  # with biases
    assert_learn_the_same(log, 2, settings=settings, item_features=items)


def test_a_second_loss_for_attributes_counts_as_by_one_process(log, items, monkeypatch):
    counted: dict[int, list[float]] = {}
    alone = Placing.loss_alone

    def loss_alone(self, batch, *args):
        loss = alone(self, batch, *args)
        counted.setdefault(threading.get_ident(), []).append(loss.item() * len(batch.targets))
        return loss

    monkeypatch.setattr(Placing, "loss_alone", loss_alone)
    settings = {"training.own_row_dropout": 0.3, "training.lanes": 8, "training.steps": 4}
    how = {"settings": settings, "item_features": items}
    sums = []
    for size in (1, 4):
        counted.clear()
        assert_equal_replicas(together(size, lambda ranks: fitted(ranks, log, **how)))
        sums.append(sum(map(sum, counted.values())))
    assert sums[1] == pytest.approx(sums[0], rel=0.15)


def test_rewards_are_learned_alike(log, monkeypatch):
    monkeypatch.setattr(q_learning, "_NEGATIVES", 0)  # these are drawn by each rank for itself
    settings = {
        "training.event_column": "kind",
        "training.rewards": {"buy": 1.0},
        "training.q_scores": True,
    }
    assert_learn_the_same(log, 2, settings=settings)


def test_rewards_with_actions_not_taken_leave_all_ranks_equal(log):
    settings = {"training.event_column": "kind", "training.rewards": {"buy": 1.0}}
    first, other = together(2, lambda ranks: fitted(ranks, log, settings=settings))
    assert_equal_replicas([first, other])


def test_an_outcome_is_foretold_as_by_one_process(log):
    settings = {"training.outcome": "bought", "training.epochs": 2}

    def told(ranks: Ranks) -> dict[bool, float]:
        session = fitted(ranks, log, settings=settings).start_session()
        session.click(log["item_id"][0])
        return session.outcome()

    alone = told(ONE)
    assert sum(alone.values()) == pytest.approx(1)
    for ours in together(2, told):
        assert ours == pytest.approx(alone, abs=1e-3)


@pytest.mark.parametrize(("before", "after"), [(2, 3), (1, 2), (2, 1)])
def test_a_teacher_that_was_interrupted_goes_on_with_any_number_of_ranks(
    log, tmp_path, before, after, caplog
):
    how = {"settings": {"training.teachers": 2, "training.negatives": 8}}
    stopped = {"before": before, "after": after, "windows": 30, "tolerance": 0.02}
    assert_goes_on(log, tmp_path / "m", caplog, **stopped, **how)
    assert re.search(r"going on in epoch 1, window \d+ of teacher 2 of 2\n", caplog.text)


def test_a_rank_without_a_session_knows_whether_targets_are_weighted():
    log = clicks_of([["a", "b", "c"]]).with_columns(kind=pl.Series(["view", "view", "buy"]))
    settings = {"training.event_column": "kind", "training.event_weights": {"buy": 5.0}}
    config = g4r.Config().replace({**BASE, **settings, "training.lanes": 2})
    config = g4r.GRU4Rec(config, device="cpu").decide(log)
    whole = TrainingLog.read(log, None, config)
    assert TrainingBatches(whole.sessions, whole.catalog.support, config).are_weighted
    for rank in range(2):
        dealt = DealtLog.of(whole, config, ThreadRanks(rank, 2, None, None))
        assert RankBatches(dealt, config).are_weighted
