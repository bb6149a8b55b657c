"""Ranks, ties, Recall@k and MRR@k."""

import math

import pytest
import torch

from gru4rec.metrics import TIES, discounted_gains, mrr_at, num_tied, ranks, recall_at


def test_the_best_score_has_rank_one():
    scores = torch.tensor([[0.1, 0.9, 0.5]])
    found = [ranks(scores, torch.tensor([target])).item() for target in range(3)]
    assert found == [3, 1, 2]


def test_equal_scores_stand_before_the_target_unless_asked_otherwise():
    scores, target = torch.tensor([[1.0, 1.0, 1.0, 0.0]]), torch.tensor([0])
    found = {ties: ranks(scores, target, ties=ties).item() for ties in TIES}
    assert found == {"conservative": 3, "median": 2, "standard": 1}


@pytest.mark.parametrize(
    ("ties", "expected"), [("conservative", 0), ("standard", 1), ("median", 0)]
)
def test_a_constant_scorer_over_41_items_has_the_recall_its_tie_rule_gives(ties, expected):
    found = ranks(torch.zeros(5, 41), torch.tensor([0, 7, 20, 39, 40]), ties=ties)
    assert recall_at(20, found) == expected


def test_rank_k_counts_and_rank_k_plus_one_does_not():
    found = torch.tensor([20.0, 21.0])
    assert recall_at(20, found) == 0.5
    assert mrr_at(20, found) == pytest.approx(0.5 / 20)


def test_averages_are_over_targets():
    found = torch.tensor([1.0, 2.0, 4.0, 100.0])
    assert recall_at(3, found) == 0.5
    assert mrr_at(4, found) == pytest.approx((1 + 1 / 2 + 1 / 4) / 4)


def test_a_gain_is_discounted_by_the_logarithm_of_the_rank():
    found = discounted_gains(4, torch.tensor([1.0, 3.0, 4.0, 5.0]))
    assert found.tolist() == pytest.approx([1, 1 / 2, 1 / math.log2(5), 0])


def test_items_that_score_as_the_target_does_are_counted_without_it():
    scores = torch.tensor([[1.0, 1.0, 1.0, 0.0]] * 2)
    assert num_tied(scores, torch.tensor([1, 3])).tolist() == [2, 0]


def test_no_targets_give_zero():
    assert recall_at(20, torch.empty(0)) == 0
    assert mrr_at(20, torch.empty(0)) == 0


@pytest.mark.parametrize("ties", TIES)
def test_scores_that_are_no_numbers_count_against_the_target(ties):
    nan = float("nan")
    assert ranks(torch.tensor([[nan, 1.0, 0.0]]), torch.tensor([1]), ties=ties).item() == 2
    assert ranks(torch.tensor([[nan, 1.0, 0.0]]), torch.tensor([0]), ties=ties).item() == 4
