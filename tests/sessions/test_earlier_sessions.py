"""Sessions behind the last clicks of their user's earlier ones; worked by hand on four sessions."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest

import gru4rec as g4r
from gru4rec.sessions import Catalog, EventTypes, SessionArrays, after_earlier, to_arrays

# By their start: 1 of u: a b c; 2 of v: d e; 3 of u: b d; 4 of nobody: c a; 5 of u: e a
LOG = pl.DataFrame(
    {
        "session_id": [1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5],
        "item_id": list("abcdebdcaea"),
        "user": ["u", "u", "u", "v", "v", "u", "u", None, None, "u", "u"],
        "timestamp": range(11),
    }
).with_columns(pl.col("timestamp").cast(pl.Datetime("us")))


def arrays(log: pl.DataFrame = LOG, **options: object) -> SessionArrays:
    return to_arrays(log.lazy(), Catalog.of(LOG.lazy()), users="user", **options)


def items_of(sessions: SessionArrays) -> list[str]:
    ids = Catalog.of(LOG.lazy()).item_ids
    text = "".join(ids.gather(sessions.items))
    ends = sessions.offsets
    return [text[start:end] for start, end in pairwise(ends)]


def test_each_session_is_read_behind_the_last_clicks_of_its_user():
    led = after_earlier(arrays(), 4)
    assert items_of(led) == ["abc", "de", "abcbd", "ca", "bcbdea"]
    assert list(led.leads) == [0, 0, 3, 0, 4]
    assert list(led.session_ids) == [1, 2, 3, 4, 5]
    assert items_of(led.alone()) == items_of(arrays())


def test_nothing_of_an_earlier_session_is_a_target_nor_is_the_first_click():
    led = after_earlier(arrays(), 4)
    targets = [items_of(led)[s][p] for s, p in _places(led)]
    assert targets == [*"bc", "e", "d", "a", "a"]
    plain = arrays()
    assert [items_of(plain)[s][p] for s, p in _places(plain)] == targets


def _places(sessions: SessionArrays) -> list[tuple[int, int]]:
    clicks = sessions.prefixes() + 1
    number = sessions.sessions_of(clicks)
    return list(zip(number, clicks - sessions.offsets[number], strict=True))


def test_it_holds_whatever_the_order_of_the_log():
    mixed = LOG.sample(fraction=1.0, shuffle=True, seed=1)
    assert items_of(after_earlier(arrays(mixed), 4)) == items_of(after_earlier(arrays(), 4))
    by_name = after_earlier(arrays(LOG[[9, 10, *range(9)]], by_start=False), 4)
    assert list(by_name.session_ids) == [5, 1, 2, 3, 4]
    assert items_of(by_name)[0] == "bcbdea"


def test_a_history_is_read_and_is_not_among_the_sessions():
    old, new = LOG[:5], LOG[5:]
    led = after_earlier(arrays(new), 4, history=arrays(old))
    assert items_of(led) == ["abcbd", "ca", "bcbdea"]
    assert list(led.session_ids) == [3, 4, 5]
    assert list(led.leads) == [3, 0, 4]


def test_types_of_events_weigh_beside():
    log = LOG.with_columns(type=pl.Series(["x", "y"] * 5 + ["x"]))
    events = EventTypes.of(log.lazy(), "type", {"x": 2.0}, ())
    led = after_earlier(arrays(log, events=events), 4)
    weights = [list(led.weights[led.offsets[s] : led.offsets[s + 1]]) for s in range(len(led))]
    assert weights == [[2, 1, 2], [1, 2], [0, 0, 0, 0, 2], [1, 2], [0, 0, 0, 0, 0, 2]]


def test_parts_keep_what_they_begin_with():
    led = after_earlier(arrays(), 4)
    assert items_of(led.take(np.array([4, 2]))) == ["bcbdea", "abcbd"]
    assert list(led.take(np.array([4, 2])).leads) == [4, 3]
    assert [items_of(piece)[-1] for piece in led.pieces(2)] == ["de", "ca", "bcbdea"]
    without_b = led.renumbered(
        np.array([-1 if i == "b" else n for n, i in enumerate(Catalog.of(LOG.lazy()).item_ids)])
    )
    assert list(without_b.leads) == [0, 0, 2, 0, 2]
    assert list(led.followed_by(led).leads) == [*led.leads, *led.leads]


def test_a_log_without_the_column_is_refused_in_training_and_said_in_serving(caplog):
    settings = {"encoder.user_column": "user", "encoder.hidden_size": 4, "training.epochs": 1}
    settings |= {"training.neighbours": 0, "encoder.repeats": False}
    config = g4r.Config().replace(settings)
    with pytest.raises(g4r.DataError, match="lacks a column 'user'"):
        g4r.GRU4Rec(config, device="cpu").fit(LOG.drop("user"))
    fitted = g4r.GRU4Rec(config, device="cpu").fit(LOG)
    asked = fitted.recommend(LOG, 2)
    caplog.clear()
    without = fitted.recommend(LOG.drop("user"), 2)
    assert "no column 'user'" in caplog.text
    first, third = (pl.col("session_id") == number for number in (1, 3))
    assert asked.filter(first).equals(without.filter(first))
    assert not asked.filter(third)["score"].equals(without.filter(third)["score"])
    live = fitted.start_session()
    for item in "abcbd":
        live.click(item)
    assert live.recommend(2)["score"].to_list() == pytest.approx(
        asked.filter(third)["score"].to_list(), abs=1e-5
    )


def timed(rows: list[tuple[int, str, str, int]]) -> pl.DataFrame:
    log = pl.DataFrame(rows, schema=["session_id", "user", "item_id", "timestamp"], orient="row")
    return log.with_columns(pl.from_epoch(pl.col("timestamp") * 3600).cast(pl.Datetime("us")))


def test_only_sessions_that_ended_before_are_earlier():
    """Session 1 goes on after 2 has begun; 3 begins after both."""
    log = timed(
        [(1, "u", "a", 0), (2, "u", "b", 1), (2, "u", "c", 2), (1, "u", "d", 5), (3, "u", "e", 6)]
    )
    led = after_earlier(arrays(log), 10)
    assert items_of(led) == ["ad", "bc", "bcade"]


def test_a_history_of_what_comes_later_adds_nothing():
    all_of_it = after_earlier(arrays(), 4)
    with_itself = after_earlier(arrays(), 4, history=arrays())
    assert items_of(with_itself) == items_of(all_of_it)


def test_without_times_a_history_was_before():
    log = LOG.drop("timestamp")
    old, new = log[:5], log[5:]
    assert items_of(after_earlier(arrays(new), 4, history=arrays(old))) == ["abcbd", "ca", "bcbdea"]
    with_itself = after_earlier(arrays(new), 4, history=arrays(log))
    assert items_of(with_itself) == ["abcbd", "ca", "bcbdea"]
    with pytest.raises(g4r.DataError, match="times"):
        after_earlier(arrays(new), 4, history=arrays(LOG[:5]))


def test_who_logs_in_midway_is_known():
    log = LOG.with_columns(user=pl.when(pl.int_range(pl.len()) != 5).then("user"))
    assert items_of(after_earlier(arrays(log), 4))[2] == "abcbd"


@pytest.mark.parametrize("values", [pl.lit([1]), pl.duration(hours=1)])
def test_a_column_that_names_no_users_is_refused(values):
    with pytest.raises(g4r.DataError, match="'user'"):
        arrays(LOG.with_columns(user=values))
