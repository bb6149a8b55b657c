"""`gru4rec backtest`: a log in, a table out."""

import json
from datetime import timedelta

import polars as pl
import pytest
from click.testing import CliRunner, Result
from toys import QUICK

from gru4rec.cli import main


@pytest.fixture
def long_log(log, tmp_path):
    """The log, its sessions a quarter of an hour apart."""
    clicks = pl.read_parquet(log)
    start = pl.col("timestamp").min().over("session_id")
    shift = pl.col("session_id").rank("dense").cast(pl.Int64) * timedelta(minutes=15)
    moved = clicks.with_columns(timestamp=start.min() + shift + (pl.col("timestamp") - start))
    moved.write_parquet(tmp_path / "long.parquet")
    return tmp_path / "long.parquet"


def run(log, *options: str) -> Result:
    base = ["backtest", str(log), "--train", "1d", "--every", "12h", *QUICK]
    return CliRunner().invoke(main, [*base, *options])


def test_people_get_a_row_for_each_step_and_one_for_all(long_log):
    result = run(long_log, "--baseline", "popularity")
    assert result.exit_code == 0, result.stderr
    head, *lines = [line for line in result.stdout.splitlines() if not line.startswith("|-")]
    assert head.replace("|", " ").split() == ["step", "stale", "update", "full", "popularity"]
    names = [line.split("|")[1].strip() for line in lines]
    assert names[-2:] == ["all", "seconds"]
    assert len(names) > 3
    assert "update" in result.stderr


def test_programs_get_objects(long_log):
    result = run(long_log, "--ways", "stale", "-k", "5", "-k", "10", "--format", "json")
    rows = json.loads(result.stdout)
    needed = {
        "way",
        "step",
        "start",
        "metric",
        "k",
        "value",
        "num_targets",
        "share_unknown",
        "seconds",
    }
    assert all(needed <= row.keys() for row in rows)
    assert {row["k"] for row in rows} == {5, 10}


def test_an_unknown_way_is_one_line(long_log):
    result = run(long_log, "--ways", "fresh")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("Error: no way 'fresh'; choose from stale")
