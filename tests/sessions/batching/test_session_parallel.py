"""Session-parallel batching: the order of lanes, carried state, every pair once."""

import numpy as np
import pytest
from hypothesis import given, settings
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


def assert_whole(lengths: list[int], *, lanes: int, steps: int) -> None:
    """Follow the carried segments; this gives every session once, its clicks in order."""
    running: dict[int, list[int]] = {}
    whole = []
    for batch in windows_of(lengths, lanes=lanes, steps=steps):
        segments = batch.layout.segments
        runs = [batch.clicks[segments == s].tolist() for s in range(segments.max() + 1)]
        carried = dict(zip(batch.carried.tolist(), batch.carried_from.tolist(), strict=True))
        for segment, earlier in carried.items():
            runs[segment] = running.pop(earlier) + runs[segment]
        whole += running.values()
        running = dict(enumerate(runs))
    whole += running.values()
    ends = np.cumsum(lengths)
    expected = [list(range(e - n, e)) for e, n in zip(ends, lengths, strict=True) if n]
    assert sorted(whole) == expected


@given(sessions, lanes, steps)
def test_following_the_carried_segments_gives_every_session_whole_and_in_order(
    lengths, lanes, steps
):
    assert_whole(lengths, lanes=lanes, steps=steps)


def test_sessions_start_in_their_given_order():
    batches = windows_of([2, 5, 1, 3, 1, 2, 2], lanes=3, steps=2)
    firsts = {0, 2, 7, 8, 11, 12, 14}
    started = [click for batch in batches for click in batch.clicks.tolist() if click in firsts]
    windows = [w for w, batch in enumerate(batches) for c in batch.clicks if c in firsts]
    assert windows == sorted(windows)
    assert set(started) == firsts


long_logs = st.lists(st.one_of(st.integers(0, 12), st.integers(250, 3000)), max_size=30)


def papers_windows(lengths: list[int], *, lanes: int, steps: int) -> list[list[int]]:
    """The clicks of each window if every session stays on one lane, step by step."""
    ends = np.cumsum(lengths)
    queue = [list(range(e - n, e)) for e, n in zip(ends, lengths, strict=True) if n]
    running: list[list[int]] = [[] for _ in range(lanes)]
    windows: list[list[int]] = []
    for step in range(sum(lengths)):
        running = [lane or (queue.pop(0) if queue else []) for lane in running]
        if step % steps == 0:
            windows.append([])
        windows[-1] += [lane.pop(0) for lane in running if lane]
    return [sorted(window) for window in windows if window]


@given(
    st.lists(st.one_of(st.integers(0, 12), st.integers(200, 256)), max_size=12),
    st.integers(1, 9),
    st.integers(1, 40),
)
def test_sessions_of_up_to_256_clicks_each_stay_on_one_lane(lengths, lanes, steps):
    windows = [sorted(batch.clicks) for batch in windows_of(lengths, lanes=lanes, steps=steps)]
    assert windows == papers_windows(lengths, lanes=lanes, steps=steps)


def test_a_session_of_less_than_a_quarter_of_all_steps_stays_on_one_lane():
    lengths = [3] * 2000 + [1000] + [3] * 2000  # 13,000 clicks on 3 lanes: 4,333 steps
    windows = [sorted(batch.clicks) for batch in windows_of(lengths, lanes=3, steps=50)]
    assert windows == papers_windows(lengths, lanes=3, steps=50)


def test_an_endless_session_takes_a_second_lane_as_soon_as_one_is_free():
    # 512 clicks want two lanes. One is busy for 100 steps; then both run for 206: 100 + 2 · 206.
    first, second, third = windows_of([100, 512], lanes=2, steps=103)
    assert first.layout.lengths.tolist() == [103 + 3, 100]
    assert first.clicks[first.layout.segments == 0].tolist() == list(range(100, 206))
    assert [*second.layout.lengths, *third.layout.lengths] == [2 * 103, 2 * 100]


