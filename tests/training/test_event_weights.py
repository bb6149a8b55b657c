"""Training by types of events: ratios of weights count; what weighs nothing is read alone."""

import numpy as np
import polars as pl
import pytest
import torch
from toys import TINY

import gru4rec as g4r
from gru4rec.evaluation import backtest
from gru4rec.training import TrainingLog
from gru4rec.training.batch import TrainingBatches

SETTINGS = {**TINY, "training.event_column": "type"}


@pytest.fixture(scope="module")
def typed(log: pl.DataFrame) -> pl.DataFrame:
    """Every third click of the log is a buy."""
    is_buy = pl.int_range(pl.len()) % 3 == 2
    return log.with_columns(type=pl.when(is_buy).then(pl.lit("buy")).otherwise(pl.lit("view")))


def learned(log: pl.DataFrame, **settings: object) -> torch.Tensor:
    config = g4r.Config().replace({**SETTINGS, **settings})
    return g4r.GRU4Rec(config, device="cpu").fit(log).model.output_table.detach()


@pytest.mark.parametrize("loss", ["cross_entropy", "bpr_max"])
def test_equal_weights_learn_what_no_weights_do(typed, loss):
    settings = {"training.loss": loss, "training.precision": "float32"}
    plain = learned(typed, **settings, **{"training.event_column": ""})
    for weights in ({}, {"view": 3.0, "buy": 3.0}):
        weighted = learned(typed, **settings, **{"training.event_weights": weights})
        assert torch.allclose(weighted, plain, atol=2e-4)


def test_only_the_ratio_of_weights_counts(typed):
    one, ten = (
        learned(typed, **{"training.event_weights": {"view": size, "buy": 4 * size}})
        for size in (1.0, 10.0)
    )
    assert torch.allclose(one, ten, atol=2e-4)
    assert not torch.allclose(one, learned(typed), atol=2e-2)


def batches_of(log: TrainingLog, **settings: object) -> TrainingBatches:
    config = g4r.Config().replace({**SETTINGS, "training.sample_alpha": 0.5, **settings})
    return TrainingBatches(log.sessions, log.catalog.support, config)


def test_each_click_of_a_batch_has_the_weight_of_its_target(typed):
    config = g4r.Config().replace({**SETTINGS, "training.target_events": ["buy"]})
    log = TrainingLog.read(typed, None, config)
    batches, seen = batches_of(log), 0
    for window in range(len(batches)):
        weights = batches.make(0, window).weights
        places = batches.windows[window].clicks + 1
        is_buy = log.sessions.weights[places] > 0
        assert np.array_equal(weights.numpy() > 0, is_buy)
        seen += int(is_buy.sum())
    assert seen == len(log.sessions.prefixes())
    assert len(log.sessions) < typed["session_id"].n_unique()


def test_weights_are_one_on_average_over_the_targets_of_a_log(typed):
    config = g4r.Config().replace({**SETTINGS, "training.event_weights": {"buy": 7.0}})
    log = TrainingLog.read(typed, None, config)
    batches = batches_of(log)
    total = sum(float(batches.make(0, window).weights.sum()) for window in range(len(batches)))
    assert total == pytest.approx(len(log.sessions.items) - len(log.sessions), rel=1e-5)


def test_it_learns_what_buys_follow(typed):
    """Buys are of one item, which views never are: weighed alone, it is always the answer."""
    is_buy = pl.col("type") == "buy"
    log = typed.with_columns(item_id=pl.when(is_buy).then(pl.lit("bought")).otherwise("item_id"))
    settings = {**SETTINGS, "training.target_events": ["buy"], "training.epochs": 10}
    fitted = g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(log)
    best = fitted.recommend([[item] for item in log["item_id"].unique(maintain_order=True)[:20]], 1)
    assert set(best["item_id"]) == {"bought"}


