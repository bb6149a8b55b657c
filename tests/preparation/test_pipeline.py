"""`prepare` writes a folder whole or not at all; columns and formats of all kinds come through."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import gru4rec as g4r
from gru4rec.errors import ConfigError, DataError
from gru4rec.preparation.card import Card
from gru4rec.preparation.recipe import Recipe

START = datetime(2020, 1, 1)
WHOLE = {"split.valid": "none", "split.test": "none"}
FILES = {"train.parquet", "valid.parquet", "test.parquet", "card.json", "recipe.toml"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder that is not there yet, in an empty one."""
    (tmp_path / "made").mkdir()
    return tmp_path / "made" / "out"


def days(text: str, **columns: list[Any]) -> pl.DataFrame:
    """Sessions "a:xyx b:zz", one a day, with a click an hour."""
    halves = [one.split(":") for one in text.split()]
    rows = [
        (session, item, START + timedelta(days=day, hours=hour))
        for day, (session, items) in enumerate(halves)
        for hour, item in enumerate(items)
    ]
    log = pl.DataFrame(rows, schema=["session_id", "item_id", "timestamp"], orient="row")
    return log.with_columns(pl.Series(name, values) for name, values in columns.items())


def run(source: Any, out: Path, settings: dict[str, Any] | None = None, **more: Any) -> Card:
    return g4r.prepare(source, out, Recipe().replace(settings or {}), **more)


def part(out: Path, name: str = "train") -> pl.DataFrame:
    return pl.read_parquet(out / f"{name}.parquet")


def sessions(out: Path) -> list[list[object]]:
    """The sessions of train, valid and test in their order."""
    names = [name for name in ("train", "valid", "test") if (out / f"{name}.parquet").exists()]
    return [part(out, name)["session_id"].unique(maintain_order=True).to_list() for name in names]


LOG = days("a:xy b:yz c:zx d:xz e:xyz")


# The folder


@pytest.mark.parametrize("rows", [100, 3])
def test_the_folder_holds_the_parts_the_card_and_the_recipe_and_nothing_else(
    out: Path, rows: int
) -> None:
    g4r.prepare(LOG, out, shard_rows=rows)
    assert {file.name for file in out.iterdir()} == FILES
    assert list(out.parent.iterdir()) == [out]


def test_the_recipe_in_the_folder_is_the_one_that_was_followed(out: Path) -> None:
    rules = {"rules.gap": "2h", "rules.where": "item_id <> 'q'", "rules.min_item_clicks": 2}
    more = {"about.name": 'a "log"', "split.test": "20%", "published.kept.clicks": 9}
    used = Recipe().replace(rules | more)
    g4r.prepare(LOG, out, used)
    assert Recipe.from_toml(out / "recipe.toml") == used


def test_the_recipe_in_the_folder_prepares_the_same_again(out: Path) -> None:
    first = run(LOG, out, {"rules.drop_repeats": True, "split.valid": "1d", "split.test": "30%"})
    again = g4r.prepare(LOG, out.with_name("again"), Recipe.from_toml(out / "recipe.toml"))
    assert again == first
    assert_frame_equal(part(out.with_name("again"), "test"), part(out, "test"))


def test_an_older_folder_is_replaced_only_with_force(out: Path) -> None:
    run(LOG, out)
    with pytest.raises(DataError, match="force"):
        run(LOG, out, WHOLE)
    assert {file.name for file in out.iterdir()} == FILES
    run(LOG, out, WHOLE, force=True)
    assert {file.name for file in out.iterdir()} == FILES - {"valid.parquet", "test.parquet"}
    assert list(out.parent.iterdir()) == [out]


