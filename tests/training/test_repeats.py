"""The repeat head is fitted on what a model has not learned, and left out where it says nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import TINY

import gru4rec as g4r
from gru4rec.serving import RepeatHead
from gru4rec.sessions import OWN_SHAPE, own_items_of
from gru4rec.training.repeats import Evidence, evidence_of, fit_repeats, repeats_matter

OTHERS = torch.linspace(2, -2, 20, dtype=torch.float64)  # scores of the other items


def evidence(returning: float, *, score: float, sessions: int = 4000, seed: int = 0) -> Evidence:
    """Targets after one click each: of so many the clicked item, else one of the others, as often
    as the model says. It gives the clicked item a `score`.
    """
    random = np.random.default_rng(seed)
    returns = random.random(sessions) < returning
    own = own_items_of([[0]] * sessions)
    likely = torch.softmax(OTHERS, 0).numpy()
    column = np.where(returns, -1, random.choice(len(OTHERS), sessions, p=likely))
    return Evidence(
        sessions,
        OTHERS.repeat(sessions, 1),
        torch.from_numpy(column),
        torch.from_numpy(own.rows),
        torch.full((sessions,), score, dtype=torch.float64),
        torch.from_numpy(own.cells),
        torch.from_numpy(returns),
        torch.arange(sessions),
    )


def test_the_head_learns_how_often_visitors_return():
    head = fit_repeats(evidence(0.5, score=1.0))
    # Half of the probability is the own item's then, the other half is shared by all others.
    expected = float(torch.logsumexp(OTHERS, 0))
    cell = own_items_of([[0]]).cells
    assert head.slope * 1.0 + head.bonuses[cell].item() == pytest.approx(expected, abs=0.15)


def test_where_the_model_is_right_already_repeats_do_not_matter():
    share = float(torch.softmax(torch.cat((torch.ones(1), OTHERS)), 0)[0])
    for seed in range(5):
        assert not repeats_matter(evidence(share, score=1.0, seed=seed))
    assert repeats_matter(evidence(2 * share, score=1.0))


def test_without_evidence_the_head_is_neutral_and_does_not_matter():
    for sessions in (0, 1):
        assert not repeats_matter(evidence(0.5, score=1.0, sessions=sessions))
    assert fit_repeats(evidence(0.5, score=1.0, sessions=0)).is_neutral


def test_where_the_scores_of_others_say_nothing_own_items_are_still_told_from_them():
    """The model scores the others upside down; half of the targets are the clicked item."""
    upside_down = evidence(0.5, score=1.0)
    upside_down = replace(upside_down, others=-upside_down.others)
    head = fit_repeats(upside_down)
    assert repeats_matter(upside_down)
    cell = own_items_of([[0]]).cells
    assert head.slope + head.bonuses[cell].item() > float(OTHERS.max())
    assert sum(upside_down.measured(head)) > sum(upside_down.measured(RepeatHead.neutral()))


def test_an_item_that_nobody_returns_to_sinks():
    head = fit_repeats(evidence(0.0, score=3.0))
    assert head.slope * 3.0 + head.bonuses[own_items_of([[0]]).cells].item() < 0


def test_recall_and_mrr_by_hand():
    own = own_items_of([[0], [0], [0]])
    others = torch.tensor([[5.0, 4, 3], [5, 4, 3], [5, 4, 3]], dtype=torch.float64)
    found = Evidence(
        4,  # one target stands behind the best others
        others,
        torch.tensor([1, -1, -1]),
        torch.from_numpy(own.rows),
        torch.tensor([4.5, 4.5, 1.0], dtype=torch.float64),
        torch.from_numpy(own.cells),
        torch.tensor([False, True, True]),
        torch.arange(3),
    )
    # ranks: 3 behind 5 and the own item; 2; 4
    recall, mrr = found.measured(RepeatHead.neutral())
    assert recall == 3 / 4
    assert mrr == pytest.approx((1 / 3 + 1 / 2 + 1 / 4) / 4)


def test_some_sessions_evidence_is_that_of_their_targets():
    every = evidence(0.5, score=1.0, sessions=50)
    some = every.of_sessions(torch.arange(50) % 3 == 0)
    assert some.num_targets == len(some.target) == 17
    assert torch.equal(some.is_target, every.is_target[::3])
    assert torch.equal(some.target < 0, some.is_target)
    assert int(some.cells.max()) < np.prod(OWN_SHAPE)


def test_own_items_are_no_other_items_however_small_the_catalog():
    """Of a catalog of twelve, twenty others are asked for: own ones must not fill them up."""
    log = g4r.generate_clicks(sessions=60, items=12, categories=2, seed=2)
    recommender = g4r.GRU4Rec(g4r.Config().replace(TINY), device="cpu").fit(log)
    sessions = recommender.reader.arrays(log.lazy())
    evidence = evidence_of(recommender.model, sessions, most=1000)
    of_own = torch.zeros(len(evidence.target), dtype=torch.bool)
    of_own[evidence.rows[evidence.is_target]] = True
    assert of_own.any()
    assert torch.equal(evidence.target < 0, of_own)
