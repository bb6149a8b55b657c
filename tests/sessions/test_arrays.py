"""Sessions as flat arrays."""

import numpy as np
import polars as pl
from toys import clicks_of

from gru4rec.sessions import from_lists, to_arrays
from gru4rec.sessions.catalog import Catalog


def timed(rows: list[tuple[int, str, int]]) -> pl.LazyFrame:
    frame = pl.LazyFrame(rows, schema=["session_id", "item_id", "timestamp"], orient="row")
    return frame.with_columns(pl.col("timestamp").cast(pl.Datetime("us")))


ROWS = [(2, "a", 50), (1, "b", 20), (2, "c", 10), (1, "d", 20), (3, "a", 15), (2, "zz", 60)]
CATALOG = Catalog(pl.Series("item_id", ["a", "b", "c", "d"]), np.array([4, 3, 2, 1]))


def sessions_of(arrays) -> dict[int, list[str]]:
    items = arrays.items.tolist()
    return {
        session: ["abcd"[i] for i in items[begin:end]]
        for session, begin, end in zip(
            arrays.session_ids, arrays.offsets[:-1], arrays.offsets[1:], strict=True
        )
    }


def test_sessions_stand_by_their_first_click_and_clicks_by_time_then_row():
    found = sessions_of(to_arrays(timed(ROWS), CATALOG))
    assert list(found.items()) == [(2, ["c", "a"]), (3, ["a"]), (1, ["b", "d"])]


def test_the_sessions_around_clicks_have_them_at_the_places_told():
    arrays = to_arrays(timed(ROWS), CATALOG)  # c a, a, b d
    sessions, clicks = arrays.around(np.array([1, 3, 4]))
    assert sessions_of(sessions) == {2: ["c", "a"], 1: ["b", "d"]}
    assert clicks.tolist() == [1, 2, 3]
    assert sessions.items[clicks].tolist() == arrays.items[[1, 3, 4]].tolist()


def test_sessions_keep_the_order_of_the_log_where_asked():
    found = sessions_of(to_arrays(timed(ROWS), CATALOG, by_start=False))
    assert list(found.items()) == [(2, ["c", "a"]), (1, ["b", "d"]), (3, ["a"])]


def test_without_times_the_rows_are_the_order():
    log = clicks_of([["b", "a"], ["c"]]).lazy()
    assert sessions_of(to_arrays(log, CATALOG)) == {0: ["b", "a"], 1: ["c"]}


def test_interleaved_sessions_are_told_apart():
    log = pl.LazyFrame({"session_id": [1, 2, 1, 2], "item_id": ["a", "b", "c", "d"]})
    assert sessions_of(to_arrays(log, CATALOG)) == {1: ["a", "c"], 2: ["b", "d"]}


def test_unknown_clicks_are_left_out_and_counted_as_targets_unless_first():
    log = clicks_of([["zz", "a", "yy", "b"], ["xx"]]).lazy()
    arrays = to_arrays(log, CATALOG)
    assert sessions_of(arrays) == {0: ["a", "b"], 1: []}
    assert (arrays.num_unknown, arrays.unknown_targets.sum()) == (3, 1)


def test_with_targets_keeps_sessions_of_two_clicks_or_more():
    arrays = to_arrays(clicks_of([["a"], ["b", "c"], ["zz", "d"]]).lazy(), CATALOG).with_targets()
    assert sessions_of(arrays) == {1: ["b", "c"]}


def test_lists_become_sessions_in_their_order_empty_ones_too():
    arrays = from_lists([["b", "zz"], [], ["a"]], CATALOG)
    assert sessions_of(arrays) == {0: ["b"], 1: [], 2: ["a"]}
    assert arrays.num_unknown == 1


def test_no_lists_and_only_empty_lists_are_no_error():
    assert len(from_lists([], CATALOG)) == 0
    assert sessions_of(from_lists([[], []], CATALOG)) == {0: [], 1: []}


def test_every_third_session_starts_with_the_first():
    sessions = to_arrays(clicks_of([["a"], ["b", "c"], ["d"], ["a", "b"]]).lazy(), CATALOG)
    some = sessions.every(3)
    assert some.session_ids.to_list() == [0, 3]
    assert some.lengths.tolist() == [1, 2]
    assert sessions.every(1) is sessions