def test_what_is_no_prepared_folder_is_not_replaced_even_with_force(out: Path) -> None:
    out.write_text("mine")
    with pytest.raises(DataError, match="no folder of prepared sessions"):
        run(LOG, out, force=True)
    assert out.read_text() == "mine"
    out.unlink()
    out.mkdir()
    (out / "train.parquet").write_text("mine")
    with pytest.raises(DataError, match="no folder of prepared sessions"):
        run(LOG, out, force=True)
    (out / "card.json").write_text("{}")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="no folder of prepared sessions"):
        run(LOG, out, force=True)
    assert {file.name for file in out.iterdir()} == {"train.parquet", "card.json", "notes.txt"}


@pytest.mark.parametrize("rows", [100, 3])
@pytest.mark.parametrize(
    "settings",
    [
        {"rules.min_item_clicks": 99},
        {"split.test": "99d"},
        {"rules.where": "no_column = 1"},
        {"columns.item_col": "nonesuch"},
        {"rules.gap": "soon"},
    ],
)
def test_a_failure_leaves_the_older_folder_and_nothing_beside_it(
    out: Path, settings: dict[str, Any], rows: int
) -> None:
    run(LOG, out)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    with pytest.raises(DataError):
        run(LOG, out, settings, force=True, shard_rows=rows)
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert list(out.parent.iterdir()) == [out]


def test_invalid_rows_are_refused_and_leave_nothing(out: Path) -> None:
    bad = LOG.with_columns(item_id=pl.when(pl.int_range(pl.len()) != 2).then("item_id"))
    with pytest.raises(DataError, match="drop_invalid"):
        run(bad, out)
    assert list(out.parent.iterdir()) == []


# Columns


@pytest.mark.parametrize("rows", [100, 2])
def test_other_columns_come_along_with_their_types(out: Path, rows: int) -> None:
    log = days(
        "a:xy b:yz",
        user_id=[7, 7, 8, 8],
        price=[1.5, None, 2.5, 3.0],
        category=["k", "l", None, "m"],
        tags=[["p", "q"], [], None, ["r"]],
    )
    run(log, out, WHOLE, shard_rows=rows)
    train = part(out)
    assert train.columns[:2] == ["session_id", "item_id"]
    assert_frame_equal(train.select(log.columns), log)
    assert train.schema["price"] == pl.Float64
    assert train.schema["category"] == pl.String
    assert train.schema["tags"] == pl.List(pl.String)


def test_columns_are_written_by_our_names_and_a_clash_is_told_apart(out: Path) -> None:
    log = days("a:xy b:yz").rename({"session_id": "visit", "item_id": "page"})
    log = log.with_columns(item_id=pl.Series([1, 2, 3, 4]))
    run(log, out, WHOLE | {"columns.session_col": "visit", "columns.item_col": "page"})
    train = part(out)
    assert train["session_id"].to_list() == ["a", "a", "b", "b"]
    assert train["item_id"].to_list() == ["x", "y", "y", "z"]
    assert train["item_id_in_log"].to_list() == [1, 2, 3, 4]


def test_users_stay_beside_the_sessions_made_of_them(out: Path) -> None:
    log = days("a:xy b:yz").rename({"session_id": "visitor"})
    run(log, out, WHOLE | {"columns.user_col": "visitor", "rules.gap": "30m"})
    train = part(out)
    assert train["session_id"].to_list() == ["a-1", "a-2", "b-1", "b-2"]
    assert train["user_id"].to_list() == ["a", "a", "b", "b"]


def test_sessions_that_are_named_are_kept_beside_users(out: Path) -> None:
    log = days("a:xy b:yz", visitor=[5, 5, 5, 5])
    run(log, out, WHOLE | {"columns.user_col": "visitor", "columns.session_col": "session_id"})
    assert part(out)["session_id"].to_list() == ["a", "a", "b", "b"]
    assert part(out)["user_id"].to_list() == [5, 5, 5, 5]


