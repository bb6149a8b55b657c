"""Side inputs: their codes, their embeddings, and a model that reads them."""

from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toys import TINY

import gru4rec as g4r
from gru4rec.clicks.reading import read_clicks
from gru4rec.model.encoders import ENCODERS
from gru4rec.model.side_embeddings import SideEmbeddings
from gru4rec.sessions import to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.sessions.side_inputs import SideInputs

START = datetime(2026, 3, 1, 22, 30)


def log_of(rows: list[tuple[object, ...]]) -> pl.LazyFrame:
    """Rows of session, item, seconds since START, event."""
    frame = pl.DataFrame(
        rows, schema=["session_id", "item_id", "seconds", "event"], orient="row"
    ).with_columns(timestamp=pl.lit(START) + pl.duration(milliseconds=pl.col("seconds") * 1000))
    return read_clicks(frame.drop("seconds"), also=["event"])


ROWS = [
    (1, "a", 0.0, "view"),
    (2, "b", 1.0, "cart"),
    (1, "b", 2.0, "view"),
    (1, "c", 5_402.0, None),
    (2, "a", 1.0, "view"),
    (2, "a", 2.5, "buy"),
]


def codes_of(clicks: pl.LazyFrame, sides: SideInputs) -> list[list[int]]:
    catalog = Catalog.of(clicks)
    return to_arrays(clicks, catalog, side_inputs=sides).sides.tolist()


def test_gaps_are_logarithms_of_seconds_within_a_session():
    clicks = log_of(ROWS)
    # session 1: no click before, 2 s → ⌊log₂ 3⌋ = 1, 5,400 s → ⌊log₂ 5,401⌋ = 12; then session 2
    sides = SideInputs.of(clicks, ["gap"])
    assert codes_of(clicks, sides) == [[0], [2], [13], [0], [1], [2]]
    assert sides.sizes == [25]


def test_hours_are_those_of_the_day():
    clicks = log_of(ROWS)
    assert codes_of(clicks, SideInputs.of(clicks, ["hour"])) == [[23], [23], [1], [23], [23], [23]]


def test_a_columns_values_are_coded_by_their_number_and_nothing_is_0():
    clicks = log_of(ROWS)
    sides = SideInputs.of(clicks, ["event"])
    assert sides.values == {"event": ["view", "buy", "cart"]}
    assert codes_of(clicks, sides) == [[1], [1], [0], [3], [1], [2]]
    other = log_of([(1, "a", 0.0, "gift"), (1, "b", 1.0, "cart")])
    assert codes_of(other, sides) == [[0], [3]]


def test_unknown_items_leave_the_codes_of_the_others():
    clicks = log_of(ROWS)
    catalog = Catalog.of(clicks.filter(pl.col("item_id") != "b"))
    arrays = to_arrays(clicks, catalog, side_inputs=SideInputs.of(clicks, ["gap", "event"]))
    assert arrays.sides.tolist() == [[0, 1], [13, 0], [1, 1], [2, 2]]


def test_what_a_log_at_serving_time_lacks_is_unknown_and_said(caplog):
    clicks = log_of(ROWS)
    sides = SideInputs.of(clicks, ["gap", "event"])
    assert codes_of(clicks.drop("event", "timestamp"), sides) == [[0, 0]] * 6
    assert "'gap'" in caplog.text
    assert "'event'" in caplog.text


@pytest.mark.parametrize(("name", "needed"), [("gap", "timestamp"), ("price", "price")])
def test_what_a_training_log_lacks_is_refused(name, needed):
    log = pl.LazyFrame({"session_id": [1, 1], "item_id": ["a", "b"]})
    config = g4r.Config().replace({**TINY, "encoder.inputs": [name]})
    with pytest.raises(g4r.DataError, match=f"needs a column '{needed}'"):
        g4r.GRU4Rec(config).fit(log)


def test_whole_numbers_are_the_same_as_integers_and_as_floats():
    rows = {"session_id": [1, 1], "item_id": ["a", "b"]}
    sides = SideInputs.of(pl.LazyFrame({**rows, "kind": [3.0, 4.5]}), ["kind"])
    clicks = pl.LazyFrame({**rows, "kind": [3, 4]})
    assert sides.values == {"kind": ["3", "4.5"]}
    assert to_arrays(clicks, Catalog.of(clicks), side_inputs=sides).sides.tolist() == [[1], [0]]


def test_numbers_are_coded_alike_in_text_files_and_tables(tmp_path):
    (tmp_path / "a.csv").write_text("session_id,item_id,kind\n1,a,01\n1,b,2.50\n1,c,3.0\n")
    (tmp_path / "b.csv").write_text("session_id,item_id,kind\n1,a,01\n1,b,S\n1,c,2.5\n")
    sides = SideInputs.of(read_clicks(tmp_path / "a.csv", also=["kind"]), ["kind"])
    assert sides.values == {"kind": ["01", "2.5", "3"]}
    assert codes_of(read_clicks(tmp_path / "b.csv", also=["kind"]), sides) == [[1], [0], [2]]
    numbers = pl.LazyFrame(
        {"session_id": [1, 1, 1], "item_id": ["a", "b", "c"], "kind": [1.0, 2.5, 3.0]}
    )
    assert codes_of(numbers, sides) == [[0], [2], [3]]
    where = read_clicks(tmp_path / "a.csv", also=["kind"], where="kind < 3")
    assert where.collect()["kind"].to_list() == ["01", "2.50"]