def test_what_is_held_out_has_targets_of_weight_only(typed):
    config = g4r.Config().replace({**SETTINGS, "training.target_events": ["buy"]})
    held_out = TrainingLog.read(typed, "20%", config).held_out
    assert held_out is not None
    assert set(held_out.weights[held_out.prefixes() + 1]) == {1.0}
    assert set(held_out.weights) == {0.0, 1.0}


def test_an_update_weighs_too_and_needs_the_column(typed):
    settings = {**SETTINGS, "training.event_weights": {"buy": 5.0}}
    fitted = g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(typed, updatable=True)
    with pytest.raises(g4r.DataError, match="lacks the column 'type'"):
        fitted.update(typed.drop("type"))
    before = fitted.model.output_table.detach().clone()
    fitted.update(typed)
    assert not torch.equal(before, fitted.model.output_table)


def test_a_log_whose_targets_weigh_nothing_is_refused(typed):
    config = g4r.Config().replace({**SETTINGS, "training.event_weights": {"buy": 0.0, "view": 0.0}})
    with pytest.raises(g4r.DataError, match="no click after the first of its session has a weight"):
        g4r.GRU4Rec(config, device="cpu").fit(typed)


@pytest.mark.parametrize(
    "settings",
    [
        {"training.event_weights": {"buy": -1.0}},
        {"training.event_weights": {"buy": float("nan")}},
        {"training.event_weights": {"buy": 1.0}, "training.event_column": ""},
        {"training.target_events": ["buy"], "training.event_column": ""},
    ],
)
def test_settings_that_say_nothing_are_refused_in_one_line(settings):
    with pytest.raises(g4r.ConfigError) as refused:
        g4r.Config().replace({**SETTINGS, **settings})
    assert len(str(refused.value).splitlines()) == 1


def test_resume_refuses_other_weights(typed, tmp_path):
    settings = {**SETTINGS, "training.event_weights": {"buy": 5.0}}
    stop = {"stopping": lambda: True, "keep": tmp_path / "model"}
    with pytest.raises(g4r.StoppedError):
        g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(typed, **stop)
    other = typed.with_columns(type=pl.col("type").reverse())
    with pytest.raises((g4r.ConfigError, g4r.CheckpointError), match="another log"):
        g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(
            other, keep=tmp_path / "model", resume=True
        )


def test_a_type_that_is_held_out_alone_is_there(typed):
    newest = pl.col("session_id") == typed["session_id"].max()
    log = typed.with_columns(type=pl.when(newest).then(pl.lit("buy")).otherwise(pl.lit("view")))
    settings = {**SETTINGS, "training.event_weights": {"buy": 5.0}, "training.epochs": 1}
    fitted = g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(log, valid="10%")
    assert fitted.meta.metrics


def test_a_name_is_a_type_of_whole_numbers_only_if_it_is_one(typed):
    log = typed.with_columns(type=pl.lit(1))
    with pytest.raises(g4r.DataError, match=r"no event of type '1\.5'"):
        learned(log, **{"training.event_weights": {"1.5": 0.0}})
    with pytest.raises(g4r.DataError, match="the same type"):
        learned(log, **{"training.event_weights": {"1": 2.0, "1.0": 3.0}})


def test_a_checkpoint_with_types_is_shrunk_and_learns_by_them(typed):
    settings = {**SETTINGS, "training.rewards": {"buy": 2.0}, "training.target_events": ["buy"]}
    fitted = g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(typed)
    small = g4r.shrink(fitted, sparsity=0.5, train=typed)
    assert small.meta.stored_as["sparsity"] == "0.5"


def test_a_backtest_measures_buys_alone_of_every_way(typed):
    config = g4r.Config().replace({**SETTINGS, "training.target_events": ["buy"]})
    asked = {"train": "5d", "every": "3d", "ways": ["stale"], "baselines": ["markov"]}
    for table in backtest(typed, config=config, **asked):
        counts = table.filter(metric="recall_all")["num_targets"]
        assert counts.max() < 1.1 * counts.min()  # not of all clicks, which are three times as many
