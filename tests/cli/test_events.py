"""Options of events: `train` and `evaluate` weigh targets by the type of a click."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import Result
from toys import QUICK

Run = Callable[..., Result]
Refusal = Callable[..., str]

GIVEN = ["--event-col", "type", "--weight", "view=1,buy=10"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where a checkpoint may be written."""
    return tmp_path / "model"


@pytest.fixture
def typed(clicks: pl.DataFrame, tmp_path: Path) -> Path:
    is_buy = pl.int_range(pl.len()) % 4 == 3
    typed = clicks.with_columns(type=pl.when(is_buy).then(pl.lit("buy")).otherwise(pl.lit("view")))
    typed.write_parquet(tmp_path / "typed.parquet")
    return tmp_path / "typed.parquet"


def test_weights_are_learned_kept_and_measured(run: Run, typed: Path, out: Path) -> None:
    assert (
        run("train", typed, "-o", out, *QUICK, *GIVEN, "--target-events", "buy,view").exit_code == 0
    )
    config = json.loads((out / "config.json").read_text())["training"]
    assert config["event_column"] == "type"
    assert config["event_weights"] == {"view": 1.0, "buy": 10.0}
    assert config["target_events"] == ["buy", "view"]
    result = run("evaluate", out, typed, "-k", 5, "--by", "event", "--format", "json")
    rows = json.loads(result.stdout)
    slices = {row["slice"] for row in rows}
    assert slices == {"all", "event buy", "event view"}
    assert "weighted_recall" in {row["metric"] for row in rows}
    plain = json.loads(run("evaluate", out, typed, "--event-col", "", "--format", "json").stdout)
    assert "weighted_recall" not in {row["metric"] for row in plain}


def test_rewards_are_learned_and_what_a_list_earns_is_estimated(
    run: Run, typed: Path, out: Path
) -> None:
    given = ["--event-col", "type", "--reward", "buy=2"]
    assert run("train", typed, "-o", out, *QUICK, *given).exit_code == 0
    assert json.loads((out / "config.json").read_text())["training"]["rewards"] == {"buy": 2.0}
    asked = ["evaluate", out, typed, "-k", 5, "--metric", "reward", "--format", "json"]
    learned = json.loads(run(*asked).stdout)
    assert {row["metric"] for row in learned} == {"reward", "reward_ess", "reward_clipped"}
    half = json.loads(run(*asked, "--event-col", "type", "--reward", "buy=1").stdout)
    values = [{row["metric"]: row["value"] for row in rows} for rows in (learned, half)]
    assert values[0]["reward"] == pytest.approx(2 * values[1]["reward"])
    assert 0 < values[0]["reward"] < 2


def test_settings_of_events_are_in_the_config_that_is_shown(
    run: Run, typed: Path, out: Path
) -> None:
    shown = run("train", typed, "-o", out, "--show-config", *GIVEN)
    assert shown.exit_code == 0, shown.stderr
    (out.parent / "c.toml").write_text(shown.stdout)
    again = run("train", typed, "-o", out, "--show-config", "-c", out.parent / "c.toml")
    assert again.stdout == shown.stdout
    assert "[training.event_weights]\nview = 1.0\nbuy = 10.0" in shown.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--event-col", "type", "--weight", "buy"], "--weight"),
        (["--event-col", "type", "--weight", "buy=much"], "--weight"),
        (["--event-col", "type", "--weight", "=3"], "--weight"),
        (["--event-col", "type", "--weight", "buy=-1"], "at least 0"),
        (["--event-col", "type", "--weight", "bye=1"], "no event of type 'bye'"),
        (["--event-col", "type", "--target-events", "bye"], "no event of type 'bye'"),
        (["--event-col", "kind"], "lacks the column 'kind'"),
        (["--weight", "buy=1"], "--event-col"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    refusal: Refusal, typed: Path, out: Path, given: list[str], said: str
) -> None:
    assert said in refusal("train", typed, "-o", out, *QUICK, *given)
    assert not out.exists()
