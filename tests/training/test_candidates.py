"""Negatives, candidate sets and their inclusion probabilities."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.sessions.batching import SessionParallelWindows
from gru4rec.training.candidates import CandidateSampler


def sampler(support, targets=None, *, alpha=1.0, draws=4, whole_below=0) -> CandidateSampler:
    support = np.array(support, dtype=np.int64)
    targets = support if targets is None else np.array(targets, dtype=np.int64)
    return CandidateSampler(support, targets, alpha=alpha, draws=draws, whole_below=whole_below)


def one_window(lengths: list[int], lanes: int):
    lengths = np.array(lengths)
    (batch,) = SessionParallelWindows(
        np.cumsum(lengths) - lengths, lengths, lanes=lanes, steps=int(lengths.sum())
    )
    return batch


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_negatives_follow_support_to_the_alpha(alpha):
    support = np.array([1, 4, 9, 100, 400])
    draws = 20_000
    drawn = sampler(support, alpha=alpha, draws=draws).draw(random())
    expected = draws * support**alpha / (support**alpha).sum()
    chi_square = ((np.bincount(drawn, minlength=5) - expected) ** 2 / expected).sum()
    assert chi_square < 18.5  # the 0.1 % point at 4 degrees of freedom


def test_rare_items_of_a_large_catalog_are_drawn():
    support = np.ones(2_000_000, dtype=np.int64)
    support[0] = 10**9
    drawn = sampler(support, alpha=1.0, draws=400_000).draw(random())
    rare = drawn[drawn > 0]
    assert 600 < len(rare) < 1000  # expected 399 200 · 0.002 ≈ 798
    assert len(np.unique(rare)) > 0.99 * len(rare)


def test_inclusion_probabilities_equal_their_closed_form_on_three_items():
    support, targets, draws, others = [1, 2, 3], [3, 2, 1], 2, 4
    log_pi = sampler(support, targets, alpha=1.0, draws=draws).log_inclusion(np.arange(3), others)
    for j, (p, q) in enumerate([(3 / 6, 1 / 6), (2 / 6, 2 / 6), (1 / 6, 3 / 6)]):
        assert log_pi[j] == pytest.approx(math.log(1 - (1 - p) ** others * (1 - q) ** draws))


def test_inclusion_probabilities_are_the_frequencies_of_being_included():
    targets, draws = [1, 2, 5], 1
    one = sampler([4, 1, 1], targets, alpha=1.0, draws=draws)
    chance = dict.fromkeys(range(3), 0.0)
    # two targets of other sessions ~ p, one draw ~ q: sum over all outcomes
    for outcome in itertools.product(range(3), repeat=3):
        p = np.array(targets) / 8
        q = np.array([4, 1, 1]) / 6
        weight = p[outcome[0]] * p[outcome[1]] * q[outcome[2]]
        for j in set(outcome):
            chance[j] += weight
    found = np.exp(one.log_inclusion(np.arange(3), 2))
    assert found == pytest.approx([chance[0], chance[1], chance[2]])


def test_the_correction_counts_the_actual_targets_of_other_sessions():
    batch = one_window([2, 2], lanes=2)  # 4 targets in 2 sessions: 2 of other sessions
    one = sampler([1, 2, 3, 4], alpha=1.0, draws=3)
    found = one.candidates(np.array([0, 1, 2, 3]), batch, random())
    assert found.log_expected == pytest.approx(one.log_inclusion(found.items, 2))


def test_candidates_are_targets_and_draws_each_once():
    batch = one_window([1] * 6, lanes=6)
    targets = np.array([3, 3, 9, 1, 1, 0])
    one = sampler([1] * 10, draws=5)
    found = one.candidates(targets, batch, random(7))
    assert found.items.tolist() == sorted(set(targets) | set(one.draw(random(7)).tolist()))
    assert found.items[found.targets].tolist() == targets.tolist()


def test_negatives_are_drawn_anew_for_each_update():
    one = sampler([1] * 1000, draws=20)
    stream = random()
    assert one.draw(stream).tolist() != one.draw(stream).tolist()


def test_other_targets_of_the_own_session_are_no_negatives():
    batch = one_window([2, 1], lanes=2)  # rows: session 0 first, session 1, session 0 second
    targets = np.array([0, 1, 2])  # session 0 aims at 0 and 2, session 1 at 1
    found = sampler([1] * 3, draws=0).candidates(targets, batch, random())
    masked = {(place // 3, place % 3) for place in found.masked.tolist()}
    assert masked == {(0, 2), (2, 0)}


def test_an_own_target_is_a_negative_if_another_session_brought_it_too():
    batch = one_window([2, 1], lanes=2)
    found = sampler([1] * 3, draws=0).candidates(np.array([0, 2, 2]), batch, random())
    masked = {(place // 2, found.items[place % 2]) for place in found.masked.tolist()}
    assert masked == {(2, 0)}


def test_an_own_target_is_a_negative_if_the_sampler_drew_it_too():
    batch = one_window([2], lanes=1)
    found = sampler([1, 1], draws=64).candidates(np.array([0, 1]), batch, random())
    assert len(found.masked) == 0


def test_stretches_of_256_clicks_of_an_endless_session_are_as_sessions_of_their_own():
    batch = one_window([600, 2], lanes=2)
    targets = np.arange(602)[batch.clicks]  # 0 to 599 of the endless session, 600 and 601
    one = sampler([1] * 602, draws=0)
    found = one.candidates(targets, batch, random())
    masked = np.zeros((602, 602), dtype=bool)  # by the target of a row and the item of a column
    masked[targets[found.masked // 602], found.items[found.masked % 602]] = True
    stretch = np.array([0] * 256 + [1] * 256 + [2] * 88 + [3] * 2)
    expected = (stretch[:, None] == stretch) & ~np.eye(602, dtype=bool)
    assert (masked == expected).all()
    others = 602 * (1 - 1 / 4)  # targets of the other three, on average
    assert found.log_expected == pytest.approx(one.log_inclusion(found.items, others))


def test_a_small_catalog_is_a_candidate_as_a_whole():
    batch = one_window([2], lanes=1)
    found = sampler([5, 3, 1], draws=2, whole_below=3).candidates(np.array([2, 2]), batch, random())
    assert found.items.tolist() == [0, 1, 2]
    assert found.targets.tolist() == [2, 2]
    assert found.log_expected.tolist() == [0, 0, 0]
    assert len(found.masked) == 0


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=8),
    st.integers(1, 4),
    st.integers(0, 6),
    st.randoms(use_true_random=False),
)
def test_the_own_target_is_never_masked_and_masks_are_finite_everywhere(
    lengths, lanes, draws, chance
):
    lengths = np.array(lengths)
    targets_of = np.array([chance.randrange(5) for _ in range(lengths.sum())])
    one = sampler([5, 4, 3, 2, 1], draws=draws)
    windows = SessionParallelWindows(np.cumsum(lengths) - lengths, lengths, lanes=lanes, steps=3)
    for batch in windows:
        targets = targets_of[batch.clicks]
        found = one.candidates(targets, batch, random())
        size = len(found.items)
        own = set((np.arange(len(targets)) * size + found.targets).tolist())
        assert not own & set(found.masked.tolist())
        assert np.isfinite(found.log_expected).all()
        for place in found.masked.tolist():
            row, item = place // size, found.items[place % size]
            mine = batch.layout.segments[row]
            assert item in targets[batch.layout.segments == mine]
            assert item not in targets[batch.layout.segments != mine]


@pytest.mark.parametrize("logq", [1.0, 0.5])
def test_by_support_one_column_weighs_as_much_as_the_copies_in_the_authors_code(logq):
    # 40 draws among four items and two targets, of which one twice: copies side by side
    support, targets = np.array([1, 10, 100, 1000]), np.array([1, 1, 3])
    one = CandidateSampler(
        support, support, alpha=0.5, draws=40, whole_below=0, logq=logq, by_support=True
    )
    found = one.candidates(targets, one_window([1, 1, 1], lanes=3), random())
    draws = one.draw(random())
    scores = np.array([0.3, -0.2, 0.9, 0.1])
    copies = [scores[i] - logq * math.log(support[i]) for i in targets]
    copies += [scores[i] - logq * 0.5 * math.log(support[i]) for i in draws]
    columns = scores[found.items] - found.log_expected
    assert np.exp(columns).sum() == pytest.approx(np.exp(copies).sum())
    for column, item in enumerate(found.items):
        alike = [c for c, i in zip(copies, [*targets, *draws], strict=True) if i == item]
        assert math.exp(columns[column]) == pytest.approx(sum(map(math.exp, alike)))
