"""What is told of a session's own items: by hand, and alike for logs and for running sessions."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.sessions import (
    OWN_KINDS,
    OWN_SHAPE,
    ItemLinks,
    OwnItems,
    SessionArrays,
    offsets_of,
    own_items_of,
)
from gru4rec.sessions.own_items import REACH


def arrays(sessions: list[list[int]]) -> SessionArrays:
    items = np.array([item for session in sessions for item in session], dtype=np.int64)
    lengths = [len(session) for session in sessions]
    return SessionArrays(pl.Series(range(len(sessions))), items, offsets_of(lengths))


def told(own: OwnItems) -> dict[tuple[int, int], tuple[int, ...]]:
    """(row, item): the first number of the range of each kind."""
    ranges = np.unravel_index(own.cells, OWN_SHAPE)
    firsts = [np.array(starts)[r] for starts, r in zip(OWN_KINDS.values(), ranges, strict=True)]
    keys = zip(own.rows.tolist(), own.items.tolist(), strict=True)
    return dict(zip(keys, zip(*(first.tolist() for first in firsts), strict=True), strict=True))


def test_age_times_clicks_and_returns_by_hand():
    sessions = arrays([[9], [7, 8, 7, 7, 5]])
    own = ItemLinks.of(sessions).own_items(np.array([0, 2, 5]))
    assert told(own) == {
        (0, 9): (0, 1, 1, 0),
        (1, 7): (1, 1, 2, 0),
        (1, 8): (0, 1, 2, 0),
        (2, 7): (1, 3, 5, 2),
        (2, 8): (3, 1, 5, 2),
        (2, 5): (0, 1, 5, 2),
    }


def test_what_lies_further_back_than_the_reach_is_forgotten():
    session = [1, 2, *[3] * (REACH - 1)]
    own = told(own_items_of([session]))
    assert {item for _, item in own} == {2, 3}
    assert own[0, 2] == (13, 1, 21, 4)
    assert {item for _, item in told(own_items_of([[*session, 3]]))} == {3}


@given(st.lists(st.lists(st.integers(0, 4), max_size=REACH + 10), min_size=1, max_size=4))
def test_running_sessions_are_told_of_as_those_of_a_log(lists):
    sessions = arrays(lists)
    links = ItemLinks.of(sessions)
    every = np.arange(len(sessions.items))
    prefixes = [lists[s][: n + 1] for s in range(len(lists)) for n in range(len(lists[s]))]
    assert told(links.own_items(every)) == told(own_items_of(prefixes))
    some = every[::3]
    assert told(links.own_items(some)) == told(own_items_of(prefixes[::3]))


@given(st.lists(st.lists(st.integers(0, 4), max_size=9), min_size=1, max_size=4))
def test_links_lead_to_the_click_before_and_after_on_the_same_item(lists):
    sessions = arrays(lists)
    links = ItemLinks.of(sessions)
    for session, start in zip(lists, sessions.offsets[:-1], strict=True):
        for place, item in enumerate(session):
            earlier = [p for p in range(place) if session[p] == item]
            later = [p for p in range(place + 1, len(session)) if session[p] == item]
            before, after = links.before[start + place], links.after[start + place]
            assert before == (start + earlier[-1] if earlier else -1)
            assert after == (start + later[0] if later else len(sessions.items))


def test_rows_are_cut_out_and_begin_anew():
    own = own_items_of([[1, 2], [3], [3, 1]])
    assert told(own.of_rows(1, 3)) == told(own_items_of([[3], [3, 1]]))
