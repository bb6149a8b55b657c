"""`recommend --processes`: what one process answers, and an end of all where one ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import gru4rec as g4r
from gru4rec.cli.processes import _packed, _unpacked
from gru4rec.clicks import generate_clicks
from gru4rec.sessions import SessionArrays

OPTIONS = ("-k", 3, "--device", "cpu")


@pytest.fixture(scope="module")
def long_log(tmp_path_factory):
    """About 40,000 sessions, of which processes get several pieces; some items are unknown."""
    path = tmp_path_factory.mktemp("long") / "long.parquet"
    clicks = generate_clicks(sessions=40_000, items=60, categories=3, seed=4)
    clicks.write_parquet(path)
    return path


@pytest.fixture(scope="module")
def vstan(log, tmp_path_factory):
    path = tmp_path_factory.mktemp("vstan") / "vstan"
    g4r.VSTAN().fit(log).save(path)
    return path


@pytest.mark.process
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_answers_are_those_of_one_process_in_their_order(run, model, long_log, tmp_path, suffix):
    for processes in (1, 2):
        to = tmp_path / f"{processes}.{suffix}"
        options = ("--processes", processes, "--exclude-clicked", "--explain")
        # one thread each: with more, sums are made in another order
        with one_thread():
            result = run("recommend", model, long_log, "-o", to, *OPTIONS, *options)
        assert result.exit_code == 0, result.stderr
    one, two = tmp_path / f"1.{suffix}", tmp_path / f"2.{suffix}"
    if suffix == "parquet":
        assert pl.read_parquet(one).equals(pl.read_parquet(two))
    else:
        assert one.read_bytes() == two.read_bytes()
    assert one.stat().st_size > 100_000


class one_thread:
    def __enter__(self):
        import torch

        self.before = torch.get_num_threads()
        torch.set_num_threads(1)

    def __exit__(self, *error):
        import torch

        torch.set_num_threads(self.before)


def test_sessions_go_through_a_pipe_as_they_are_but_for_their_ids():
    sessions = SessionArrays(
        pl.Series(["ann", "bob", "cy"]),
        items=np.array([3, 1, 2]),
        offsets=np.array([0, 2, 2, 3]),
        sides=np.array([[1, 2], [3, 4], [5, 6]], dtype=np.uint16),
        times=np.array([1.5, 2.5, 3.5]),
        timed=True,
    )
    bare = SessionArrays(pl.Series([7]), np.empty(0, dtype=np.int64), np.array([0, 0]))
    for given in (sessions, bare):
        taken = _unpacked(_packed(given))
        assert len(taken) == len(given)
        assert taken.timed == given.timed
        for name in ("items", "offsets", "sides", "times"):
            left, right = getattr(taken, name), getattr(given, name)
            assert left.dtype == right.dtype
            assert np.array_equal(left, right)


@pytest.mark.process
def test_more_processes_than_work_and_rules_and_lists(run, vstan, log, tmp_path):
    (tmp_path / "deny.txt").write_text("c00-0001\n")
    items = pl.read_parquet(log).select("item_id").unique(maintain_order=True)
    items.with_columns(kind=pl.col("item_id").str.slice(0, 3)).write_csv(tmp_path / "items.csv")
    rules = ("--items-table", tmp_path / "items.csv", "--at-most", 1, "--per", "kind")
    options = (*OPTIONS, *rules, "--deny", tmp_path / "deny.txt", "--format", "csv")
    one = run("recommend", vstan, log, *options)
    many = run("recommend", vstan, log, *options, "--processes", 7)
    assert one.exit_code == many.exit_code == 0, many.stderr
    assert one.stdout == many.stdout
    assert "c00-0001" not in one.stdout


def test_processes_go_with_a_log_on_a_cpu(usage_error, refusal, model, log, monkeypatch):
    assert "CLICKS of a log" in usage_error("recommend", model, "-", "--processes", 2)
    assert "CLICKS" in usage_error("recommend", model, "--items", "a", "--processes", 2)
    assert "0 is not in" in usage_error("recommend", model, log, "--processes", 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert "leave --processes out" in refusal("recommend", model, log, "--processes", 2)


def children_of(process):
    """The processes that another one began and that answer: spawned ones of Python."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def begun(*arguments):
    """A command in a process group of its own, and its children, once there are two."""
    command = [sys.executable, "-m", "gru4rec", *map(str, arguments)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    end = time.monotonic() + 120
    while len(children := children_of(process)) < 2:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)
    return process, children


def gone(children):
    end = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.process
def test_where_a_process_dies_all_end_with_one_line_and_no_file(vstan, long_log, tmp_path):
    to = tmp_path / "out.csv"
    process, children = begun("recommend", vstan, long_log, "-o", to, *OPTIONS, "--processes", 2)
    os.kill(children[1], signal.SIGKILL)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "Error: a process that answers has ended (exit status -9)" in stderr
    assert "Traceback" not in stderr
    assert "--processes" in stderr
    assert gone(children)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_an_interrupt_ends_all(vstan, long_log, tmp_path):
    to = tmp_path / "out.csv"
    process, children = begun("recommend", vstan, long_log, "-o", to, *OPTIONS, "--processes", 2)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Aborted!" in stderr
    assert "Traceback" not in stderr
    assert gone(children)
    assert list(tmp_path.iterdir()) == []
