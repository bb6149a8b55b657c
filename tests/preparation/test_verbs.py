"""Each verb on clicks does one thing: makes sessions, or drops what should not be learned from."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from gru4rec.clicks import order_clicks
from gru4rec.preparation import verbs

START = datetime(2020, 1, 6)


@pytest.fixture(params=["text", "int"])
def id_of(request: pytest.FixtureRequest) -> Callable[[str], object]:
    """What id a letter stands for: itself, or its code."""
    return str if request.param == "text" else ord


def clicks(text: str, id_of: Callable[[str], object] = str) -> pl.LazyFrame:
    """Sessions one after the other: "a:xyx b:zz" are clicks on x, y, x in a and z, z in b."""
    told = [(session, item) for session, items in map(halves, text.split()) for item in items]
    ids = {
        "session_id": [id_of(session) for session, _ in told],
        "item_id": [id_of(item) for _, item in told],
    }
    return pl.LazyFrame(ids)


def halves(session: str) -> list[str]:
    return session.split(":")


def told(frame: pl.LazyFrame) -> str:
    """The inverse of `clicks`: a session that stands in two places is told twice."""
    text, before = "", None
    for session, item in frame.collect().select("session_id", "item_id").rows():
        name, letter = (one if isinstance(one, str) else chr(one) for one in (session, item))
        text += letter if name == before else f" {name}:{letter}"
        before = name
    return text.strip()


def visits(*rows: tuple[object, float]) -> pl.LazyFrame:
    """Clicks of (user, minute) in the order of the rows; items are numbered rows."""
    return pl.LazyFrame(
        {
            "user_id": [user for user, _ in rows],
            "item_id": range(len(rows)),
            "timestamp": [START + timedelta(minutes=minute) for _, minute in rows],
        },
        schema_overrides={"timestamp": pl.Datetime("us")},
    )


def cut(log: pl.LazyFrame, gap: float, **more: str) -> list[tuple[object, int]]:
    """(session, item) of each click after `sessionise` with a gap in minutes."""
    made = verbs.sessionise(log, timedelta(minutes=gap), **more)
    return made.collect().select("session_id", "item_id").rows()


# Events and doubles


def test_events_of_the_kinds_named_are_kept_in_their_order() -> None:
    log = clicks("a:wxyz").with_columns(kind=pl.Series(["view", "buy", "add", "view"]))
    assert told(verbs.keep_events(log, "kind", ("view", "add"))) == "a:wyz"


def test_kinds_of_event_that_are_numbers_are_named_by_their_text() -> None:
    log = clicks("a:wxyz").with_columns(kind=pl.Series([1, 2, 11, 1]))
    assert told(verbs.keep_events(log, "kind", ("1",))) == "a:wz"


def test_an_event_without_a_kind_is_dropped() -> None:
    log = clicks("a:xyz").with_columns(kind=pl.Series(["view", None, "view"]))
    assert told(verbs.keep_events(log, "kind", ("view", "null"))) == "a:xz"


def test_of_rows_equal_in_all_columns_the_first_stays(id_of: Callable[[str], object]) -> None:
    assert told(verbs.drop_doubles(clicks("a:xyx b:x a:zy", id_of))) == "a:xy b:x a:z"


def test_rows_that_differ_in_a_further_column_are_no_doubles() -> None:
    log = clicks("a:xxx").with_columns(price=pl.Series([1.5, 2.5, 1.5]))
    assert verbs.drop_doubles(log).collect()["price"].to_list() == [1.5, 2.5]
    assert told(verbs.drop_doubles(log, ignoring=("price",))) == "a:x"


def test_of_doubles_but_for_an_ignored_column_the_first_stays() -> None:
    log = clicks("a:xyx").with_columns(row=pl.Series([7, 8, 9]))
    assert verbs.drop_doubles(log, ignoring=("row",)).collect()["row"].to_list() == [7, 8]


# Order


def test_clicks_are_ordered_by_session_then_time_and_equal_times_by_row(
    id_of: Callable[[str], object],
) -> None:
    minutes = [5, 1, 3, 1, 1, 3, 0]
    log = clicks("b:u a:v b:w a:xy b:zt", id_of).with_columns(
        timestamp=pl.Series([START + timedelta(minutes=minute) for minute in minutes])
    )
    assert told(order_clicks(log)) == "a:vxy b:twzu"


def test_without_times_the_clicks_of_a_session_keep_the_order_of_the_rows() -> None:
    assert told(order_clicks(clicks("b:z a:y b:y a:x b:x"))) == "a:yx b:zyx"


# Sessions


def test_a_pause_as_long_as_the_gap_is_within_a_session_and_a_longer_one_ends_it() -> None:
    log = visits(("u", 0), ("u", 30), ("u", 60.0001), ("u", 90.0001))
    assert cut(log, 30) == [("u-1", 0), ("u-1", 1), ("u-2", 2), ("u-2", 3)]


@pytest.mark.parametrize("users", ["ab", (7, 8)])
def test_each_user_has_sessions_of_its_own_however_the_rows_stand(users: tuple[object]) -> None:
    one, other = users
    log = visits((other, 1), (one, 0), (other, 50), (one, 10), (one, 100), (other, 20))
    assert cut(log, 30) == [
        (f"{one}-1", 1),
        (f"{one}-1", 3),
        (f"{one}-2", 4),
        (f"{other}-1", 0),
        (f"{other}-1", 5),
        (f"{other}-1", 2),
    ]


def test_clicks_of_a_user_at_one_time_keep_the_order_of_the_rows() -> None:
    log = visits(("u", 5), ("u", 0), ("u", 0), ("u", 0))
    assert [item for _, item in cut(log, 30)] == [1, 2, 3, 0]


def test_a_gap_cuts_longer_sessions_and_leaves_their_users() -> None:
    log = visits((4, 0), (4, 5), (4, 90)).with_columns(session_id=pl.Series(["s", "s", "s"]))
    assert cut(log, 30, by="session_id") == [("s-1", 0), ("s-1", 1), ("s-2", 2)]
    made = verbs.sessionise(log, timedelta(minutes=30), by="session_id")
    assert made.collect()["user_id"].to_list() == [4, 4, 4]


def test_users_whose_names_look_like_sessions_get_sessions_of_their_own() -> None:
    made = cut(visits(("u", 0), ("u", 99), ("u-1", 0), ("u-2", 0)), 30)
    assert [session for session, _ in made] == ["u-1", "u-2", "u-1-1", "u-2-1"]


# Repeats


def test_of_clicks_on_one_item_in_a_row_the_first_stays(id_of: Callable[[str], object]) -> None:
    assert told(verbs.drop_repeats(clicks("a:xxyyyxx", id_of))) == "a:xyx"


def test_a_session_may_begin_with_the_item_that_the_one_before_ended_with(
    id_of: Callable[[str], object],
) -> None:
    assert told(verbs.drop_repeats(clicks("a:xy b:yyx c:x", id_of))) == "a:xy b:yx c:x"


def test_of_a_repeat_the_first_row_stays() -> None:
    log = clicks("a:xxy").with_columns(row=pl.Series([1, 2, 3]))
    assert verbs.drop_repeats(log).collect()["row"].to_list() == [1, 3]


# Length


@pytest.mark.parametrize(
    ("how", "left"),
    [("cut", "a:wx b:v c:yz"), ("newest", "a:yz b:v c:yz"), ("drop", "b:v c:yz")],
)
def test_of_a_long_session_the_first_clicks_stay_or_the_newest_or_nothing(
    how: str, left: str, id_of: Callable[[str], object]
) -> None:
    assert told(verbs.limit_length(clicks("a:wxyz b:v c:yz", id_of), 2, how=how)) == left


def test_there_are_three_ways_with_long_sessions() -> None:
    assert set(verbs.LONG_SESSIONS) == {"cut", "newest", "drop"}


# Support

# a is clicked once; without it s is too short, so b is clicked once; without b, t is too short, so
# c is clicked once; without c, u is too short, and d and e have two clicks each in v and w.
CHAIN = "s:ab t:bc u:cd v:de w:de"


def support(
    logs: list[pl.LazyFrame], items: int, length: int, rounds: int | None = None
) -> dict[object, int]:
    found = verbs.supported_items(logs, items, length, rounds=rounds)
    assert found.columns == ["item_id", "support"]
    assert found["item_id"].is_unique().all()
    return dict(found.rows())


def test_the_search_for_items_goes_on_until_nothing_more_is_dropped(
    id_of: Callable[[str], object],
) -> None:
    log = clicks(CHAIN, id_of)
    assert support([log], 2, 2) == {id_of("d"): 2, id_of("e"): 2}
    items = verbs.supported_items([log], 2, 2)
    assert told(verbs.keep_items(log, items, 2)) == "v:de w:de"


@pytest.mark.parametrize(
    ("rounds", "found"),
    [
        (1, {"b": 2, "c": 2, "d": 3, "e": 2}),
        (2, {"c": 2, "d": 3, "e": 2}),
        (3, {"d": 3, "e": 2}),
        (4, {"d": 2, "e": 2}),
        (9, {"d": 2, "e": 2}),
    ],
)
def test_each_round_drops_what_the_one_before_left_without_support(
    rounds: int, found: dict[str, int]
) -> None:
    assert support([clicks(CHAIN)], 2, 2, rounds) == found


def test_clicks_in_sessions_that_are_too_short_support_nothing() -> None:
    log = clicks("a:x b:x c:xy d:y e:yz f:yz")  # x has one click in a longer session, so c is short
    assert support([log], 2, 2) == {"y": 2, "z": 2}
    assert support([log], 2, 1) == {"x": 3, "y": 4, "z": 2}


def test_shards_give_the_support_that_the_whole_log_gives() -> None:
    shards = [clicks("w:de s:ab"), clicks("u:cd"), clicks("t:bc v:de")]
    assert support(shards, 2, 2) == {"d": 2, "e": 2}


def test_all_clicks_stay_where_no_items_are_named_and_sessions_may_be_of_one_click() -> None:
    assert told(verbs.keep_items(clicks("a:x b:yz"), None, 1)) == "a:x b:yz"
    assert told(verbs.keep_items(clicks("a:x b:yz"), None, 2)) == "b:yz"


def test_length_is_counted_in_clicks_on_the_items_that_stay() -> None:
    items = pl.DataFrame({"item_id": ["x"]})
    log = clicks("a:xyy b:xyx c:xx d:y")
    assert told(verbs.keep_items(log, items, 2)) == "b:xx c:xx"
    assert told(verbs.keep_items(log, items, 1)) == "a:x b:xx c:xx"


def by_hand(
    log: list[list[int]], items: int, length: int, rounds: int | None
) -> tuple[dict[object, int], list[list[int]]]:
    """(support, sessions) after the rounds, in plain Python."""
    left = {item for session in log for item in session}
    done = 0
    while True:
        kept = [[item for item in session if item in left] for session in log]
        counts = Counter(item for session in kept if len(session) >= length for item in session)
        found: dict[object, int] = {item: n for item, n in counts.items() if n >= items}
        done += 1
        if found.keys() == counts.keys() or done == rounds:
            kept = [[item for item in session if item in found] for session in log]
            return found, [session for session in kept if len(session) >= length]
        left = set(found)


@given(
    st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=5), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(1, 4),
    st.one_of(st.none(), st.integers(1, 4)),
    st.integers(1, 3),
)
def test_the_items_and_sessions_left_are_those_that_a_loop_in_plain_python_leaves(
    log: list[list[int]], items: int, length: int, rounds: int | None, shards: int
) -> None:
    rows = [(n, item) for n, session in enumerate(log) for item in session]
    frame = pl.DataFrame(rows, schema=["session_id", "item_id"], orient="row").lazy()
    parts = [frame.filter(pl.col("session_id") % shards == shard) for shard in range(shards)]
    wanted, kept = by_hand(log, items, length, rounds)
    found = verbs.supported_items(parts, items, length, rounds=rounds)
    assert dict(found.rows()) == wanted
    left = verbs.keep_items(frame, found, length).collect()
    grouped = left.group_by("session_id", maintain_order=True).agg("item_id")
    assert grouped["item_id"].to_list() == kept


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 200)), min_size=1, max_size=30),
    st.integers(1, 60),
)
def test_sessions_are_the_runs_of_a_users_clicks_without_a_longer_pause(
    rows: list[tuple[int, int]], gap: int
) -> None:
    wanted = []
    for user in sorted({user for user, _ in rows}):
        mine = sorted((minute, row) for row, (who, minute) in enumerate(rows) if who == user)
        nth = 0
        for place, (minute, row) in enumerate(mine):
            nth += place == 0 or minute - mine[place - 1][0] > gap
            wanted.append((f"{user}-{nth}", row))
    assert cut(visits(*rows), gap) == wanted


def test_verbs_leave_the_frame_of_the_caller_as_it_was() -> None:
    log = visits(("u", 9), ("u", 0), ("u", 0)).collect()
    before = log.clone()
    made = verbs.sessionise(log.lazy(), timedelta(minutes=1))
    verbs.limit_length(verbs.drop_repeats(made), 1).collect()
    assert_frame_equal(log, before)