def test_milliseconds_are_added_to_the_date_of_a_session(out: Path) -> None:
    log = pl.DataFrame(
        {
            "session_id": [1, 1, 2],
            "item_id": [10, 11, 12],
            "timestamp": ["2020-01-02", "2020-01-02", "2020-01-01"],
            "frame": [90_061_001, 500, 0],
        }
    )
    run(log, out, WHOLE | {"columns.time_offset_col": "frame"})
    assert part(out)["item_id"].to_list() == [12, 11, 10]
    assert part(out)["timestamp"].to_list() == [
        datetime(2020, 1, 1),
        datetime(2020, 1, 2, 0, 0, 0, 500_000),
        datetime(2020, 1, 3, 1, 1, 1, 1000),
    ]


@pytest.mark.parametrize("column", ["nonesuch", "category"])
def test_an_offset_that_is_no_number_is_refused(out: Path, column: str) -> None:
    with pytest.raises(DataError, match="time_offset_col"):
        run(days("a:xy", category=["k", "l"]), out, {"columns.time_offset_col": column})


def test_a_time_whose_offset_is_missing_is_refused(out: Path) -> None:
    log = days("a:xy b:yz", frame=[0, None, 0, 0])
    with pytest.raises(DataError):
        run(log, out, WHOLE | {"columns.time_offset_col": "frame"})


# Formats


def test_a_file_without_a_header_is_read_by_the_names_given(out: Path, tmp_path: Path) -> None:
    (tmp_path / "clicks.dat").write_text("1,2020-01-01T10:00:00Z,7,0\n1,2020-01-01T10:01:00Z,8,S\n")
    names = ["session", "when", "page", "category"]
    settings = {"layout.header": names, "columns.time_col": "when", "columns.item_col": "page"}
    run(tmp_path / "clicks.dat", out, WHOLE | settings)
    assert part(out).select("session_id", "item_id", "category").rows() == [
        (1, 7, "0"),
        (1, 8, "S"),
    ]
    assert part(out)["timestamp"].to_list() == [
        datetime(2020, 1, 1, 10),
        datetime(2020, 1, 1, 10, 1),
    ]
    assert Recipe.from_toml(out / "recipe.toml").layout.header == tuple(names)


