"""A log in shards of whole sessions is prepared as one piece is; rows may stand in any order."""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from toys import SOME_RULES, clicks_of

import gru4rec as g4r
from gru4rec.clicks import session_runs, write_parquet_pieces
from gru4rec.errors import DataError
from gru4rec.preparation import shards
from gru4rec.preparation.card import Card
from gru4rec.preparation.recipe import Recipe

START = datetime(2020, 1, 6)
PARTS = ("train", "valid", "test")
WHOLE = {"split.valid": "none", "split.test": "none"}

Values = dict[str, Any]


def prepared(
    log: pl.DataFrame, values: Values, *, file: bool = False, **more: int
) -> tuple[dict[str, pl.DataFrame], Card]:
    """(the parts, the card but its source) of a log, which may come from a file."""
    with TemporaryDirectory() as folder:
        raw, out = Path(folder) / "log.parquet", Path(folder) / "out"
        log.write_parquet(raw)
        card = g4r.prepare(raw if file else log, out, Recipe().replace(values), **more)
        assert card.pop("source") == ([str(raw)] if file else [])
        paths = {name: out / f"{name}.parquet" for name in PARTS}
        return {name: pl.read_parquet(path) for name, path in paths.items() if path.exists()}, card


def assert_prepared_alike(
    one: tuple[dict[str, pl.DataFrame], Card], other: tuple[dict[str, pl.DataFrame], Card]
) -> None:
    """The same parts, row for row, and the same card."""
    assert other[1] == one[1]
    assert other[0].keys() == one[0].keys()
    for name, part in one[0].items():
        assert_frame_equal(other[0][name], part)


@st.composite
def logs(draw: st.DrawFn, *, distinct: bool = False) -> pl.DataFrame:
    """Logs of (session or user, item, time, a further column); ids are numbers or text."""
    row = st.tuples(st.integers(0, 8), st.integers(0, 4), st.integers(0, 1500))
    by = (lambda one: 500 * one[0] + one[2]) if distinct else None
    rows = draw(st.lists(row, min_size=8, max_size=25, unique_by=by))
    log = pl.DataFrame(
        {
            draw(st.sampled_from(["session_id", "user_id"])): [owner for owner, _, _ in rows],
            "item_id": [item for _, item, _ in rows],
            "timestamp": [
                START + timedelta(minutes=500 * owner + minute) for owner, _, minute in rows
            ],
            "price": [minute / 4 for *_, minute in rows],
        }
    )
    if draw(st.booleans()):
        log = log.with_columns(pl.format("n{}", log.to_series(0)), pl.format("i{}", "item_id"))
    return log


def recipe_for(log: pl.DataFrame, values: Values) -> Values:
    return values | ({"columns.user_col": "user_id"} if log.columns[0] == "user_id" else {})


SOME_SPLIT = st.fixed_dictionaries(
    {},
    optional={
        "split.valid": st.sampled_from(["none", "2h", "1d", "34%"]),
        "split.test": st.sampled_from(["none", "1h", "1d", "34%"]),
        "split.split_by": st.sampled_from(["start", "end"]),
    },
)
SETTINGS = st.builds(lambda rules, split: rules | split, SOME_RULES, SOME_SPLIT)


@given(logs(), SETTINGS, st.sampled_from([1, 3, 8]), st.booleans())
def test_shards_give_the_parts_and_the_card_that_the_whole_log_gives(
    log: pl.DataFrame, values: Values, rows: int, file: bool
) -> None:
    values = recipe_for(log, values)
    try:
        whole = prepared(log, values)
    except DataError:
        with pytest.raises(DataError):
            prepared(log, values, shard_rows=rows)
        return
    assert_prepared_alike(whole, prepared(log, values, file=file, shard_rows=rows))


