"""AUC, log loss and calibration error, worked out on paper."""

import math

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from gru4rec.evaluation.outcome_metrics import auc, calibration_error, reliability, surprises


def both(positive: list[float]) -> np.ndarray:
    """The probabilities of two classes, given that of the positive one."""
    shares = np.array(positive)
    return np.stack((1 - shares, shares), axis=1)


def test_auc_is_the_share_of_pairs_in_which_the_positive_one_is_ahead():
    # pairs: (.8, .3) and (.8, .5) are right, (.4, .3) is right, (.4, .5) is wrong
    shares = both([0.8, 0.3, 0.4, 0.5])
    assert auc(shares, np.array([1, 0, 1, 0])) == pytest.approx(3 / 4)


def test_ties_count_half():
    assert auc(both([0.5, 0.5, 0.9]), np.array([1, 0, 0])) == pytest.approx(0.5 / 2)
    assert auc(both([0.2] * 6), np.array([1, 0, 0, 1, 1, 0])) == 0.5


def test_auc_of_one_class_alone_is_no_number():
    assert math.isnan(auc(both([0.5, 0.6]), np.array([1, 1])))


def test_auc_of_three_classes_is_the_mean_of_each_against_the_rest():
    # class 0: .6 of the 0 is ahead of .2 and .3 → 1; class 1: .5 is behind no one but tied → below
    shares = np.array([[0.6, 0.2, 0.2], [0.2, 0.5, 0.3], [0.3, 0.5, 0.2]])
    # class 1: .5 against .2 (right) and .5 (half) → .75; class 2: .2 against .2 (half), .3 (wrong)
    assert auc(shares, np.array([0, 1, 2])) == pytest.approx((1 + 0.75 + 0.25) / 3)


def test_surprise_is_minus_the_log_of_what_came_and_never_infinite():
    found = surprises(both([0.25, 0.25, 0.0]), np.array([1, 0, 1]))
    assert found == pytest.approx([math.log(4), math.log(4 / 3), -math.log(1e-15)])


def test_calibration_error_weighs_the_bins_by_their_clicks():
    # bin of .1: foretold .1, came 1 of 3; bin of .9: foretold .9, came 1 of 1
    shares, outcomes = both([0.1, 0.1, 0.1, 0.9]), np.array([1, 0, 0, 1])
    assert calibration_error(shares, outcomes) == pytest.approx(3 / 4 * (1 / 3 - 0.1) + 1 / 4 * 0.1)
    bins = reliability(shares, outcomes)
    assert bins.foretold == pytest.approx([0.1, 0.9])
    assert bins.came == pytest.approx([1 / 3, 1.0])
    assert bins.counts.tolist() == [3, 1]


def test_a_sure_probability_stands_in_the_last_bin():
    assert reliability(both([1.0, 0.99]), np.array([1, 1])).counts.tolist() == [2]


def test_calibration_of_three_classes_is_that_of_the_likeliest():
    shares = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3]])
    assert calibration_error(shares, np.array([0, 0])) == pytest.approx(0.0)


def test_nothing_foretold_has_no_error():
    assert math.isnan(calibration_error(both([]), np.array([], dtype=int)))


def test_figures_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    shares = both(random.integers(1, 10, 500) / 10)
    outcomes = (random.random(500) < shares[:, 1]).astype(int)
    assert auc(shares, outcomes) == pytest.approx(roc_auc_score(outcomes, shares[:, 1]))
    assert surprises(shares, outcomes).mean() == pytest.approx(log_loss(outcomes, shares))
