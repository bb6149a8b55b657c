"""Parts of windows that are dealt to several processes are the windows, each click once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.sessions import RankWindows, SessionParallelWindows, WholeSessions

LENGTHS = st.lists(st.integers(0, 9) | st.sampled_from([300, 700]), min_size=1, max_size=30)


def windows_of(kind: str, lengths: list[int], lanes: int, steps: int):
    """Windows of sessions that lie one after the other, a click apart."""
    sizes = np.array(lengths)
    starts = np.cumsum(sizes + 1) - (sizes + 1)
    if kind == "lanes":
        return starts, SessionParallelWindows(starts, sizes, lanes=lanes, steps=steps)
    return starts, WholeSessions(starts, sizes, clicks=lanes * steps, max_length=4)


@pytest.mark.parametrize("kind", ["lanes", "whole"])
@given(lengths=LENGTHS, lanes=st.integers(1, 7), steps=st.integers(1, 5), size=st.integers(1, 4))
def test_each_click_of_a_window_is_with_one_process(kind, lengths, lanes, steps, size):
    starts, windows = windows_of(kind, lengths, lanes, steps)
    ranks = [RankWindows(windows, rank=rank, size=size) for rank in range(size)]
    owned = [rank.sessions(starts) for rank in ranks]
    for number, whole in enumerate(windows):
        parts = [rank[number] for rank in ranks]
        clicks = np.concatenate([part.clicks for part in parts])
        assert sorted(clicks) == sorted(whole.clicks)
        for rank, part in enumerate(parts):
            assert (np.diff(part.layout.lengths) <= 0).all()
            assert part.layout.block_sizes.sum() == len(part.clicks)
            session = np.searchsorted(starts, part.clicks, side="right") - 1
            assert owned[rank][session].all()
            assert (part.earlier >= starts[session[part.carried]][:, None] - 9).all()


@pytest.mark.parametrize("size", [1, 2, 3])
@given(lengths=LENGTHS, lanes=st.integers(1, 7), steps=st.integers(1, 5))
def test_a_session_goes_on_from_its_own_segment_of_the_window_before(size, lengths, lanes, steps):
    _, windows = windows_of("lanes", lengths, lanes, steps)
    for rank in range(size):
        mine, last = RankWindows(windows, rank=rank, size=size), None
        for number in range(len(mine)):
            part = mine[number]
            firsts = part.clicks[: len(part.layout.lengths)]
            if len(part.carried):
                assert last is not None
                ends = last.clicks[last.layout.ends]
                assert (firsts[part.carried] == ends[part.carried_from] + 1).all()
            last = part


@given(lengths=LENGTHS, lanes=st.integers(1, 7), steps=st.integers(1, 5))
def test_the_sessions_of_lanes_are_dealt_whole(lengths, lanes, steps):
    starts, windows = windows_of("lanes", lengths, lanes, steps)
    owned = [RankWindows(windows, rank=rank, size=3).sessions(starts) for rank in range(3)]
    assert (np.sum(owned, axis=0) == (np.array(lengths) > 0)).all()
