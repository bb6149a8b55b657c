"""`gru4rec backtest`: a log in, a table out."""

import json
import re
import signal
import subprocess
import sys
import time
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


def test_resume_goes_with_keep(long_log):
    result = run(long_log, "--resume")
    assert result.exit_code == 2
    assert "--resume and --force go with --keep" in result.stderr
    assert "take one of them" in run(long_log, "--resume", "--force", "--keep", "x").stderr


def test_what_is_kept_is_no_place_for_an_output(long_log, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    result = run(long_log, "--keep", str(tmp_path / "kept"))
    assert result.exit_code == 2
    assert "choose another one for --keep" in result.stderr
    assert run(long_log, "--keep", str(long_log)).exit_code == 2


def test_once_the_table_is_written_nothing_is_kept(long_log, tmp_path):
    keep, out = tmp_path / "kept", tmp_path / "table.json"
    result = run(long_log, "--ways", "update", "--keep", str(keep), "-o", str(out))
    assert result.exit_code == 0, result.stderr
    assert out.exists()
    assert not keep.exists()


def test_a_page_is_written_beside_the_table(long_log, tmp_path):
    page = tmp_path / "page.html"
    result = run(long_log, "--ways", "stale,update", "--test", "6h", "--report", str(page))
    assert result.exit_code == 0, result.stderr
    text = page.read_text(encoding="utf-8")
    assert "<h1>Backtest: stale, update</h1>" in text
    assert "<tr><td>test</td><td>6h</td></tr>" in text
    assert "<tr><td>encoder.hidden_size</td><td>8</td></tr>" in text
    every = next(line for line in result.stdout.splitlines() if line.startswith("| all"))
    for figure in every.replace("|", " ").replace("/", " ").split()[1:]:
        assert re.search(rf">{float(figure):.3f}\d<|>{float(figure) - 0.001:.3f}[5-9]<", text)


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_packages_of_a_page_are_checked_for_before_the_work(
    long_log, tmp_path, monkeypatch, package
):
    monkeypatch.setitem(sys.modules, package, None)
    result = run(long_log, "--report", str(tmp_path / "page.html"))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {package} is not installed")
    assert len(result.stderr.splitlines()) == 1


def test_a_way_that_knows_nothing_has_its_zeros_in_the_table(long_log, tmp_path):
    clicks = pl.read_parquet(long_log)
    first = pl.col("timestamp").min()
    late = pl.col("timestamp") >= first + timedelta(days=1.5)
    renamed = pl.when(late).then(pl.col("item_id") + "-late").otherwise("item_id")
    clicks.with_columns(item_id=renamed).write_parquet(tmp_path / "renamed.parquet")
    result = run(tmp_path / "renamed.parquet", "--ways", "stale")
    lines = [line for line in result.stdout.splitlines() if line.startswith("| 2026")]
    assert lines[-1].split("|")[2].strip() == "0.000 / 0.000"
    assert "null" not in result.stdout


def figures(text: str) -> pl.DataFrame:
    return pl.DataFrame(json.loads(text), infer_schema_length=None).drop("seconds")


@pytest.mark.process
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_or_interrupted_it_goes_on_to_the_same_figures(long_log, tmp_path, number):
    keep = tmp_path / "kept"
    program = [sys.executable, "-c", "from gru4rec.cli import main; main()", "backtest"]
    options = ["--train", "1d", "--every", "6h", "--format", "json", *QUICK]
    command = [*program, str(long_log), *options, "--keep", str(keep)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    give_up = time.monotonic() + 60
    while not (keep / "backtest-done").exists():
        assert time.monotonic() < give_up
        time.sleep(0.002)
    process.send_signal(number)
    out, said = process.communicate(timeout=60)
    status = 130 if number == signal.SIGINT else -number
    assert (out, process.returncode) == ("", status), said
    if number == signal.SIGINT:
        assert said.endswith("interrupted; the same command with --resume goes on from there\n")
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 2
    assert "go on from it with --resume, or start afresh with --force" in again.stderr
    resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on after step" in resumed.stderr
    assert "step 1," not in resumed.stderr
    whole = subprocess.run(command[:-2], capture_output=True, text=True, check=True)
    assert figures(resumed.stdout).equals(figures(whole.stdout))


@pytest.mark.process
def test_force_starts_an_interrupted_one_afresh(long_log, tmp_path):
    (tmp_path / "keep" / "backtest-done").mkdir(parents=True)
    (tmp_path / "keep" / "backtest-done" / "backtest.json").write_text("damaged")
    asked = ["--keep", str(tmp_path / "keep"), "--ways", "stale"]
    assert run(long_log, *asked, "--force").exit_code == 0
    assert not (tmp_path / "keep").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["long.parquet"]
