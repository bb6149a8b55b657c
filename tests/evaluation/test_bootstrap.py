"""Intervals by drawing sessions again."""

import math

import numpy as np
import pytest

from gru4rec.evaluation.bootstrap import Resamples, interval


def means_of(resamples: Resamples, values: np.ndarray, sessions: np.ndarray) -> np.ndarray:
    return resamples.means([resamples.grouped(sessions, values)], [resamples.grouped(sessions)])[0]


def test_values_that_are_all_equal_have_no_spread():
    means = means_of(Resamples(50), np.ones(200), np.repeat(np.arange(50), 4))
    assert interval(means) == (1, 1)


def test_an_interval_of_independent_values_is_that_of_the_normal_law():
    values = np.random.default_rng(1).random(10_000) < 0.3
    low, high = interval(means_of(Resamples(10_000), values.astype(float), np.arange(10_000)))
    half = 1.96 * math.sqrt(0.3 * 0.7 / 10_000)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)
    assert low < values.mean() < high


def test_targets_of_a_session_are_drawn_together():
    # 100 sessions of 100 equal targets are worth 100 values, not 10 000.
    each = np.random.default_rng(1).random(100) < 0.5
    values, sessions = np.repeat(each, 100).astype(float), np.repeat(np.arange(100), 100)
    low, high = interval(means_of(Resamples(100), values, sessions))
    assert (high - low) / 2 == pytest.approx(1.96 * 0.5 / 10, rel=0.15)


def test_sessions_weigh_by_their_targets():
    means = means_of(
        Resamples(2, draws=2000), np.array([1.0, 0.0, 0.0, 0.0]), np.array([0, 1, 1, 1])
    )
    assert set(np.round(means, 6)) == {0, 0.25, 1}  # both of one session, one of each


def test_draws_without_targets_are_left_out():
    means = means_of(Resamples(3), np.array([0.5]), np.array([0]))
    assert np.isnan(means).any()
    assert interval(means) == (0.5, 0.5)
    assert all(map(math.isnan, interval(np.full(3, np.nan))))


def test_many_pairs_are_drawn_alike(monkeypatch):
    random = np.random.default_rng(1)
    pairs = [(random.random(20), random.integers(0, 5, 20)) for _ in range(7)]
    expected = [means_of(Resamples(5), *pair) for pair in pairs]
    monkeypatch.setattr("gru4rec.evaluation.bootstrap._TOGETHER", 3)
    resamples = Resamples(5)
    sums = [resamples.grouped(sessions, values) for values, sessions in pairs]
    counts = [resamples.grouped(sessions) for _, sessions in pairs]
    assert np.allclose(resamples.means(sums, counts), expected, equal_nan=True)


def test_the_same_draws_come_again():
    values, sessions = np.arange(9.0), np.arange(9)
    first, again = (means_of(Resamples(9), values, sessions) for _ in range(2))
    assert np.array_equal(first, again)