@pytest.mark.parametrize("name", ["item_id", "session_id"])
def test_ids_are_no_side_input(name):
    with pytest.raises(g4r.DataError, match=f"{name} is no side input"):
        SideInputs.of(log_of(ROWS), [name])


@given(
    st.sampled_from(["view", "3", "3.0", "2.50", "-0.10", "", 3, 2.5, 1e20, True, None]),
    st.integers(0, 10**13) | st.integers(0, 40).map(lambda n: 1000 * (2**n - 1)),
)
def test_a_live_click_is_coded_as_that_of_a_log(value, milliseconds):
    values = ["view", "3", "2.5", "true", "100000000000000000000", "-0.1", ""]
    sides = SideInputs({"event": values, "gap": [], "hour": []})
    times = [START, START + timedelta(milliseconds=min(milliseconds, 10**12))]
    clicks = pl.LazyFrame(
        {"session_id": [1, 1], "item_id": ["a", "b"], "timestamp": times, "event": [None, value]},
        strict=False,
    )
    expected = codes_of(clicks, sides)[1]
    assert sides.codes({"event": value, "timestamp": times[1]}, times[0]) == expected


def test_a_live_click_may_have_a_time_with_a_zone():
    sides = SideInputs({"hour": [], "gap": []})
    later = datetime(2026, 3, 2, 0, 30, tzinfo=timezone(timedelta(hours=1)))  # 23:30 in UTC
    assert sides.codes({"timestamp": later}, START) == [24, 1 + 11]  # ⌊log₂ 3,601⌋ = 11


@pytest.mark.parametrize("values", [[["x"], []], [b"x", b"y"], [timedelta(1), timedelta(2)]])
def test_a_column_that_is_no_number_text_or_truth_value_is_refused(values):
    log = pl.LazyFrame({"session_id": [1, 1], "item_id": ["a", "b"], "tags": values})
    config = g4r.Config().replace({**TINY, "encoder.inputs": ["tags"]})
    with pytest.raises(g4r.DataError, match="'tags' is of type"):
        g4r.GRU4Rec(config).fit(log)


def test_embeddings_are_added_or_set_beside():
    items, codes = torch.ones(1, 2), torch.tensor([[1, 2]])
    added = SideEmbeddings([2, 3], merge="add", width=2)
    added.table.data.copy_(torch.arange(10.0).view(5, 2))
    assert added(items, codes).tolist() == [[1 + 2 + 8, 1 + 3 + 9]]
    assert added.extra == 0
    beside = SideEmbeddings([2, 3], merge="concat", width=1)
    beside.table.data.copy_(torch.arange(5.0).view(5, 1))
    assert beside(items, codes).tolist() == [[1, 1, 1, 4]]
    assert beside.extra == 2


def by_gap(sessions: int, seed: int) -> pl.DataFrame:
    """After a pause of a second comes `quick`, after an hour `slow`: only the gap tells which."""
    random = np.random.default_rng(seed)
    rows = []
    for session in range(sessions):
        pause = 1 if random.random() < 0.5 else 3600
        start = START + timedelta(minutes=session)
        times = [start, start + timedelta(seconds=pause), start + timedelta(seconds=pause + 9)]
        items = ["a", "b", "quick" if pause == 1 else "slow"]
        rows += [(session, item, time) for item, time in zip(items, times, strict=True)]
    return pl.DataFrame(rows, schema=["session_id", "item_id", "timestamp"], orient="row")


@pytest.mark.parametrize("merge", ["add", "concat"])
@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_learns_what_only_the_gap_tells(name, merge, tmp_path):
    settings = {"encoder.name": name, "encoder.inputs": ["gap"], "encoder.merge": merge}
    config = g4r.Config().replace(
        {**TINY, "training.epochs": 4, "training.embedding_dropout": 0.0, **settings}
    )
    recommender = g4r.GRU4Rec(config, device="cpu").fit(by_gap(300, seed=1))
    recommender.save(tmp_path / "model")
    loaded = g4r.load(tmp_path / "model", device="cpu")
    test = by_gap(60, seed=2)
    prefixes = test.group_by("session_id", maintain_order=True).head(2)
    best = loaded.recommend(prefixes, k=1)["item_id"].to_list()
    last = test.group_by("session_id", maintain_order=True).last()["item_id"].to_list()
    assert best == last
    session = loaded.start_session()
    session.click("a", timestamp=START)
    session.click("b", timestamp=START + timedelta(hours=1))
    assert session.recommend(k=1)["item_id"].item() == "slow"


def test_a_live_session_refuses_what_no_side_input_is_made_of(log):
    config = g4r.Config().replace({**TINY, "encoder.inputs": ["gap"], "training.epochs": 1})
    session = g4r.GRU4Rec(config, device="cpu").fit(log).start_session()
    item = log["item_id"][0]
    with pytest.raises(g4r.DataError, match="no side input 'event'; choose from gap"):
        session.click(item, event="view")
    with pytest.raises(g4r.DataError, match="must be a datetime"):
        session.click(item, timestamp="noon")
    with pytest.raises(g4r.DataError, match="event must be a number, a text or a truth value"):
        SideInputs({"event": ["view"]}).codes({"event": [1, "a"]}, None)
    assert session.click(item)


def test_onehot_inputs_have_no_embedding_to_join():
    with pytest.raises(g4r.ConfigError, match="onehot"):
        g4r.EncoderConfig(embedding="onehot", inputs=("gap",))


def test_splits_carry_the_columns_along():
    clicks = by_gap(40, seed=1).with_columns(event=pl.lit("view"))
    for part in g4r.split_last(clicks, "20%"):
        assert "event" in part.collect_schema()
