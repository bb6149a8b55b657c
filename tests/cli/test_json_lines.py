"""`gru4rec recommend DIR -` answers line by line, whatever comes."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import gru4rec as g4r
from gru4rec.cli import main

Run = Callable[..., Result]
PROGRAM = "from gru4rec.cli import main; main()"


def answered(model: Path, lines: bytes, *options: object) -> list[dict[str, Any]]:
    command = ["recommend", str(model), "-", *map(str, options)]
    result = CliRunner().invoke(main, command, input=lines)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def line(**session: object) -> bytes:
    return json.dumps(session).encode() + b"\n"


def test_each_line_is_answered_as_the_batch_answers(model: Path) -> None:
    sessions = [["c00-0001", "c00-0002"], ["c01-0020"], ["unknown"], []]
    lines = b"".join(line(session_id=f"s{n}", items=items) for n, items in enumerate(sessions))
    answers = answered(model, lines, "-k", 3)
    expected = g4r.load(model, device="cpu").recommend(sessions, 3)
    for number, answer in enumerate(answers):
        rows = expected.filter(session_id=number)
        assert answer["session_id"] == f"s{number}"
        assert answer["items"] == rows["item_id"].to_list()
        assert answer["scores"] == pytest.approx(rows["score"].to_list(), abs=1e-4)


def test_a_line_that_cannot_be_read_is_answered_and_reading_goes_on(model: Path) -> None:
    bad = [
        b"not json\n", b"\n", b"[1, 2]\n", b'{"items": "c00-0001"}\n', b'{"session_id": 1}\n',
        b"\xff\xfe\n", b'{"items": [[1]]}\n', b'{"items": [true]}\n', b'{"items": [null]}\n',
        b"[" * 100_000 + b"\n", b'{"items": ["' + b"x" * (1 << 21) + b'"]}\n',
        b'{"items": [1.5]}\n', b'"\n',
    ]  # fmt: skip
    good = line(session_id=7, items=["c00-0001"])
    answers = answered(model, good.join([*bad, b""]), "-k", 1)
    assert len(answers) == 2 * len(bad)
    assert all(answer.keys() == {"error"} for answer in answers[::2])
    assert all(answer["session_id"] == 7 and len(answer["items"]) == 1 for answer in answers[1::2])


def test_random_bytes_are_answered_line_by_line(model: Path) -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(0, 120, 10_000).tolist()
    noise = [random.bytes(length).replace(b"\n", b"{") + b"\n" for length in lengths]
    noise[::3] = [b'{"items": ' + each for each in noise[::3]]
    answers = answered(model, b"".join([*noise, line(items=["c00-0001"])]), "-k", 1)
    assert len(answers) == 10_001
    assert all(answer.keys() == {"error"} for answer in answers[:-1])
    assert len(answers[-1]["items"]) == 1


def test_the_last_line_needs_no_newline_and_no_lines_no_answers(model: Path) -> None:
    assert len(answered(model, line(items=["c00-0001"]).rstrip())) == 1
    assert answered(model, b"") == []


def test_filters_hold_for_every_line(model: Path, tmp_path: Path) -> None:
    (tmp_path / "allow.txt").write_text("c00-0001\nc00-0002\n")
    lines = line(items=["c00-0001"]) + line(items=["unknown"])
    answers = answered(model, lines, "--allow", tmp_path / "allow.txt", "--exclude-clicked")
    assert answers[0]["items"] == ["c00-0002"]
    assert sorted(answers[1]["items"]) == ["c00-0001", "c00-0002"]


@pytest.fixture
def pipe(model: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", PROGRAM, "recommend", str(model), "-", "-k", "2"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        yield process
        process.kill()


@pytest.mark.process
def test_an_answer_comes_before_the_next_line_is_read(pipe: subprocess.Popen[bytes]) -> None:
    assert pipe.stdin is not None
    assert pipe.stdout is not None
    for number in range(3):
        pipe.stdin.write(line(session_id=number, items=["c00-0001"]))
        pipe.stdin.flush()
        assert json.loads(pipe.stdout.readline())["session_id"] == number
    pipe.stdin.close()
    assert pipe.wait(timeout=60) == 0


@pytest.mark.process
def test_a_reader_that_goes_away_ends_it_quietly(pipe: subprocess.Popen[bytes]) -> None:
    assert pipe.stdin is not None
    assert pipe.stdout is not None
    assert pipe.stderr is not None
    pipe.stdout.close()
    with pytest.raises(BrokenPipeError):
        write_on(pipe.stdin)
    with suppress(BrokenPipeError):
        pipe.stdin.close()
    assert pipe.wait(timeout=60) == 0
    assert pipe.stderr.read() == b""


def write_on(stream: IO[bytes]) -> None:
    for _ in range(1_000_000):
        stream.write(line(items=["c00-0001"]))
        stream.flush()


@pytest.mark.parametrize("options", [("-o", "x.csv"), ("--format", "csv")])
def test_it_answers_on_standard_output_only(
    usage_error: Callable[..., str], model: Path, options: tuple[str, ...]
) -> None:
    assert "JSON lines" in usage_error("recommend", model, "-", *options)


def test_lists_and_clicked_items_of_a_log(run: Run, model: Path, log: Path, tmp_path: Path) -> None:
    (tmp_path / "deny.csv").write_text("item_id\nc00-0001\nc00-0002\n")
    options = ("--deny", tmp_path / "deny.csv", "--exclude-clicked", "-k", 40)
    result = run("recommend", model, "--items", "c00-0003,c00-0004", *options)
    items = {json.loads(row)["item_id"] for row in result.stdout.splitlines()}
    assert len(items) == 36
    assert items.isdisjoint({f"c00-000{n}" for n in (1, 2, 3, 4)})


def test_explain_says_of_each_line_how_its_answer_came_about(model: Path) -> None:
    lines = line(items=["c00-0001", "?"]) + line(items=["?"]) + line(items=[])
    answers = answered(model, lines, "-k", 1, "--explain")
    assert [(answer["reason"], answer["unknown"]) for answer in answers] == [
        ("model", 1), ("popularity", 1), ("popularity", 0),
    ]  # fmt: skip


def test_half_a_pair_in_an_id_is_answered_and_reading_goes_on(model: Path) -> None:
    lines = b'{"session_id": "\\ud83d", "items": ["c00-0001"]}\n' + line(items=["c00-0001"])
    answers = answered(model, lines, "-k", 1)
    assert answers[0]["session_id"] == "\ud83d"
    assert answers[0]["items"] == answers[1]["items"]


NO_SESSION_IDS = [b"1e999", b"-1e999", b"NaN", b"Infinity", b"1.5", b"[1]", b"true", b"{}"]


@pytest.mark.parametrize("session_id", NO_SESSION_IDS)
def test_a_session_id_that_is_none_gets_an_error_in_json(model: Path, session_id: bytes) -> None:
    text = b'{"session_id": ' + session_id + b', "items": ["c00-0001"]}\n'
    (answer,) = answered(model, text, "-k", 1)
    assert "is no session id" in answer["error"]