def test_sessions_of_nested_events_are_unfolded_and_kinds_chosen(out: Path, tmp_path: Path) -> None:
    ms = 1_659_304_800_025
    lines = [
        {
            "session": 1,
            "events": [
                {"aid": 5, "ts": ms + 60_000, "type": "clicks"},
                {"aid": 6, "ts": ms, "type": "clicks"},
                {"aid": 5, "ts": ms + 90_000, "type": "orders"},
            ],
        },
        {"session": 0, "events": [{"aid": 9, "ts": ms - 1000, "type": "clicks"}]},
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    settings = {
        "layout.explode": "events", "rules.event_col": "type", "rules.events": ["clicks"]
    }  # fmt: skip
    card = run(tmp_path / "log.jsonl", out, WHOLE | settings)
    assert part(out).select("session_id", "item_id").rows() == [(0, 9), (1, 6), (1, 5)]
    first = datetime(2022, 7, 31, 22, 0, 0, 25_000)
    assert part(out)["timestamp"].to_list() == [
        first - timedelta(seconds=1), first, first + timedelta(minutes=1)
    ]  # fmt: skip
    assert card["rows"]["read"] == 4
    assert card["rules"][1]["dropped"] == 1


# The split


def test_no_parts_but_train_are_made_where_none_are_asked_for(out: Path) -> None:
    card = run(LOG, out, WHOLE)
    assert list(card["parts"]) == ["train"]
    assert card["split"]["cuts"] == {}
    assert sessions(out) == [list("abcde")]


def test_one_part_may_be_asked_for_alone(out: Path) -> None:
    run(LOG, out, {"split.valid": "none", "split.test": "1d"})
    assert {file.name for file in out.iterdir()} == FILES - {"valid.parquet"}


def test_a_log_of_four_days_or_more_is_cut_by_days_unless_told(out: Path) -> None:
    # The last click is on the 5th at 2:00, the last before it on the 4th at 1:00; c runs across.
    card = run(LOG, out)
    assert [cut["asked"] for cut in card["split"]["cuts"].values()] == ["1d", "1d"]
    assert sessions(out) == [["a", "b"], ["d"], ["e"]]


def test_a_shorter_log_is_cut_by_shares_unless_told(out: Path) -> None:
    card = run(days("a:xy b:yz c:zx d:xz"), out)
    assert [cut["asked"] for cut in card["split"]["cuts"].values()] == ["10%", "10%"]
    assert sessions(out) == [["a", "b"], ["c"], ["d"]]


def test_a_stray_click_days_later_does_not_leave_a_part_empty(out: Path) -> None:
    log = days("a:xy b:yz c:zx d:xz e:xy")
    stray = log.tail(1).with_columns(pl.col("timestamp") + pl.duration(days=30))
    card = run(pl.concat([log, stray]), out)
    assert [cut["asked"] for cut in card["split"]["cuts"].values()] == ["10%", "10%"]


def test_parts_start_at_the_moments_asked_for(out: Path) -> None:
    card = run(LOG, out, {"split.valid": "2020-01-02", "split.test": "2020-01-05"})
    assert sessions(out) == [["a"], ["b", "c", "d"], ["e"]]
    assert card["split"]["cuts"]["test"]["at"] == "2020-01-05 00:00:00"


@pytest.mark.parametrize(
    ("by", "found", "left_out"),
    [("start", [["a"], ["c"], ["e"]], 4), ("end", [["a"], ["b", "c"], ["d", "e"]], 0)],
)
def test_sessions_across_a_cut_are_left_out_or_belong_to_the_later_part(
    out: Path, by: str, found: list[list[str]], left_out: int
) -> None:
    # b runs until 1:00 on the 3rd, d until 1:00 on the 5th
    log = LOG.with_columns(
        pl.when(pl.col("session_id").is_in(["b", "d"]))
        .then(pl.col("timestamp") + pl.duration(hours=24) * (pl.col("timestamp").dt.hour()))
        .otherwise("timestamp")
        .alias("timestamp")
    )
    split = {"split.valid": "2020-01-03", "split.test": "2020-01-05", "split.split_by": by}
    card = run(log, out, split)
    assert sessions(out) == found
    assert card["split"]["by"] == by
    assert card["split"]["left_out"] == {"clicks": left_out, "sessions": left_out // 2}


def test_without_times_sessions_stand_in_the_order_of_their_first_rows(out: Path) -> None:
    log = pl.DataFrame({"session_id": list("cabacbd"), "item_id": list("uvwxyzt")})
    card = run(log, out, {"split.valid": "33%", "split.test": "25%"})
    assert sessions(out) == [["c", "a"], ["b"], ["d"]]
    assert part(out)["item_id"].to_list() == list("uyvx")
    assert "timestamp" not in part(out).columns
    assert card["time"] is None


def test_without_times_a_tenth_of_the_sessions_each_is_cut_off_unless_told(out: Path) -> None:
    log = pl.DataFrame({"session_id": range(20), "item_id": [1] * 20})
    run(log, out)
    assert sessions(out) == [list(range(16)), [16, 17], [18, 19]]


@pytest.mark.parametrize("asked", ["1d", "2020-01-03"])
def test_without_times_a_part_of_time_is_refused(out: Path, asked: str) -> None:
    with pytest.raises(DataError, match="times"):
        run(LOG.drop("timestamp"), out, {"split.test": asked})


def test_a_gap_without_times_is_refused(out: Path) -> None:
    with pytest.raises(DataError, match="times"):
        run(LOG.drop("timestamp"), out, WHOLE | {"rules.gap": "30m"})


@pytest.mark.parametrize("rules", [{"rules.event_col": "kind"}, {"rules.events": ["view"]}])
def test_kinds_of_event_and_their_column_go_together(rules: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="go together"):
        Recipe().replace(rules)
