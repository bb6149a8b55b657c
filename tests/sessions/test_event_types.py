"""Types of events: what they weigh as targets, and what that does to arrays of sessions."""

import logging

import numpy as np
import polars as pl
import pytest

import gru4rec as g4r
from gru4rec.sessions import Catalog, EventTypes, to_arrays

# Sessions 0: a view, b view, a buy; 1: c view, b cart; 2: a buy, c view.
LOG = pl.DataFrame(
    {
        "session_id": [0, 0, 0, 1, 1, 2, 2],
        "item_id": ["a", "b", "a", "c", "b", "a", "c"],
        "type": ["view", "view", "buy", "view", "cart", "buy", "view"],
    }
).lazy()


def types_of(log=LOG, column="type", weights=None, targets=(), **options) -> EventTypes:
    return EventTypes.of(log, column, weights or {}, targets, **options)


def arrays_of(types: EventTypes, log=LOG):
    return to_arrays(log, Catalog.of(log), events=types)


def test_a_type_weighs_what_is_said_else_one():
    types = types_of(weights={"buy": 10.0, "view": 0.5})
    assert list(types.types) == ["buy", "view", "cart"]
    assert list(types.weights) == [1.0, 10.0, 0.5, 1.0]


def test_with_targets_all_others_weigh_nothing():
    types = types_of(weights={"buy": 10.0}, targets=["cart", "buy"])
    assert dict(zip(types.types, types.weights[1:], strict=True)) == {
        "buy": 10.0, "cart": 1.0, "view": 0.0,
    }  # fmt: skip
    assert types.weights[0] == 0.0


def test_types_that_no_weight_names_are_said_once(caplog):
    with caplog.at_level(logging.INFO, logger="gru4rec"):
        types_of(weights={"buy": 10.0})
    assert caplog.messages == ["events of type view, cart weigh 1: no weight names them"]


def test_a_named_type_that_the_log_lacks_is_refused():
    with pytest.raises(
        g4r.DataError, match="no event of type 'bye'; its types are view, buy, cart"
    ):
        types_of(weights={"bye": 10.0})
    with pytest.raises(g4r.DataError, match="no event of type 'bye'"):
        types_of(targets=["bye"])
    assert types_of(weights={"bye": 10.0}, strict=False).types[0] == "bye"


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([1, 2, 1, 1, 1, 1, 1], ["2", "2.0", "02"]),
        ([1.0, 2.5, 1, 1, 1, 1, 1], ["2.5", "2.50"]),
        ([True, False, True, True, True, True, True], ["false", "False"]),
        (["1", "02", "1", "1", "1", "1", "1"], ["02"]),
    ],
)
def test_names_are_cast_to_the_type_of_the_column(values, names):
    log = LOG.with_columns(type=pl.Series(values))
    for name in names:
        types = types_of(log, weights={name: 3.0})
        assert list(arrays_of(types, log).weights) == [1.0, 3.0, *[1.0] * 5]


@pytest.mark.parametrize("column", ["kind", "item_id", "session_id", "list"])
def test_a_column_that_holds_no_types_is_refused_in_one_line(column):
    log = LOG.with_columns(list=pl.lit([1, 2]))
    with pytest.raises(g4r.DataError) as refused:
        types_of(log, column)
    assert len(str(refused.value).splitlines()) == 1
    assert column in str(refused.value)


def test_clicks_are_coded_whatever_the_order_of_the_log():
    times = pl.Series("timestamp", [5, 6, 7, 1, 2, 3, 4]).cast(pl.Datetime("us"))
    timed = LOG.with_columns(times)
    types = types_of(weights={"buy": 10.0})
    straight, mixed = (arrays_of(types, log) for log in (timed, timed.reverse()))
    assert [types.types[code - 1] for code in straight.events] == [
        "view", "cart", "buy", "view", "view", "view", "buy",
    ]  # fmt: skip
    assert np.array_equal(straight.events, mixed.events)


def test_a_null_is_of_no_type_and_weighs_one():
    log = LOG.with_columns(type=pl.when(pl.col("type") != "cart").then("type"))
    types = types_of(log, weights={"buy": 10.0, "view": 0.0})
    assert list(arrays_of(types, log).weights) == [0, 0, 10, 0, 1, 10, 0]
    assert list(arrays_of(types_of(log, targets=["buy"]), log).weights) == [0, 0, 1, 0, 0, 1, 0]


def test_prefixes_are_followed_by_a_click_of_weight():
    arrays = arrays_of(types_of(targets=["buy", "cart"]))
    assert list(arrays.prefixes()) == [1, 3]
    with_targets = arrays.with_targets()
    assert list(with_targets.session_ids) == [0, 1]  # a first click is no target
    assert list(arrays_of(EventTypes()).prefixes()) == [0, 1, 3, 5]


def test_the_types_follow_their_clicks():
    arrays = arrays_of(types_of(weights={"buy": 2.0}))
    assert list(arrays.event_types.types) == ["buy", "view", "cart"]
    assert list(arrays.take(np.array([2, 1])).events) == [1, 2, 2, 3]
    assert [list(piece.events) for piece in arrays.pieces(1)][2] == [1, 2]
    assert list(arrays.followed_by(arrays).events) == [*arrays.events, *arrays.events]
    without_a = arrays.renumbered(np.array([-1, 0, 1]))
    assert list(without_a.events) == [2, 2, 3, 2]


def test_unknown_clicks_are_targets_only_by_their_weight():
    catalog = Catalog.of(LOG.filter(pl.col("item_id") != "a"))
    arrays = to_arrays(LOG, catalog, events=types_of(targets=["view"]))
    assert list(arrays.unknown) == [2, 0, 1]
    assert list(arrays.unknown_targets) == [0, 0, 0]  # a buy, and two first clicks
    assert list(to_arrays(LOG, catalog).unknown_targets) == [1, 0, 0]
