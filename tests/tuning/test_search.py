"""A search for settings: what it tries, what it holds, how it goes on."""

import sys
from typing import Any

import pytest
from toys import TINY

import gru4rec as g4r
from gru4rec.tuning import search
from gru4rec.tuning.search import tune
from gru4rec.tuning.search_space import SPACE, Dimension, suggest

optuna = pytest.importorskip("optuna")

HELD = {"encoder.hidden_size": 8, "training.epochs": 2, "training.negatives": 16}
BASE = g4r.Config().replace(HELD)
RATES = {
    **TINY,
    **HELD,
    "training.loss": "cross_entropy",
    "training.scoring": "cosine",
    "training.scale": 16.0,
    "training.sample_alpha": 0.5,
    "training.momentum": 0.1,
    "training.schedule": "constant",
    "training.embedding_dropout": 0.1,
    "training.hidden_dropout": 0.1,
    "training.logq": 0.9,
}
"""Holds all of the space but the learning rate."""


@pytest.mark.parametrize(("sessions", "fitted"), [(500, True), (60, False)])
def test_what_is_fitted_with_a_head_stays_open_in_what_is_found(sessions, fitted):
    """A tiny log is asked about as a whole instead."""
    log = g4r.generate_clicks(sessions=sessions, items=60, categories=3, seed=1)
    names = ("encoder.repeats", "training.smoothing", "training.neighbours")
    found = tune(log, config=BASE.replace(dict.fromkeys(names)), trials=1).config
    assert found.encoder.repeats is fitted
    assert (found.training.smoothing is None) is fitted
    assert (found.training.neighbours is None) is fitted
    assert fitted or found.training.neighbours > 0


def test_with_teachers_the_losses_that_cannot_be_taught_are_not_tried(log):
    found = tune(log, config=BASE.replace({"training.teachers": 1}), trials=8)
    assert "training.loss" not in found.trials.columns
    assert found.config.training.loss == "cross_entropy"
    assert set(found.trials["state"]) <= {"complete", "pruned"}


def test_the_first_trial_is_that_of_auto_and_the_best_is_no_worse(log):
    found = tune(log, config=BASE, trials=3)
    first = found.trials.filter(trial=0)
    by_auto = g4r.GRU4Rec(BASE).decide(log).training
    for name in ("loss", "scoring", "scale", "lanes", "steps", "learning_rate", "momentum"):
        assert first[f"training.{name}"].item() == getattr(by_auto, name)
    assert found.trials["mrr@20"][0] >= first["mrr@20"].item()
    assert found.trials.height == 3


def test_the_config_found_is_whole_and_gives_the_measure_of_its_trial(log):
    found = tune(log, valid="10%", config=BASE, trials=2)
    best = found.trials.row(0, named=True)
    assert found.config.training.learning_rate == best["training.learning_rate"]
    assert found.config.encoder.hidden_size == 8
    again = g4r.GRU4Rec(found.config).fit(log, valid="10%")
    assert again.meta.metrics["mrr@20"] == pytest.approx(best["mrr@20"])


def test_what_is_fitted_on_held_out_sessions_is_left_to_the_training_with_the_config_found():
    log = g4r.generate_clicks(sessions=400, items=40, categories=3, seed=1)  # enough to hold out
    found = tune(log, valid="10%", config=BASE, trials=1)
    assert found.config.encoder.repeats is True
    assert found.config.training.smoothing is None
    given = BASE.replace({"training.smoothing": 0.2})
    assert tune(log, valid="10%", config=given, trials=1).config.training.smoothing == 0.2


def test_what_the_config_gives_is_held_and_the_rest_is_searched(log):
    found = tune(log, config=g4r.Config().replace(RATES), trials=3)
    assert set(found.trials.columns) == {
        "trial", "state", "epochs", "mrr@20", "training.learning_rate", "training.bpreg",
        "training.elu", "training.final_rate",
    }  # fmt: skip
    assert found.trials["training.learning_rate"].n_unique() == 3
    assert found.trials["training.bpreg"].null_count() == 3  # of no use to cross-entropy
    assert found.config.training.logq == 0.9