@given(long_logs, st.integers(1, 40), st.integers(1, 40))
def test_no_log_takes_more_than_a_quarter_or_256_steps_beyond_full_lanes(lengths, lanes, steps):
    batches = windows_of(lengths, lanes=lanes, steps=steps)
    full = sum(lengths) / lanes
    assert len(batches) <= np.ceil((np.ceil(full) + max(256, full / 4)) / steps)
    assert all(len(batch.clicks) <= lanes * steps for batch in batches)


@pytest.mark.parametrize("lanes", [1, 2, 7, 32])
@pytest.mark.parametrize("steps", [1, 16])
@pytest.mark.parametrize(
    "lengths",
    [[5000], [5000, 5000], [5000, *[3] * 50], [*[3] * 25, 5000, *[3] * 25], [*[3] * 50, 5000]],
    ids=["one session", "two endless ones", "first", "in the middle", "last"],
)
def test_an_endless_session_is_whole_and_in_order(lengths, lanes, steps):
    assert_whole(lengths, lanes=lanes, steps=steps)


@settings(max_examples=30)
@given(long_logs, lanes, st.integers(1, 40))
def test_endless_sessions_are_whole_and_in_order(lengths, lanes, steps):
    assert_whole(lengths, lanes=lanes, steps=steps)


def test_endless_sessions_start_in_their_order_and_the_sessions_after_them_do_too():
    lengths = [3, 2000, 5, 3000, *[4] * 100]
    batches = windows_of(lengths, lanes=4, steps=8)
    firsts = (np.cumsum(lengths) - lengths).tolist()
    window_of = {click: w for w, batch in enumerate(batches) for click in batch.clicks.tolist()}
    starts = [window_of[first] for first in firsts]
    assert starts == sorted(starts)


def test_lanes_run_their_sessions_one_under_another():
    # Lane 0 takes sessions of 1, 3 clicks, lane 1 those of 1, 2; of lane 1 the last place is empty.
    grids = windows_of([1, 1, 3, 2], lanes=2, steps=2).grids(range(2))
    assert grids.clicks.tolist() == [0, 1, 2, 5, 3, 6, 4, -1]
    assert grids.begins.tolist() == [True, True, True, True, False, False, False, False]
    assert grids.ends.tolist() == [[2, 3], [2, 1]]
    assert grids.heights.tolist() == [2, 2]
    assert grids.num_clicks.tolist() == [4, 3]
    assert grids.num_stretches.tolist() == [4, 2]


@given(sessions, lanes, steps, st.sampled_from([0, 300, 1000]))
def test_grids_have_the_clicks_of_the_windows_and_lanes_go_on_where_segments_do(
    lengths, lanes, steps, endless
):
    windows = windows_of([*lengths, endless], lanes=lanes, steps=steps)
    middle = len(windows) // 2
    parts = [windows.grids(range(middle)), windows.grids(range(middle, len(windows)))]
    number, last_on_lane = 0, {}
    for grids in parts:
        for row, (start, height) in enumerate(zip(grids.starts, grids.heights, strict=True)):
            batch, lanes_of = windows[number], windows.lanes_of(number)
            clicks = grids.clicks[start : start + height * lanes].reshape(height, lanes)
            begins = grids.begins[start : start + height * lanes].reshape(height, lanes)
            assert sorted(clicks[clicks >= 0]) == sorted(batch.clicks)
            assert grids.num_clicks[row] == len(batch.clicks)
            assert height % steps == 0
            is_filled = clicks >= 0
            assert (is_filled[1:] <= is_filled[:-1]).all()  # no hole above a click
            goes_on = is_filled[1:] & ~begins[1:]
            assert (clicks[1:][goes_on] == clicks[:-1][goes_on] + 1).all()
            for lane in np.flatnonzero(is_filled[0] & ~begins[0]):
                assert clicks[0, lane] == last_on_lane[lane] + 1
            assert set(lanes_of[batch.carried]) == set(np.flatnonzero(is_filled[0] & ~begins[0]))
            filled = clicks.ravel()[grids.ends[row]]
            last_on_lane |= {lane: click for lane, click in enumerate(filled) if click >= 0}
            number += 1
    assert number == len(windows)
