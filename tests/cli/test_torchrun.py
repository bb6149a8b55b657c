"""`torchrun -m gru4rec train`: real processes that learn together, and that are killed."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import rank_program
import torch
from safetensors.torch import load_file

import gru4rec as g4r
from gru4rec.training import ONE

pytestmark = pytest.mark.process

TESTS = Path(__file__).parents[1]
OPTIONS = (
    "--hidden-size", "8", "--epochs", "2", "--negatives", "16", "--lanes", "4", "--steps", "1",
    "--device", "cpu", "--no-repeats", "--neighbours", "0", "--dropout", "0",
    "--precision", "float32",
)  # fmt: skip
SLOW = ("--epochs", "500", "--keep-minutes", "0.001")


def free_port() -> int:
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        port: int = any_socket.getsockname()[1]
        return port


def environment(**variables: object) -> dict[str, str]:
    said = {name: str(value) for name, value in variables.items()}
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{TESTS.parent}:{TESTS}", **said}


def torchrun(*program: object, ranks: int = 2) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", ranks]
    command = [str(word) for word in (*launcher, "--master-port", free_port(), *program)]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )


def start(*arguments: object, ranks: int = 2) -> list[subprocess.Popen[str]]:
    """The ranks of a `train`, started by hand as any launcher may."""
    words = [str(argument) for argument in ("train", *arguments)]
    port, processes = free_port(), []
    for rank in range(ranks):
        told = environment(RANK=rank, WORLD_SIZE=ranks, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "gru4rec", *words],
                env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    return processes


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """(exit status, stderr) of each rank."""
    said = [process.communicate(timeout=60)[1] for process in processes]
    return [(process.returncode, text) for process, text in zip(processes, said, strict=True)]


def wait_for(path: Path) -> None:
    give_up = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < give_up, f"{path} did not appear"
        time.sleep(0.01)


def assert_same_weights(path: Path, other: Path, tolerance: float) -> None:
    weights = load_file(other)
    for name, weight in load_file(path).items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-3, atol=tolerance, msg=name)


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "clicks.parquet"
    g4r.generate_clicks(sessions=80, items=60, categories=3, seed=1).write_parquet(path)
    return path


def test_two_ranks_learn_what_one_does_whatever_the_loss_scores_and_embeddings(tmp_path):
    done = torchrun(TESTS / "rank_program.py", tmp_path)
    assert done.returncode == 0, done.stderr
    for number, asked in enumerate(rank_program.settings()):
        one = rank_program.fitted(asked, ONE).model.state_dict()
        first, second = (load_file(tmp_path / f"{number}-{rank}.safetensors") for rank in (0, 1))
        for name, weight in one.items():
            assert torch.equal(first[name], second[name]), (asked, name)
            torch.testing.assert_close(first[name], weight, rtol=1e-3, atol=1e-4, msg=str(asked))


def test_torchrun_trains_speaks_once_and_writes_one_checkpoint(clicks, tmp_path):
    done = torchrun("-m", "gru4rec", "train", clicks, "-o", tmp_path / "two", *OPTIONS)
    assert done.returncode == 0, done.stderr
    assert len(re.findall("^saved", done.stderr, re.MULTILINE)) == 1
    assert len(re.findall("^training on", done.stderr, re.MULTILINE)) == 1
    one = subprocess.run(
        [sys.executable, "-m", "gru4rec", "train", clicks, "-o", tmp_path / "one", *OPTIONS],
        env=environment(), capture_output=True, check=False,
    )  # fmt: skip
    assert one.returncode == 0
    paths = (tmp_path / name / "weights.safetensors" for name in ("two", "one"))
    assert_same_weights(*paths, tolerance=1e-3)
    assert len(g4r.load(tmp_path / "two").recommend(pl.read_parquet(clicks).head(5), k=3)) > 0


def test_two_processes_learn_all_that_a_log_tells_besides(clicks, tmp_path):
    log, session = pl.read_parquet(clicks), pl.col("session_id")
    kind = pl.when(pl.int_range(pl.len()) % 3 == 2).then(pl.lit("buy")).otherwise(pl.lit("view"))
    log.with_columns(user=session // 2, kind=kind, bought=session % 3 == 1).write_parquet(
        tmp_path / "log.parquet"
    )
    items = log.select(pl.col("item_id").unique().sort()).with_row_index("number")
    items = items.select("item_id", group=pl.col("number") % 4)
    pl.concat([items, items.head(2)]).write_parquet(tmp_path / "items.parquet")
    (tmp_path / "config.toml").write_text("[training]\nown_row_dropout = 0.0\n")
    asked = (
        tmp_path / "log.parquet", *OPTIONS, "--event-col", "kind", "--weight", "buy=3",
        "--user-col", "user", "--outcome", "bought", "--teachers", "1",
        "--item-features", tmp_path / "items.parquet", "--config", tmp_path / "config.toml",
        "--learning-rate", "0.01",
    )  # fmt: skip
    results = ended(start(*asked, "-o", tmp_path / "two"))
    assert [status for status, _ in results] == [0, 0], results
    assert "2 rows are of items that had one" in results[0][1]
    assert results[1][1] == ""
    assert [status for status, _ in ended(start(*asked, "-o", tmp_path / "one", ranks=1))] == [0]
    paths = (tmp_path / name / "weights.safetensors" for name in ("two", "one"))
    assert_same_weights(*paths, tolerance=0.02)


def test_repeats_smoothing_and_validation_by_two_processes(clicks, tmp_path):
    asked = [word for word in OPTIONS if word != "--no-repeats"]
    processes = start(clicks, "-o", tmp_path / "m", *asked, "--repeats", "--valid", "20%")
    (status, said), (other_status, other) = ended(processes)
    assert (status, other_status, other) == (0, 0, "")
    assert "fitted on held-out sessions" in said
    assert "recall@20" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--lanes", "1"), "raise --lanes"),
        (("--lanes", "0"), "training.lanes"),
        (("--no-such",), "--no-such"),
        (("--item-col", "x"), "'x'"),
        (("--device", "cuda"), "cuda"),
        (("--learning-rate", "1e39"), "--learning-rate"),
    ],
)
def test_an_error_that_all_meet_is_said_once(clicks, tmp_path, options, said):
    results = ended(start(clicks, "-o", tmp_path / "m", *OPTIONS, *options))
    assert [status for status, _ in results] == [2, 2]
    errors = [line for _, text in results for line in text.splitlines() if "Error" in line]
    assert len(errors) == 1
    assert said in errors[0]
    assert not any("Traceback" in text for _, text in results)


def test_what_one_rank_alone_cannot_do_it_says_and_the_other_ends(clicks, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "cv.pdf").write_text("mine")
    results = ended(start(clicks, "-o", tmp_path / "m", *OPTIONS, "--force"))
    assert [status for status, _ in results] == [2, 2]
    assert "is no checkpoint" in results[0][1]


def test_a_killed_rank_ends_the_other_at_once_and_the_state_goes_on(clicks, tmp_path):
    for victim in (1, 0):
        out = tmp_path / f"m{victim}"
        processes = start(clicks, "-o", out, *OPTIONS, *SLOW)
        wait_for(out / "resume")
        processes[victim].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        status, said = ended(processes)[1 - victim]
        assert time.monotonic() - killed < 15
        assert status == 2
        line = said.splitlines()[-1]
        assert re.fullmatch(
            "Error: rank . of 2 has lost another one.*again with --resume, .*", line
        )
        assert [line for line in said.splitlines() if "rror" in line] == [line]
    # One process goes on, for the epochs that are then asked for.
    resumed = start(clicks, "-o", out, *OPTIONS, "--resume", "--epochs", "1", ranks=1)
    ((status, said),) = ended(resumed)
    assert status == 0, said
    assert "it was trained by 2 processes, and goes on by 1" in said


def children_of(process: subprocess.Popen[str]) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in listed.stdout.split()]


def test_torchrun_starts_again_what_was_killed(clicks, tmp_path):
    out = tmp_path / "m"
    words = ("--nproc-per-node", 2, "--max-restarts", 3, "--master-port", free_port())
    asked = (clicks, "-o", out, *OPTIONS, "--epochs", "40", "--keep-minutes", "0.001", "--resume")
    launcher = subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *map(str, words), "-m", "gru4rec", "train",
         *map(str, asked)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(out / "resume")
    os.kill(children_of(launcher)[-1], signal.SIGKILL)
    _, said = launcher.communicate(timeout=120)
    assert launcher.returncode == 0, said
    assert "going on in epoch" in said
    assert len(g4r.load(out).meta.history) == 40


def test_other_commands_say_that_they_share_nothing(clicks, tmp_path):
    program = [sys.executable, "-m", "gru4rec", "inspect", str(tmp_path / "none")]
    for rank, lines in ((0, 2), (1, 1)):
        done = subprocess.run(
            program, env=environment(WORLD_SIZE=2, RANK=rank), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert len(done.stderr.splitlines()) == lines
        assert ("each does all of inspect, only train is shared" in done.stderr) == (rank == 0)


@pytest.mark.parametrize("asked", [[0], [1], [0, 1]])
def test_interrupted_all_stop_together_and_say_how_to_go_on(clicks, tmp_path, asked):
    out = tmp_path / "m"
    processes = start(clicks, "-o", out, *OPTIONS, *SLOW)
    wait_for(out / "resume")
    for rank in asked:
        processes[rank].send_signal(signal.SIGINT)
    (status, said), (other_status, other) = ended(processes)
    assert (status, other_status, other) == (130, 130, "")
    assert said.splitlines()[-1].endswith("; the same command with --resume goes on from there")
    assert "Traceback" not in said
