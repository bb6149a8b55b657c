"""`gru4rec update`: files in, a checkpoint out, errors of one line."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result
from toys import QUICK

import gru4rec as g4r
from gru4rec.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `gru4rec` as a process of its own."""
    command = [sys.executable, "-c", "from gru4rec.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


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


def expected_after(folder: Path, hours: int) -> set[str]:
    """The items of both logs that were clicked so many hours before the newest click, or later."""
    clicks = pl.concat([pl.read_parquet(folder / f"{name}.parquet") for name in ("old", "new")])
    last = clicks.group_by("item_id").agg(pl.col("timestamp").max())
    newest = clicks["timestamp"].max()
    return set(last.filter(pl.col("timestamp") >= newest - pl.duration(hours=hours))["item_id"])


@pytest.mark.parametrize("kind", ["model", "fusion", "popularity"])
def test_items_that_nobody_clicked_for_long_leave_and_are_counted(logs, kind):
    if kind == "popularity":
        g4r.Popularity().fit(logs / "old.parquet").save(logs / "m")
    else:
        run("train", logs / "old.parquet", "-o", logs / "m", "--updatable", *QUICK)
    if kind == "fusion":
        markov = g4r.Markov().fit(logs / "old.parquet")
        g4r.Fusion([g4r.load(logs / "m", device="cpu"), markov]).save(logs / "m", force=True)
    update = ["update", logs / "m", logs / "new.parquet"]
    result = run(*update, "-o", logs / "n", "--drop-unseen", "6h")
    assert result.exit_code == 0, result.stderr
    stay = expected_after(logs, 6)
    whole = run(*update, "-o", logs / "whole")
    assert "dropped" not in whole.stderr
    after, grown = (g4r.load(logs / name, device="cpu") for name in ("n", "whole"))
    dropped = len(grown.catalog) - len(after.catalog)
    assert set(after.catalog.item_ids) == stay
    assert dropped > 0
    assert f"{len(stay)} items, {dropped} dropped after" in result.stderr
    assert "0 dropped" in run(*update, "-o", logs / "all", "--drop-unseen", "99w").stderr


@pytest.mark.parametrize("duration", ["0d", "soon", "-3d", "30"])
def test_a_time_that_is_none_is_refused_in_one_line(logs, duration):
    g4r.Popularity().fit(logs / "old.parquet").save(logs / "m")
    result = run(
        "update", logs / "m", logs / "new.parquet", "-o", logs / "n", f"--drop-unseen={duration}"
    )
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "as a duration" in result.stderr
    assert not (logs / "n").exists()


@pytest.mark.parametrize("option", ["--half-life=7d", "--epochs=3", "--replay-share=2", "--replay"])
def test_what_says_how_a_model_learns_is_refused_of_what_counts(logs, option):
    g4r.Popularity().fit(logs / "old.parquet").save(logs / "m")
    given = [option, logs / "old.parquet"] if option == "--replay" else [option]
    result = run("update", logs / "m", logs / "new.parquet", "-o", logs / "n", *given)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert result.stderr.startswith(f"Error: {option.partition('=')[0]} says how a model learns")
    assert not (logs / "n").exists()


@pytest.mark.process
def test_a_process_drops_items_and_the_next_goes_on(logs):
    old, new = logs / "old.parquet", logs / "new.parquet"
    assert program("train", old, "-o", logs / "m", "--updatable", *QUICK).returncode == 0
    done = program("update", logs / "m", new, "-o", logs / "n", "--drop-unseen", "6h")
    assert (done.returncode, done.stdout) == (0, "")
    stay = expected_after(logs, 6)
    assert f"{len(stay)} items, " in done.stderr
    again = program(
        "update", logs / "n", new, "-o", logs / "n2", "--drop-unseen", "6h", "--epochs", 1
    )
    assert again.returncode == 0, again.stderr
    assert f"{len(stay)} items, " in again.stderr  # those that came back have left once more
    assert "were learned before" in again.stderr
    found = program("recommend", logs / "n2", "--items", "c00-0000", "-k", 99)
    assert {json.loads(row)["item_id"] for row in found.stdout.splitlines()} == stay

    untimed = logs / "untimed.parquet"
    pl.read_parquet(new).drop("timestamp").write_parquet(untimed)
    refused = program("update", logs / "m", untimed, "-o", logs / "u", "--drop-unseen", "6h")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.splitlines()[-1] == (
        "Error: --drop-unseen 6h needs times of the new clicks, and they have none; "
        "name --time-col, or leave it out"
    )
    assert not (logs / "u").exists()
