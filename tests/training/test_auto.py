"""The rules that decide what a config leaves out."""

import dataclasses
import logging

import pytest
from toys import clicks_of

import gru4rec as g4r
from gru4rec.config import AUTO
from gru4rec.sessions import to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.training.auto import RULES, LogStatistics, resolve


def log_of(pairs: int, items: int = 1000) -> LogStatistics:
    return LogStatistics(clicks=2 * pairs, sessions=pairs, items=items, pairs=pairs)


FITTED = {
    1: [],
    40: [],
    50_000: ["neighbours", "smoothing"],
    1_000_000: ["smoothing"],
    10**9: ["smoothing"],
}


@pytest.mark.parametrize("pairs", FITTED)
def test_every_open_setting_is_decided_within_its_bounds_for_logs_of_any_size(pairs):
    config, choices = resolve(g4r.Config(), log_of(pairs))
    for section in (config.encoder, config.training):
        left = [f.name for f in dataclasses.fields(section) if getattr(section, f.name) is AUTO]
        if section is config.encoder:
            assert left == ["embedding_size"]
        else:  # they are fitted where something is held out
            assert left == FITTED[pairs]
    decided = [choice.setting for choice in choices]
    last = [f"training.{name}" for name in ("smoothing", "neighbours") if name not in FITTED[pairs]]
    assert decided == [*(rule.setting for rule in RULES), "training.precision", *last]


def test_a_setting_given_is_kept():
    config, choices = resolve(g4r.Config().replace({"training.epochs": 3}), log_of(1000))
    assert config.training.epochs == 3
    assert "training.epochs" not in [choice.setting for choice in choices]


def test_small_logs_get_more_epochs_and_more_dropout():
    small, large = (resolve(g4r.Config(), log_of(pairs))[0].training for pairs in (50_000, 10**7))
    assert small.epochs == 12
    assert large.epochs == 2
    assert small.hidden_dropout == 0.4
    assert large.hidden_dropout < 0.2


def test_large_catalogs_get_more_negatives_where_time_allows():
    def negatives(pairs: int, items: int) -> int:
        return resolve(g4r.Config(), log_of(pairs, items))[0].training.negatives

    assert negatives(50_000, 3_000) == 2048
    assert negatives(500_000, 40_960) == 10_240
    assert negatives(500_000, 10**6) == 16_384
    # 2 epochs over 10 million pairs: 10¹¹ scores are 5,000 for each
    assert negatives(10**7, 10**6) == 256 * round(5_000 / 256)
    assert negatives(10**9, 10**6) == 2048


def test_every_rule_says_why():
    assert all(len(rule.choice(log_of(1000)).reason) > 10 for rule in RULES)


def test_repeats_are_fitted_where_enough_can_be_held_out_and_the_reason_says_how_many_there_are():
    def of(pairs: int):
        log = LogStatistics(clicks=2 * pairs, sessions=pairs, items=10, pairs=pairs, returns=900)
        (choice,) = (c for c in resolve(g4r.Config(), log)[1] if c.setting == "encoder.repeats")
        return choice.value, choice.reason

    assert of(999) == (False, "fewer than 1,000 next clicks: too few to hold some out")
    assert of(6000)[0] is True
    assert "15% of next clicks return to an item" in of(6000)[1]


def test_returns_are_the_next_clicks_on_an_item_that_the_session_had():
    log = clicks_of([["a", "b", "a", "a"], ["c", "a"], ["b", "c", "b"]]).lazy()
    catalog = Catalog.of(log)
    assert LogStatistics.of(to_arrays(log, catalog).with_targets(), catalog).returns == 3


def test_statistics_count_pairs_of_sessions_with_two_clicks_and_the_clicks_of_all():
    log = clicks_of([["a", "b", "c"], ["a"], ["b", "a"]]).lazy()
    catalog = Catalog.of(log)
    found = LogStatistics.of(to_arrays(log, catalog).with_targets(), catalog)
    assert found == LogStatistics(clicks=6, sessions=2, items=3, pairs=3)


def test_the_choices_and_their_reasons_are_told(caplog):
    with caplog.at_level(logging.INFO, logger="gru4rec"):
        g4r.GRU4Rec(g4r.Config().replace({"training.epochs": 1})).fit(clicks_of([["a", "b"]] * 3))
    for rule in RULES:
        assert (rule.setting in caplog.text) == (rule.setting != "training.epochs")
    assert RULES[0].reason in caplog.text


def test_bf16_is_for_devices_that_multiply_it_and_a_choice_given_is_kept():
    for fast, precision in ((True, "bf16"), (False, "float32")):
        config, choices = resolve(g4r.Config(), log_of(1000), fast_bf16=fast)
        assert config.training.precision == precision
        assert ("training.precision", precision) in [(c.setting, c.value) for c in choices]
    asked = g4r.Config().replace({"training.precision": "float32"})
    assert resolve(asked, log_of(1000), fast_bf16=True)[0].training.precision == "float32"


def test_a_gpu_makes_as_many_updates_of_more_lanes_and_fewer_steps():
    for pairs in (1000, 50_000, 1_000_000):
        (cpu, gpu) = (
            resolve(g4r.Config(), log_of(pairs), on_gpu=on_gpu)[0].training
            for on_gpu in (False, True)
        )
        assert cpu.lanes * cpu.steps == gpu.lanes * gpu.steps
        assert gpu.steps == 4


def test_a_gpu_scores_small_catalogs_as_a_whole():
    def negatives(items: int) -> int:
        return resolve(g4r.Config(), log_of(10**6, items), on_gpu=True)[0].training.negatives

    assert negatives(100) == 2048
    assert negatives(30_000) == 30_000
    assert negatives(10**6) < 50_000


@pytest.mark.parametrize(
    "given", [{"training.lanes": 100}, {"training.steps": 1}, {"encoder.name": "sasrec"}], ids=str
)
def test_lanes_and_steps_of_a_gpu_go_together(given):
    asked = g4r.Config().replace(given)
    theirs, ours = (
        resolve(asked, log_of(10**6), on_gpu=on_gpu)[0].training for on_gpu in (False, True)
    )
    assert (ours.lanes, ours.steps) == (theirs.lanes, theirs.steps)
