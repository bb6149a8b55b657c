"""`gru4rec update`: files in, a checkpoint out, errors of one line."""

import json

import polars as pl
import pytest
from click.testing import CliRunner, Result
from toys import QUICK

import gru4rec as g4r
from gru4rec.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def logs(log, tmp_path):
    """The older and the newer half of a log, as files."""
    clicks = pl.read_parquet(log)
    ids = clicks["session_id"].unique(maintain_order=True)
    for name, part in (("old", ids[:100]), ("new", ids[100:])):
        kept = clicks.filter(pl.col("session_id").is_in(part.implode()))
        kept.write_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def test_a_checkpoint_learns_new_clicks(logs):
    assert (
        run("train", logs / "old.parquet", "-o", logs / "m", "--updatable", *QUICK).exit_code == 0
    )
    result = run(
        "update", logs / "m", logs / "new.parquet", "-o", logs / "n",
        "--replay", logs / "old.parquet", "--replay-share", "0.5", "--epochs", "1",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "items after" in result.stderr
    old, new = (g4r.load(logs / name, device="cpu") for name in "mn")
    clicks = pl.read_parquet(logs / "new.parquet").height
    assert new.catalog.support.sum() == old.catalog.support.sum() + clicks
    (row,) = json.loads((logs / "n" / "meta.json").read_text())["updates"]
    assert row["clicks"] == clicks
    assert run("recommend", logs / "n", "--items", "c00-0000", "-k", 2).exit_code == 0
    assert "updates.last" in run("inspect", logs / "n").stdout


def test_a_checkpoint_is_replaced_by_force_alone(logs):
    run("train", logs / "old.parquet", "-o", logs / "m", *QUICK)
    again = ["update", logs / "m", logs / "new.parquet", "-o", logs / "n"]
    assert run(*again).exit_code == 0
    refused = run(*again)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert run(*again, "--force").exit_code == 0


def test_what_cannot_be_updated_is_refused_in_one_line(logs):
    g4r.ItemKNN().fit(logs / "old.parquet").save(logs / "p")
    result = run("update", logs / "p", logs / "new.parquet", "-o", logs / "n")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "item_knn is not updated: of each item" in result.stderr
    assert not (logs / "n").exists()


def test_it_may_not_write_over_what_it_reads(logs):
    run("train", logs / "old.parquet", "-o", logs / "m", *QUICK)
    result = run("update", logs / "m", logs / "new.parquet", "-o", logs / "m", "--force")
    assert result.exit_code == 2
    assert "would replace" in result.stderr