@given(logs(distinct=True), SETTINGS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_of_a_log_does_not_matter_where_times_differ(
    log: pl.DataFrame, values: Values, random: Any
) -> None:
    order = list(range(log.height))
    random.shuffle(order)
    values = recipe_for(log, values)
    try:
        whole = prepared(log, values)
    except DataError:
        return
    assert_prepared_alike(whole, prepared(log[order], values))


def many(sessions: int) -> pl.DataFrame:
    """Sessions of two clicks, on the items 1 and 2, one a minute, in reverse order."""
    ids = [n for n in range(sessions) for _ in "ab"]
    return pl.DataFrame(
        {
            "session_id": ids,
            "item_id": [1, 2] * sessions,
            "timestamp": [START + timedelta(minutes=n) for n in ids],
        }
    ).reverse()


def test_a_shard_of_which_nothing_is_left_does_no_harm() -> None:
    log = many(20)
    rare = pl.when(pl.col("session_id") < 10).then(pl.int_range(pl.len()) + 100)
    log = log.with_columns(rare.otherwise("item_id").alias("item_id"))
    parts, card = prepared(log, WHOLE | {"rules.min_item_clicks": 2}, shard_rows=2)
    assert set(parts["train"]["session_id"]) == set(range(10, 20))
    assert card["rules"][-1]["clicks"] == 20


def test_the_parts_of_many_shards_have_their_sessions_by_start() -> None:
    parts, card = prepared(many(40), {"split.valid": "10m", "split.test": "25%"}, shard_rows=7)
    assert parts["train"]["session_id"].to_list() == [n for n in range(19) for _ in "ab"]
    assert parts["valid"]["session_id"].to_list() == [n for n in range(19, 30) for _ in "ab"]
    assert parts["test"]["session_id"].to_list() == [n for n in range(30, 40) for _ in "ab"]
    assert card["parts"]["train"]["clicks"] == 38


@pytest.mark.parametrize("rows", [100, 3])
def test_columns_of_any_name_come_along_from_shards(rows: int) -> None:
    names = ["shard", "_rank", "rank", "start", "end", "clicks", "support", "known", "part", "len"]
    mine = pl.int_range(pl.len()) * 10
    log = many(6).with_columns(mine.alias(name) for name in names)
    train = prepared(log, WHOLE | {"rules.min_item_clicks": 2}, shard_rows=rows)[0]["train"]
    assert set(train.columns) == set(log.columns)
    assert_frame_equal(
        train.select(log.columns), log.sort("session_id", "timestamp", maintain_order=True)
    )


# The pieces


def test_a_log_of_one_shard_is_not_written(tmp_path: Path) -> None:
    whole = many(5).lazy()
    assert shards.cut(whole, 10, by="session_id", folder=tmp_path / "cut", shard_rows=10) == [whole]
    made = shards.store([whole], lambda shard: shard.collect().head(3), tmp_path / "made")
    assert [one.collect().height for one in made] == [3]
    assert list(tmp_path.iterdir()) == []


def test_a_log_is_cut_between_sessions_and_its_rows_keep_their_order(tmp_path: Path) -> None:
    log = many(30).sample(fraction=1, shuffle=True, seed=5).with_row_index("row")
    pieces = [
        piece.collect()
        for piece in shards.cut(
            log.lazy(), 60, by="session_id", folder=tmp_path / "cut", shard_rows=12
        )
    ]
    assert 1 < len(pieces) <= 5
    assert_frame_equal(pl.concat(pieces).sort("row"), log)
    assert all(piece["row"].is_sorted() for piece in pieces)
    owners = [set(piece["session_id"]) for piece in pieces]
    assert sum(map(len, owners)) == len(set().union(*owners)) == 30


def test_shards_are_stored_in_their_order(tmp_path: Path) -> None:
    found = [pl.LazyFrame({"n": [number]}) for number in (3, 1, 2)]
    made = shards.store(found, lambda shard: shard.collect() * 2, tmp_path / "made")
    assert [one.collect().item() for one in made] == [6, 2, 4]


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_sessions_of_all_shards_are_merged_by_rank_and_those_of_none_left_out(rows: int) -> None:
    one = pl.LazyFrame({"click": ["a1", "a2", "b1", "d1", "d2"]})
    other = pl.LazyFrame({"click": ["c1", "e1", "e2", "e3"]})
    ranks = [np.array([0, -1, 3]), np.array([2, 4])]
    lengths = [np.array([2, 1, 2]), np.array([1, 3])]
    frames = list(shards.merge([one, other], ranks, lengths, shard_rows=rows))
    merged = pl.concat(frames)["click"].to_list()
    assert merged == ["a1", "a2", "c1", "d1", "d2", "e1", "e2", "e3"]
    assert (len(frames) == 1) == (rows == 100)


def test_many_frames_are_written_as_one_file(tmp_path: Path) -> None:
    frames = [pl.DataFrame({"n": [start, start + 1]}) for start in (4, 0, 2)]
    write_parquet_pieces(iter(frames), tmp_path / "all.parquet", tmp_path / "pieces")
    assert pl.read_parquet(tmp_path / "all.parquet")["n"].to_list() == [4, 5, 0, 1, 2, 3]


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_runs_are_whole_sessions_in_their_order(size):
    log = clicks_of([["a", "b"], ["c"], ["a"] * 5, ["b", "c", "a"]])
    found = list(session_runs(log.lazy(), shard_rows=size))
    pieces = [piece.collect() for _, piece in found]
    assert_frame_equal(pl.concat(pieces), log)
    heights = [piece.height for piece in pieces]
    assert [start for start, _ in found] == np.cumsum([0, *heights[:-1]]).tolist()
    sessions = [set(piece["session_id"]) for piece in pieces]
    assert sum(map(len, sessions)) == 4
    assert len(pieces) == {1: 4, 3: 3, 4: 2, 100: 1}[size]


def test_a_log_whose_sessions_are_mixed_is_one_run():
    log = clicks_of([["a", "b"], ["c", "d"]]).gather_every(2).extend(clicks_of([["b"], ["d"]]))
    assert [start for start, _ in session_runs(log.lazy(), shard_rows=1)] == [0]
    empty = list(session_runs(log.head(0).lazy(), shard_rows=1))
    assert [(start, piece.collect().height) for start, piece in empty] == [(0, 0)]
