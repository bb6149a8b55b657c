"""Session-parallel batching: the order of lanes, carried state, every pair once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.sessions.batching import SessionParallelWindows


def windows_of(lengths: list[int], *, lanes: int, steps: int) -> SessionParallelWindows:
    """Windows over sessions that lie one after the other, `lengths` inputs each."""
    lengths = np.array(lengths, dtype=np.int64)
    return SessionParallelWindows(np.cumsum(lengths) - lengths, lengths, lanes=lanes, steps=steps)


sessions = st.lists(st.integers(0, 12), max_size=30)
lanes = st.integers(1, 9)
steps = st.integers(1, 7)


def test_two_lanes_run_three_sessions_in_the_papers_order():
    items = np.array(list("abcdefg"))  # sessions [a b c], [d e], [f g]
    first_clicks, inputs = np.array([0, 3, 5]), np.array([2, 1, 1])
    pairs = [
        [(items[click], items[click + 1]) for click in batch.clicks]
        for batch in SessionParallelWindows(first_clicks, inputs, lanes=2, steps=1)
    ]
    assert pairs == [[("a", "b"), ("d", "e")], [("b", "c"), ("f", "g")]]


def test_a_freed_lane_takes_the_next_session_and_the_lowest_lane_takes_first():
    # Lengths 1, 1, 3, 2: sessions 0 and 1 end together, 2 takes lane 0, 3 takes lane 1.
    batches = list(windows_of([1, 1, 3, 2], lanes=2, steps=1))
    assert [batch.clicks.tolist() for batch in batches] == [[0, 1], [2, 5], [3, 6], [4]]


def test_a_window_lays_out_its_segments_longest_first_position_by_position():
    # One lane of 4 steps holds sessions of 1, 2 and 1 clicks; packed: firsts of all, then the rest.
    (batch,) = windows_of([1, 2, 1], lanes=1, steps=4)
    assert batch.layout.lengths.tolist() == [2, 1, 1]
    assert batch.clicks.tolist() == [1, 0, 3, 2]
    assert batch.layout.block_sizes.tolist() == [3, 1]
    assert batch.layout.segments.tolist() == [0, 1, 2, 0]
    assert batch.layout.ends.tolist() == [3, 1, 2]


def test_a_session_that_crosses_a_window_goes_on_from_its_segment_before():
    first, second = windows_of([1, 4, 1], lanes=2, steps=2)
    assert first.clicks.tolist() == [1, 0, 5, 2]
    assert second.clicks.tolist() == [3, 4]
    assert second.carried.tolist() == [0]
    assert second.carried_from.tolist() == [0]


@given(sessions, lanes, steps)
def test_every_click_is_in_exactly_one_window(lengths, lanes, steps):
    batches = list(windows_of(lengths, lanes=lanes, steps=steps))
    clicks = [click for batch in batches for click in batch.clicks.tolist()]
    assert sorted(clicks) == list(range(sum(lengths)))
    assert all(len(batch.clicks) > 0 for batch in batches)


@given(sessions, lanes, steps)
def test_no_window_holds_more_than_lanes_times_steps(lengths, lanes, steps):
    for batch in windows_of(lengths, lanes=lanes, steps=steps):
        assert len(batch.clicks) <= lanes * steps
        assert batch.layout.lengths[0] <= steps


@given(sessions, lanes, steps)
def test_following_the_carried_segments_gives_every_session_whole_and_in_order(
    lengths, lanes, steps
):
    found, before = [], []
    for batch in windows_of(lengths, lanes=lanes, steps=steps):
        segments = batch.layout.segments
        runs = [batch.clicks[segments == s].tolist() for s in range(segments.max() + 1)]
        for segment, earlier in zip(batch.carried, batch.carried_from, strict=True):
            runs[segment] = before[earlier] + runs[segment]
        found.extend(runs)
        before = runs
    ends = np.cumsum(lengths)
    whole = [list(range(e - n, e)) for e, n in zip(ends, lengths, strict=True) if n]
    assert all(session in found for session in whole)


def test_sessions_start_in_their_given_order():
    batches = windows_of([2, 5, 1, 3, 1, 2, 2], lanes=3, steps=2)
    firsts = {0, 2, 7, 8, 11, 12, 14}
    started = [click for batch in batches for click in batch.clicks.tolist() if click in firsts]
    windows = [w for w, batch in enumerate(batches) for c in batch.clicks if c in firsts]
    assert windows == sorted(windows)
    assert set(started) == firsts
