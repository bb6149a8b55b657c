"""Batches of whole sessions: every click once, similar lengths, nearly in order."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.sessions.batching import WholeSessions


def batches_of(lengths: list[int], clicks: int) -> WholeSessions:
    sizes = np.array(lengths, dtype=np.int64)
    return WholeSessions(np.cumsum(sizes) - sizes, sizes, clicks=clicks)


@given(lengths=st.lists(st.integers(0, 9), max_size=60), clicks=st.integers(1, 30))
def test_every_click_is_in_one_batch_and_no_session_in_two(lengths, clicks):
    batches = batches_of(lengths, clicks)
    seen = np.concatenate([np.empty(0, dtype=np.int64), *(batch.clicks for batch in batches)])
    assert sorted(seen.tolist()) == list(range(sum(lengths)))
    num_sessions = sum(length > 0 for length in lengths)
    assert sum(len(batch.layout.lengths) for batch in batches) == num_sessions
    for batch in batches:
        assert len(batch.carried) == len(batch.carried_from) == 0
        assert (np.diff(batch.layout.lengths) <= 0).all()
        assert len(batch.clicks) < clicks + batch.layout.lengths[0]


def test_two_sessions_are_packed_position_by_position():
    (batch,) = batches_of([2, 3], 10)
    assert batch.layout.lengths.tolist() == [3, 2]
    assert batch.clicks.tolist() == [2, 0, 3, 1, 4]


def skewed(count: int) -> list[int]:
    return np.random.default_rng(1).geometric(0.25, count).tolist()


def test_filling_sessions_up_to_the_longest_of_their_batch_costs_less_than_a_tenth():
    batches = batches_of(skewed(50_000), 512)
    filled = sum(len(batch.layout.lengths) * int(batch.layout.lengths[0]) for batch in batches)
    assert filled < 1.1 * sum(len(batch.clicks) for batch in batches)


def test_sessions_stay_nearly_in_order_and_lengths_are_mixed():
    batches = batches_of(skewed(50_000), 512)
    first = [int(batch.clicks.min()) for batch in batches]
    assert max(a - b for a, b in itertools.pairwise(first)) < 40 * 512
    longest = [int(batch.layout.lengths[0]) for batch in batches]
    assert sorted(longest[:32], reverse=True) != longest[:32]


def test_batches_are_the_same_whenever_they_are_made():
    one, other = batches_of(skewed(500), 64), batches_of(skewed(500), 64)
    assert [batch.clicks.tolist() for batch in one] == [batch.clicks.tolist() for batch in other]
