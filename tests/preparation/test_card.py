"""The card of a small log, computed on paper, and the text that shows it."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import gru4rec as g4r
from gru4rec.cli.prepare import as_text
from gru4rec.errors import ConfigError
from gru4rec.preparation import card
from gru4rec.preparation.card import Card
from gru4rec.preparation.recipe import Recipe

START = datetime(2020, 1, 1)

# session: (hours after the start, its items); of three items only, one is in the train part
SESSIONS = {
    "a": (0, "xyx"),
    "b": (24, "xyz"),
    "m": (36, "x"),
    "c": (48, "y"),
    "l": (95, "xx"),  # from 23:00 to 00:00, across the cut
    "v": (96 + 1, "xyu"),
    "t": (168, "ux"),
    "s": (192, "zqz"),
    "r": (200, "qq"),
}
SETTINGS = {
    "rules.drop_invalid": True,
    "rules.event_col": "kind",
    "rules.events": ["view"],
    "rules.drop_doubles": True,
    "split.valid": "2020-01-05",
    "split.test": "2020-01-08",
    "published.read.clicks": 25,
    "published.kept.sessions": 9,
    "published.train.clicks": 10,
    "published.train.sessions": 5,
    "published.train.items": 4,
    "published.test.clicks": 5,
    "published.test.sessions": 2,
    "published.test.items": 3,
}


def tiny() -> pl.DataFrame:
    """20 good clicks, one double, one of another kind, one invalid."""
    rows: list[tuple[str, str | None, datetime, str]] = [
        (session, item, START + timedelta(hours=hour + place), "view")
        for session, (hour, items) in SESSIONS.items()
        for place, item in enumerate(items)
    ]
    rows += [rows[0], ("k", "w", START + timedelta(hours=50), "buy"), ("a", None, START, "view")]
    return pl.DataFrame(rows, schema=["session_id", "item_id", "timestamp", "kind"], orient="row")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Card:
    """The card of the log."""
    return g4r.prepare(tiny(), tmp_path_factory.mktemp("card") / "out", Recipe().replace(SETTINGS))


def of(sessions: list[str], folder: Path, **settings: Any) -> Card:
    """The card of sessions a day apart, the parts as asked for."""
    rows = [
        (name, item, START + timedelta(days=name, minutes=minute))
        for name, items in enumerate(sessions)
        for minute, item in enumerate(items)
    ]
    log = pl.DataFrame(rows, schema=["session_id", "item_id", "timestamp"], orient="row")
    parts = {"split.valid": "none", "split.test": "none"}
    return g4r.prepare(log, folder / "out", Recipe().replace(parts | settings))


def numbers(line: dict[str, Any]) -> list[object]:
    return [line.get(key) for key in ("dropped", "clicks", "sessions", "items")]


# What was dropped


def test_invalid_rows_are_counted_by_what_is_wrong(found: Card) -> None:
    assert found["rows"] == {"read": 23, "invalid": {"null or empty item_id": 1}}


def test_each_rule_has_a_line_of_what_it_dropped_and_left(found: Card) -> None:
    lines = {line["rule"]: (line["setting"], *numbers(line)) for line in found["rules"]}
    assert lines == {
        "valid rows": ("", 1, 22, 10, 6),
        "events": ("view", 1, 21, 9, 5),
        "drop doubles": ("", 1, 20, 9, 5),
        "fewest clicks": ("of an item 1, of a session 1", 0, 20, 9, 5),
    }


def test_sessions_are_not_counted_before_users_have_them(tmp_path: Path) -> None:
    log = tiny().select(
        pl.col("session_id").alias("user_id"), pl.lit(1).alias("item_id"), "timestamp"
    )
    whole = {"split.valid": "none", "split.test": "none"}
    settings = {"columns.user_col": "user_id", "rules.gap": "1h"}
    lines = g4r.prepare(log, tmp_path / "out", Recipe().replace(settings | whole))["rules"]
    assert [line["sessions"] for line in lines] == [None, 10, 10]


# The parts


def test_each_part_is_counted(found: Card) -> None:
    counts = {name: numbers(part)[1:] for name, part in found["parts"].items()}
    assert counts == {"train": [8, 4, 3], "valid": [3, 1, 3], "test": [7, 3, 4]}
    assert found["split"]["left_out"] == {"clicks": 2, "sessions": 1}


def test_the_card_says_where_the_log_was_cut(found: Card) -> None:
    assert found["split"]["by"] == "start"
    assert found["split"]["cuts"] == {
        "test": {"asked": "2020-01-08", "at": "2020-01-08 00:00:00"},
        "valid": {"asked": "2020-01-05", "at": "2020-01-05 00:00:00"},
    }


def test_targets_on_items_that_train_lacks_are_a_share_of_all_targets(found: Card) -> None:
    # valid: y and u, u is unknown; test: x, q, z and q, both q are
    valid, test = found["parts"]["valid"], found["parts"]["test"]
    assert (valid["unknown_targets"], valid["unknown_target_share"]) == (1, 0.5)
    assert (test["unknown_targets"], test["unknown_target_share"]) == (2, 0.5)


def test_measured_are_the_known_clicks_of_sessions_that_have_two(found: Card) -> None:
    assert found["parts"]["valid"]["measured"] == {"clicks": 2, "sessions": 1, "items": 2}
    # t has one known click, x; s has z twice; r has none
    assert found["parts"]["test"]["measured"] == {"clicks": 2, "sessions": 1, "items": 1}


def test_the_train_part_is_not_measured(found: Card) -> None:
    assert set(found["parts"]["train"]) == {"clicks", "sessions", "items"}


# Statistics


def test_the_times_are_those_of_the_first_and_the_last_click(found: Card) -> None:
    assert found["time"]["first"] == "2020-01-01 00:00:00"
    assert found["time"]["last click"] == "2020-01-09 09:00:00"


def test_clicks_of_sessions_have_a_mean_and_quantiles(found: Card) -> None:
    # 1 1 2 2 2 3 3 3 3
    assert found["statistics"]["session_clicks"] == {
        "mean": 2.222, "0%": 1, "25%": 2, "50%": 2, "75%": 3, "90%": 3, "99%": 3, "100%": 3,
    }  # fmt: skip


def test_clicks_of_items_have_a_mean_and_quantiles(found: Card) -> None:
    # u 2, q and z 3, y 4, x 8
    assert found["statistics"]["item_clicks"] == {
        "mean": 4, "0%": 2, "25%": 3, "50%": 3, "75%": 4, "90%": 8, "99%": 8, "100%": 8,
    }  # fmt: skip


def test_quantiles_of_a_hundred_and_one_values_are_the_values_at_their_places() -> None:
    steps = card.quantiles(
        card.counted(pl.Series(range(101)).sample(fraction=1, shuffle=True, seed=2))
    )
    wanted = {f"{at}%": float(at) for at in (0, 25, 50, 75, 90, 99, 100)}
    assert steps == {"mean": 50.0, **wanted}


def test_the_revisit_share_is_of_the_clicks_that_are_not_the_first_of_a_session(
    found: Card,
) -> None:
    # a, l, s and r go back once each, of 20 − 9 such clicks
    assert found["statistics"]["revisit_share"] == pytest.approx(4 / 11, abs=1e-6)


def test_every_return_to_an_item_is_a_revisit(tmp_path: Path) -> None:
    assert of(["xxyx", "x"], tmp_path)["statistics"]["revisit_share"] == pytest.approx(
        2 / 3, abs=1e-6
    )


def test_the_order_share_is_what_the_most_frequent_followers_get_of_train(found: Card) -> None:
    # x → y twice; of y → x and y → z one; so 3 of 4
    assert found["statistics"]["order_share"] == 0.75


def test_sessions_of_one_click_have_no_shares(tmp_path: Path) -> None:
    made = of(["x", "y", "z"], tmp_path)
    assert made["statistics"]["revisit_share"] is None
    assert made["statistics"]["order_share"] is None
    assert "none" in as_text(made)


def test_no_targets_have_no_share_of_unknown_ones(tmp_path: Path) -> None:
    made = of(["x", "y", "z"], tmp_path, **{"split.test": "34%"})
    assert made["parts"]["test"]["unknown_target_share"] is None
    assert made["parts"]["test"]["measured"] == {"clicks": 0, "sessions": 0, "items": 0}


def test_a_share_is_rounded_to_six_digits_and_of_nothing_there_is_none() -> None:
    assert card.share(1, 3) == 0.333333
    assert card.share(0, 5) == 0.0
    assert card.share(0, 0) is None


# Published counts


def published(found: Card) -> dict[tuple[str, str], tuple[int, int | None]]:
    return {
        (one["of"], one["what"]): (one["published"], one["found"]) for one in found["published"]
    }


def test_published_counts_stand_beside_those_found(found: Card) -> None:
    # train and valid together are learned from; so u is known in the test part, q is not
    assert published(found) == {
        ("read", "clicks"): (25, 23),
        ("kept", "sessions"): (9, 9),
        ("train", "clicks"): (10, 11),
        ("train", "sessions"): (5, 5),
        ("train", "items"): (4, 4),
        ("test", "clicks"): (5, 4),
        ("test", "sessions"): (2, 2),
        ("test", "items"): (3, 3),
    }


def test_counts_of_a_raw_log_without_invalid_rows_are_compared_in_full(tmp_path: Path) -> None:
    asked = {f"published.read.{what}": 7 for what in ("clicks", "sessions", "items")}
    made = of(["xyx", "xz"], tmp_path, **asked)
    assert published(made) == {
        ("read", "clicks"): (7, 5),
        ("read", "sessions"): (7, 2),
        ("read", "items"): (7, 3),
    }


def test_what_was_not_counted_is_compared_with_nothing(found: Card, tmp_path: Path) -> None:
    made = of(["xyx", "xz"], tmp_path, **{"published.test.clicks": 7})
    assert published(made) == {("test", "clicks"): (7, None)}
    line = as_text(made).splitlines()[-1]
    assert line.startswith("published test clicks 7")


def test_nothing_published_is_nothing_compared(tmp_path: Path) -> None:
    made = of(["xyx", "xz"], tmp_path)
    assert made["published"] == []
    assert "published" not in as_text(made)


# The text


def test_the_text_has_a_row_for_each_rule_and_part(found: Card) -> None:
    lines = [line.split() for line in as_text(found).splitlines()]
    assert lines[0] == ["clicks", "sessions", "items", "dropped"]
    for row in (
        "valid rows 22 10 6 1",
        "events view 21 9 5 1",
        "drop doubles 20 9 5 1",
        "across a cut, in no part 2 1",
        "train 8 4 3",
        "valid 3 1 3",
        "test 7 3 4",
    ):
        assert row.split() in lines


def test_the_columns_of_the_text_stand_below_each_other(found: Card) -> None:
    table = as_text(found).split("\n\n")[0].splitlines()
    whole = [line for line in table if len(line.split()) >= 5 and "cut" not in line]
    assert {len(line) for line in whole} == {len(table[0])} - {0}


def test_the_text_says_the_statistics(found: Card) -> None:
    text = as_text(found)
    assert "2020-01-01 00:00:00" in text
    assert "2020-01-09 09:00:00" in text
    assert "valid 2020-01-05: from 2020-01-05 00:00:00" in text
    assert "session clicks: mean 2.222  0% 1  25% 2  50% 2" in text
    assert "item clicks: mean 4  0% 2" in text
    assert "36.4%" in text
    assert "75.0%" in text
    assert "valid targets on items not in train: 50.0%" in text


def test_the_text_says_how_far_a_count_is_from_the_published_one(found: Card) -> None:
    lines = as_text(found).splitlines()
    assert "published train clicks 10, found 11 (+10.00%)" in lines
    assert "published read clicks 25, found 23 (-8.00%)" in lines
    assert "published kept sessions 9, found 9 (+0.00%)" in lines


def test_the_text_parts_thousands(tmp_path: Path) -> None:
    made = of(["x" * 1234, "y"], tmp_path)
    lines = [line.split() for line in as_text(made).splitlines()]
    assert ["train", "1,235", "2", "2"] in lines


def test_nothing_is_no_published_count() -> None:
    with pytest.raises(ConfigError, match=r"clicks must be at least 1, got 0"):
        Recipe().replace({"published.kept.clicks": 0})


def test_a_card_without_times_can_be_shown(tmp_path: Path) -> None:
    log = pl.DataFrame({"session_id": [1, 1, 2, 3], "item_id": [1, 2, 3, 4]})
    whole = {"split.valid": "none", "split.test": "34%"}
    made = g4r.prepare(log, tmp_path / "out", Recipe().replace(whole))
    assert made["time"] is None
    assert "test 34%" in as_text(made)


def test_the_card_on_disk_is_the_one_that_is_returned(tmp_path: Path) -> None:
    made = of(["xyx", "xz"], tmp_path)
    assert json.loads((tmp_path / "out" / "card.json").read_text(encoding="utf-8")) == made