def test_a_search_stopped_goes_on_from_its_file(log, tmp_path):
    study = tmp_path / "study"
    first = tune(log, config=BASE, trials=2, study=study)
    seen: list[Any] = []
    second = tune(log, config=BASE, trials=4, study=study, on_trial=seen.append)
    assert [trial.number for trial in seen] == [2, 3]
    assert second.trials.filter(second.trials["trial"] < 2).height == first.trials.height
    assert tune(log, config=BASE, trials=4, study=study).trials.equals(second.trials)


def test_a_stretch_of_a_search_does_not_draw_what_an_earlier_one_drew(log, tmp_path):
    config = g4r.Config().replace({**RATES, "training.epochs": 1})
    for trials in (2, 3, 4):
        found = tune(log, config=config, trials=trials, study=tmp_path / "study")
    assert found.trials["training.learning_rate"].n_unique() == 4


def test_a_trial_that_was_killed_is_tried_again(log, tmp_path, monkeypatch):
    study = tmp_path / "study"

    def die(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search.GRU4Rec, "fit", die)
        with pytest.raises(KeyboardInterrupt):
            tune(log, config=BASE, trials=1, study=study)
    found = tune(log, config=BASE, trials=1, study=study)
    assert found.trials["training.learning_rate"].to_list() == [0.1]  # that of auto


@pytest.mark.parametrize("change", ["log", "settings"])
def test_a_file_of_another_search_is_refused(log, tmp_path, change):
    study = tmp_path / "study"
    tune(log, config=BASE, trials=1, study=study)
    other = log.slice(50) if change == "log" else log
    config = BASE.replace({"seed": 3}) if change == "settings" else BASE
    with pytest.raises(g4r.ConfigError, match="study"):
        tune(other, config=config, trials=2, study=study)


def test_a_file_that_is_no_search_is_refused(log, tmp_path):
    (tmp_path / "study").write_text("not a journal\n")
    with pytest.raises(g4r.ConfigError, match="cannot use"):
        tune(log, config=BASE, trials=1, study=tmp_path / "study")


def test_trials_that_fall_behind_or_diverge_are_pruned(log, monkeypatch):
    config = g4r.Config().replace({**RATES, "training.epochs": 3, "training.patience": 3})
    rates = iter([0.1] * 5 + [1e-9, 1e39])
    monkeypatch.setattr(search, "suggest", lambda *args: {"training.learning_rate": next(rates)})
    monkeypatch.setattr(search, "SPACE", {"training.learning_rate": Dimension(low=1e-9, high=1)})
    found = tune(log, config=config, trials=7)
    states = dict(found.trials.select("trial", "state").iter_rows())
    assert states == {**dict.fromkeys(range(5), "complete"), 5: "pruned", 6: "pruned"}
    assert found.trials.filter(trial=5)["epochs"].item() == 1
    assert found.trials.filter(trial=6)["mrr@20"].item() is None


def test_impossible_searches_are_refused(log):
    with pytest.raises(g4r.DataError, match="got 0"):
        tune(log, config=BASE, trials=0)
    everything = {
        **RATES,
        "training.learning_rate": 0.2,
        "training.bpreg": 0.5,
        "training.elu": 0.5,
        "training.final_rate": 0.7,
    }
    with pytest.raises(g4r.ConfigError, match="leave some out"):
        tune(log, config=g4r.Config().replace(everything), trials=1)


def test_without_optuna_it_says_what_to_install(log, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(g4r.MissingExtraError, match=r"pip install 'gru4rec\[tune\]'"):
        tune(log, config=BASE, trials=1)


@pytest.mark.parametrize("number", range(20))
def test_every_draw_of_the_space_makes_a_config(number):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number))
    found = suggest(study.ask(), SPACE, {})
    config = g4r.Config().replace(found)
    assert ("training.scale" in found) == (config.training.scoring == "cosine")
    assert ("training.bpreg" in found) == (config.training.loss == "bpr_max")


@pytest.mark.parametrize(
    ("dimension", "value", "nearest"),
    [
        (Dimension(low=0.0, high=0.5, step=0.05), 0.22, 0.2),
        (Dimension(low=0.0, high=0.5, step=0.05), 0.7, 0.5),
        (Dimension(low=0.01, high=0.3), 0.123, 0.123),
        (Dimension(choices=(32, 16)), 16, 16),
        (Dimension(choices=(32, 16)), 20, 32),
    ],
)
def test_the_nearest_value_that_is_tried(dimension, value, nearest):
    assert dimension.nearest(value) == nearest
