"""Rules are applied in their order, each does what it says, and the card adds up."""

import dataclasses
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rule_effects import EFFECTS, KINDS, SOME_SPLIT, START, logs, visits
from toys import SOME_RULES

import gru4rec as g4r
from gru4rec.errors import DataError
from gru4rec.preparation.card import Card
from gru4rec.preparation.recipe import Recipe, Rules

WHOLE = {"split.valid": "none", "split.test": "none"}
BY_USER = {"columns.user_col": "user_id"}
PARTS = ("train", "valid", "test")

Values = dict[str, Any]


def prepared(log: pl.DataFrame, values: Values) -> tuple[dict[str, pl.DataFrame], Card]:
    """(the parts, the card) of a log."""
    with TemporaryDirectory() as folder:
        card = g4r.prepare(log, Path(folder) / "out", Recipe().replace(values))
        paths = {name: Path(folder) / "out" / f"{name}.parquet" for name in PARTS}
        return {name: pl.read_parquet(path) for name, path in paths.items() if path.exists()}, card


def left(log: pl.DataFrame, **rules: Any) -> str:
    """What the rules leave, as `visits` takes it."""
    train = prepared(log, WHOLE | {f"rules.{name}": value for name, value in rules.items()})[0]
    sessions = train["train"].group_by("session_id", maintain_order=True).agg("item_id")
    return " ".join(f"{session}:{''.join(items)}" for session, items in sessions.rows())


# Each rule


@pytest.mark.parametrize("name", EFFECTS)
def test_a_rule_does_what_it_says(name: str) -> None:
    log, rules, before, more, after = EFFECTS[name]
    assert left(log, **rules) == before
    assert left(log, **rules | more) == after


def test_invalid_rows_are_dropped_and_counted_if_asked_for() -> None:
    log = visits("a:xyz b:zx").with_columns(item_id=pl.Series(["x", None, "z", "", "x"]))
    with pytest.raises(DataError, match="drop_invalid"):
        left(log)
    parts, card = prepared(log, WHOLE | {"rules.drop_invalid": True})
    assert parts["train"]["item_id"].to_list() == ["x", "z", "x"]
    assert card["rows"] == {"read": 5, "invalid": {"null or empty item_id": 2}}


def test_the_effect_of_every_rule_is_tested() -> None:
    assert {spec.name for spec in dataclasses.fields(Rules)} == {*EFFECTS, "drop_invalid"}


def test_sessions_longer_than_the_most_clicks_are_dropped_if_asked_for() -> None:
    assert left(KINDS, max_session_clicks=2, long_sessions="drop") == "b:zx"


# Their order


def test_the_card_has_a_line_for_each_rule_in_their_order() -> None:
    rules = {
        "where": "item_id != 'q'", "event_col": "kind", "events": ["v", "b"], "drop_doubles": True,
        "gap": "1h", "drop_repeats": True, "max_session_clicks": 9, "long_sessions": "newest",
        "min_item_clicks": 2, "min_session_clicks": 2,
    }  # fmt: skip
    log = visits("a:xxy b:xy", kind=list("vvvvb"))
    lines = prepared(log, WHOLE | {f"rules.{k}": v for k, v in rules.items()})[1]["rules"]
    assert [(line["rule"], line["setting"]) for line in lines] == [
        ("where", "item_id != 'q'"),
        ("valid rows", ""),
        ("events", "v, b"),
        ("gap", "1h"),
        ("drop doubles", ""),
        ("drop repeats", ""),
        ("most clicks", "of a session 9, newest"),
        ("fewest clicks", "of an item 2, of a session 2"),
    ]
    assert [line["clicks"] for line in lines] == [5, 5, 5, 5, 5, 4, 4, 4]


def test_events_are_chosen_before_repeats_are_looked_for() -> None:
    log = visits("a:xyx", kind=list("vbv"))
    assert left(log, event_col="kind", events=["v"], drop_repeats=True) == "a:x"


def test_without_rules_the_card_has_the_valid_rows_and_what_is_left_of_them() -> None:
    lines = prepared(KINDS, WHOLE)[1]["rules"]
    assert [line["clicks"] for line in lines] == [5, 5]
    assert [line["sessions"] for line in lines] == [2, 2]


def test_a_repeat_after_a_pause_is_in_the_next_session_and_stays() -> None:
    log = visits("a:xxx").with_columns(
        timestamp=pl.Series([START + timedelta(minutes=minute) for minute in (0, 10, 99)])
    )
    assert left(log, gap="30m", drop_repeats=True) == "a-1:x a-2:x"


def test_length_is_limited_after_repeats_are_gone_and_before_support_is_counted() -> None:
    log = visits("a:xxyz b:xz")
    assert left(log, drop_repeats=True, max_session_clicks=2) == "a:xy b:xz"
    assert left(log, drop_repeats=True, max_session_clicks=2, min_item_clicks=2) == "a:x b:x"


# What the log cannot follow


def test_a_gap_in_a_log_without_times_is_refused() -> None:
    with pytest.raises(DataError, match="times"):
        left(KINDS.drop("timestamp"), gap="30m")


