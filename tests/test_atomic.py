"""Files and folders are written whole, by one writer at a time, and nothing is left over."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gru4rec import atomic
from gru4rec.errors import CheckpointError, DataError

WRITER = (
    "import sys, pathlib\nfrom gru4rec import atomic\nfrom gru4rec.errors import DataError\n"
    "def write(file):\n"
    "    file.write_text('half'); print('begun', flush=True); sys.stdin.read()\n"
    "atomic.write_beside(pathlib.Path(sys.argv[1]), write)\n"
)


def write(path: Path, text: str) -> None:
    atomic.write_beside(path, lambda file: file.write_text(text))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def started(path: Path) -> "subprocess.Popen[str]":
    """A process in the midst of writing a file; it goes on when its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.process
def test_what_a_killed_writer_left_is_removed_and_what_a_live_one_writes_is_not(tmp_path):
    output = tmp_path / "out.csv"
    killed, live = started(output), started(output)
    killed.kill()  # nobody asks how it ended: its number is still taken
    assert killed.stdout.read() == ""
    assert len(names(tmp_path)) == 2
    write(output, "mine")
    assert len(names(tmp_path)) == 2  # mine, and what the live one writes
    live.communicate(timeout=60)
    killed.communicate(timeout=60)
    assert live.returncode == 0
    assert names(tmp_path) == {"out.csv"}
    assert output.read_text() == "half"


def test_threads_that_write_one_file_leave_one_whole(tmp_path):
    failures = []

    def work(number: int) -> None:
        try:
            for _ in range(50):
                write(tmp_path / "out", str(number) * 1000)
        except DataError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert names(tmp_path) == {"out"}
    text = (tmp_path / "out").read_text()
    assert text == text[0] * 1000


def test_of_two_writers_of_a_folder_the_second_fails_and_the_first_wins_whole(tmp_path):
    path = tmp_path / "model"
    with atomic.replaced(path, error=CheckpointError) as new:
        (new / "a").write_text("first")
        with (
            pytest.raises(CheckpointError, match="written by another process"),
            atomic.replaced(path, error=CheckpointError) as other,
        ):
            (other / "b").write_text("second")
        assert names(new) == {"a"}
    assert names(tmp_path) == {"model"}
    assert names(path) == {"a"}


def test_a_folder_that_another_is_just_swapping_in_is_not_mended(tmp_path):
    path = tmp_path / "model"
    with atomic.replaced(path, error=CheckpointError):
        atomic.beside(path, "old").mkdir()
        atomic.mend(path, error=CheckpointError)
        assert not path.exists()
        atomic.beside(path, "old").rmdir()


def test_an_open_file_goes_on_where_it_stands(tmp_path):
    with (tmp_path / "out").open("w") as stream:
        stream.write("before ")
        stream.flush()
        write(Path(f"/dev/fd/{stream.fileno()}"), "after")
    assert (tmp_path / "out").read_text() == "before after"
    assert names(tmp_path) == {"out"}


def test_a_file_keeps_its_mode_and_a_new_one_gets_that_of_the_umask(tmp_path):
    (tmp_path / "old").touch(0o600)
    before = os.umask(0o027)
    try:
        write(tmp_path / "old", "a")
        write(tmp_path / "new", "a")
    finally:
        os.umask(before)
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_a_link_to_nothing_makes_what_it_leads_to(tmp_path):
    (tmp_path / "link").symlink_to("target")
    write(tmp_path / "link", "a")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "a"


@pytest.mark.parametrize("length", [200, 201, 255])
def test_names_may_be_as_long_as_the_disk_takes(tmp_path, length):
    write(tmp_path / ("x" * length), "a")
    with atomic.replaced(tmp_path / ("y" * length), error=DataError):
        pass
    assert names(tmp_path) == {"x" * length, "y" * length}


def test_a_failure_leaves_the_older_file_and_nothing_beside_it(tmp_path):
    write(tmp_path / "out", "older")

    def fail(file: Path) -> None:
        file.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match="No space left"):
        atomic.write_beside(tmp_path / "out", fail)
    assert names(tmp_path) == {"out"}
    assert (tmp_path / "out").read_text() == "older"


@pytest.mark.parametrize("name", ["a\0b", "x" * 256, "y/" * 3000, "\udcff", "/", "/proc/x"])
def test_a_path_that_takes_no_checkpoint_is_refused_in_one_line(trained, tmp_path, name):
    with pytest.raises(CheckpointError) as refusal:
        trained.save(tmp_path / name)
    assert len(str(refusal.value)) < 500
    assert len(str(refusal.value).splitlines()) == 1
    assert names(tmp_path) == set()
