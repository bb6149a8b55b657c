"""The recipes of datasets/ read small files of their logs' layout, and do what they say."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
from raw_logs import DATASETS, EXPECTED, diginetica, otto, retailrocket

from gru4rec import Recipe, prepare


def test_every_recipe_is_tried_here() -> None:
    assert {path.stem for path in DATASETS.glob("*.toml")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recipe_reads_its_log_and_splits_it_as_it_says(name: str, tmp_path: Path) -> None:
    writer, read, kept, sessions = EXPECTED[name]
    recipe = Recipe.from_toml(DATASETS / f"{name}.toml")
    card = prepare(writer(tmp_path), tmp_path / "out", recipe)
    assert card["rows"] == {"read": read, "invalid": {}}
    assert card["rules"][-1]["clicks"] == kept
    assert tuple(card["parts"][part]["sessions"] for part in card["parts"]) == sessions
    assert card["parts"]["train"]["items"] == 5


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recipe_says_where_its_log_comes_from(name: str) -> None:
    about = Recipe.from_toml(DATASETS / f"{name}.toml").about
    assert all([about.name, about.home, about.licence, about.citation, about.files])


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recipe_compares_its_published_counts(name: str, tmp_path: Path) -> None:
    writer, read, _, _ = EXPECTED[name]
    recipe = Recipe.from_toml(DATASETS / f"{name}.toml")
    card = prepare(writer(tmp_path), tmp_path / "out", recipe)
    first = card["published"][0]
    assert first == {
        "of": "read", "what": "clicks", "found": read, "published": recipe.published.read.clicks,
    }  # fmt: skip


def test_retailrocket_ends_visits_by_the_gaps_between_all_events(tmp_path: Path) -> None:
    recipe = Recipe.from_toml(DATASETS / "retailrocket.toml")
    prepare(retailrocket(tmp_path), tmp_path / "out", recipe)
    train = pl.read_parquet(tmp_path / "out" / "train.parquet")
    assert train.filter(pl.col("session_id") == "0-1")["item_id"].to_list() == [0, 1, 2, 4]


def test_diginetica_counts_time_from_the_date_of_the_session(tmp_path: Path) -> None:
    recipe = Recipe.from_toml(DATASETS / "diginetica.toml")
    prepare(diginetica(tmp_path), tmp_path / "out", recipe)
    train = pl.read_parquet(tmp_path / "out" / "train.parquet")
    assert train["timestamp"][:3].to_list() == [
        datetime(2016, 3, 1, 0, minute) for minute in (0, 2, 3)
    ]


def test_otto_keeps_clicks_only(tmp_path: Path) -> None:
    recipe = Recipe.from_toml(DATASETS / "otto.toml")
    prepare(otto(tmp_path), tmp_path / "out", recipe)
    assert set(pl.read_parquet(tmp_path / "out" / "test.parquet")["type"]) == {"clicks"}
