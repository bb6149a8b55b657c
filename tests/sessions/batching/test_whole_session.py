"""Batches of whole sessions: every click once, similar lengths, nearly in order."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.sessions.batching import WholeSessions


def batches_of(lengths: list[int], clicks: int, *, max_length: int = 50) -> WholeSessions:
    sizes = np.array(lengths, dtype=np.int64)
    return WholeSessions(np.cumsum(sizes) - sizes, sizes, clicks=clicks, max_length=max_length)


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


endless = st.lists(st.one_of(st.integers(0, 9), st.integers(250, 900)), max_size=9)


@given(lengths=endless, clicks=st.integers(1, 300), max_length=st.integers(1, 400))
def test_an_endless_session_comes_in_pieces_that_name_what_the_encoder_sees_before_them(
    lengths, clicks, max_length
):
    starts = set((np.cumsum(lengths) - lengths).tolist())
    seen = []
    for batch in batches_of(lengths, clicks, max_length=max_length):
        layout = batch.layout
        assert layout.lengths[0] <= max(256, max_length)
        firsts = batch.clicks[: len(layout.lengths)]
        assert [first for first in firsts.tolist() if first not in starts] == firsts[
            batch.carried
        ].tolist()
        for first, earlier in zip(firsts[batch.carried], batch.earlier, strict=True):
            assert earlier.tolist() == list(range(first - 1, first - max_length, -1))
            assert not starts & set(earlier[:-1].tolist())  # all of them of the same session
        seen += batch.clicks.tolist()
    assert sorted(seen) == list(range(sum(lengths)))


def test_sessions_of_up_to_256_clicks_or_of_what_an_encoder_sees_are_whole():
    whole = [256, 3, 100]
    assert not any(len(batch.carried) for batch in batches_of(whole, 64))
    assert not any(len(batch.carried) for batch in batches_of([400], 64, max_length=400))
    assert sum(len(batch.carried) for batch in batches_of([400], 64, max_length=399)) == 1