def test_users_make_no_sessions_without_times() -> None:
    log = pl.DataFrame({"user_id": [1, 1, 2], "item_id": [1, 2, 3]})
    with pytest.raises(DataError, match="times"):
        prepared(log, BY_USER | WHOLE)


def test_a_column_of_events_that_is_not_there_is_refused_with_those_there_are() -> None:
    with pytest.raises(DataError, match="event_col") as refused:
        left(KINDS, event_col="type", events=["v"])
    assert "'kind'" in str(refused.value)


@pytest.mark.parametrize("gap", ["30", "0m", "10%", "soon", ""])
def test_a_gap_that_is_no_duration_is_refused(gap: str) -> None:
    with pytest.raises(DataError, match="duration"):
        left(KINDS, gap=gap)


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        ({"min_item_clicks": 9}, "fewest clicks"),
        ({"max_session_clicks": 1, "long_sessions": "drop"}, "most clicks"),
        ({"event_col": "kind", "events": ["q"]}, "events q"),
    ],
)
def test_a_rule_that_leaves_nothing_is_named(rules: Values, name: str) -> None:
    with pytest.raises(DataError, match=f"no click is left after the rule {name}"):
        left(KINDS, **rules)


# Properties


@given(logs("user_id"), st.sampled_from([None, "30m", "1d"]))
def test_sessions_of_users_are_pure_in_time_order_and_end_after_the_gap(
    log: pl.DataFrame, gap: str | None
) -> None:
    values = BY_USER | WHOLE | ({"rules.gap": gap} if gap else {})
    train = prepared(log, values)[0]["train"]
    pause = timedelta(days=1) if gap == "1d" else timedelta(minutes=30)
    assert train.height == log.height
    ends: dict[object, datetime] = {}
    sessions = train.group_by("session_id", maintain_order=True).agg(pl.all())
    for _, _, times, users in sessions.rows():
        assert len(set(users)) == 1
        assert all(timedelta(0) <= later - at <= pause for at, later in pairwise(times))
        assert users[0] not in ends or times[0] - ends[users[0]] > pause
        ends[users[0]] = times[-1]
    starts = [times[0] for times in sessions["timestamp"].to_list()]
    assert starts == sorted(starts)


@given(logs("session_id"), st.integers(1, 3), st.integers(1, 3), SOME_RULES)
def test_only_supported_items_and_long_sessions_are_left(
    log: pl.DataFrame, items: int, length: int, rules: Values
) -> None:
    least = {"rules.min_item_clicks": items, "rules.min_session_clicks": length}
    rules = {key: value for key, value in rules.items() if key != "rules.filter_rounds"}
    try:
        train = prepared(log, rules | least | WHOLE)[0]["train"]
    except DataError as error:
        assert "no click is left" in str(error)  # noqa: PT017 - most logs are left whole
        return
    assert train.group_by("item_id").len()["len"].min() >= items  # type: ignore[operator]
    assert train.group_by("session_id").len()["len"].min() >= length  # type: ignore[operator]


@given(logs("session_id"), SOME_SPLIT)
def test_parts_share_no_session_and_each_is_older_than_the_next(
    log: pl.DataFrame, split: Values
) -> None:
    try:
        parts, card = prepared(log, split)
    except DataError:
        return
    for earlier, later in pairwise(parts.values()):
        assert earlier["timestamp"].max() < later["timestamp"].min()  # type: ignore[operator]
    sessions = [session for part in parts.values() for session in part["session_id"].unique()]
    assert len(sessions) == len(set(sessions))
    whole = log.filter(pl.col("session_id").is_in(sessions))
    assert sum(part.height for part in parts.values()) == whole.height
    assert card["split"]["left_out"]["clicks"] == log.height - whole.height


@given(logs("user_id"), SOME_RULES, SOME_SPLIT, st.sets(st.integers(0, 24), max_size=4))
def test_the_counts_of_the_card_add_up_to_the_rows_read(
    log: pl.DataFrame, rules: Values, split: Values, bad: set[int]
) -> None:
    row = pl.int_range(pl.len())
    log = log.with_columns(pl.when(~row.is_in(list(bad))).then("item_id").alias("item_id"))
    try:
        parts, card = prepared(log, BY_USER | rules | split | {"rules.drop_invalid": True})
    except DataError:
        return
    lines, out = card["rules"], card["split"]["left_out"]
    assert card["rows"]["read"] == log.height
    assert sum(card["rows"]["invalid"].values()) == log["item_id"].null_count()
    assert lines[0]["clicks"] == log.height - log["item_id"].null_count()
    assert lines[0]["dropped"] == log["item_id"].null_count()
    for before, after in pairwise(lines):
        assert after["dropped"] == before["clicks"] - after["clicks"] >= 0
    for what in ("clicks", "sessions"):
        assert lines[-1][what] == out[what] + sum(part[what] for part in card["parts"].values())
    assert list(card["parts"]) == list(parts)
    for name, part in parts.items():
        assert card["parts"][name]["clicks"] == part.height
        assert card["parts"][name]["sessions"] == part["session_id"].n_unique()
        assert card["parts"][name]["items"] == part["item_id"].n_unique()
