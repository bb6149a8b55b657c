"""Several ranks learn what one process does of all that a log tells besides clicks."""

import polars as pl
import pytest
from rank_fits import (
    assert_close,
    assert_equal_replicas,
    assert_learn_the_same,
    fitted,
    interrupted,
    weights_of,
)
from rank_threads import together

import gru4rec as g4r
from gru4rec.training import ONE, Ranks, q_learning
from gru4rec.training.snapshot import load_snapshot


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
    assert_learn_the_same(log, 3, settings=settings)


@pytest.mark.parametrize("embedding", ["shared", "separate"])
def test_items_are_placed_alike_by_their_attributes(log, items, embedding):
    settings = {"training.own_row_dropout": 0.0, "encoder.embedding": embedding}
    settings["training.scoring"] = "dot"  # with biases
    assert_learn_the_same(log, 2, settings=settings, item_features=items)


def test_a_second_loss_for_attributes_leaves_all_ranks_equal(log, items):
    how = {"settings": {"training.own_row_dropout": 0.5}, "item_features": items}
    first, other = together(2, lambda ranks: fitted(ranks, log, **how))
    assert_equal_replicas([first, other])
    alone = fitted(ONE, log, **how)
    apart = weights_of(alone)["output_table"] - weights_of(first)["output_table"]
    assert apart.norm() < 0.5 * weights_of(alone)["output_table"].norm()


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
    log, tmp_path, before, after
):
    how = {"settings": {"training.teachers": 2, "training.negatives": 8}}
    undisturbed = fitted(ONE, log, **how)
    interrupted(log, tmp_path / "m", before, windows=30, **how)
    assert load_snapshot(tmp_path / "m").run == "teacher 2 of 2"
    gone_on = together(
        after, lambda ranks: fitted(ranks, log, keep=tmp_path / "m", resume=True, **how)
    )
    assert_equal_replicas(gone_on)
    assert_close(undisturbed, gone_on[0])
