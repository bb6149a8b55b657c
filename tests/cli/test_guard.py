"""Outputs replace no input; every parameter that is a path says whether it is read or written."""

from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gru4rec.atomic import write_beside
from gru4rec.cli import COMMANDS, main
from gru4rec.cli.guard import Guarded, Reads, Writes
from gru4rec.errors import DataError

PATHS = {
    "checkpoint", "clicks", "raw", "output", "report", "valid", "train", "allow", "deny", "config",
    "recipe", "study", "others", "sessions", "history", "items_table", "token_file", "replay",
    "keep", "item_features", "initial_vectors", "table", "rules",
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_path_of_a_command_is_guarded(name):
    command = import_module(f"gru4rec.cli.{name.replace('-', '_')}").command
    assert isinstance(command, Guarded)
    for param in command.params:
        is_path = param.name in PATHS or isinstance(param.type, click.Path)
        assert isinstance(param.type, Reads | Writes) == is_path, param.name


@pytest.mark.parametrize("place", ["/", "", ".", "no/such/folder/x.csv", "\udcff.csv", "x" * 300])
def test_a_place_that_takes_no_file_is_said_in_one_line(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["sample", "--format", "csv", "--force", "-o", place])
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_followed_and_a_device_filled(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_beside(tmp_path / "link", lambda file: file.write_text("a"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "a"
    write_beside(Path("/dev/null"), lambda file: file.write_text("a"))
    assert Path("/dev/null").is_char_device()
    with pytest.raises(DataError, match="No space left"):
        write_beside(Path("/dev/full"), lambda file: file.write_text("a"))


def test_what_a_dead_process_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / ".out.csv.99999.1.new").write_text("half")
    (tmp_path / ".out.csv.99999.2.new.abc").mkdir()
    (tmp_path / ".out.csv.newer").write_text("mine")
    write_beside(tmp_path / "out.csv", lambda file: file.write_text("a"))
    assert {path.name for path in tmp_path.iterdir()} == {"out.csv", ".out.csv.newer"}


def test_a_file_that_ends_as_a_folder_is_refused(tmp_path):
    result = CliRunner().invoke(main, ["sample", "--format", "csv", "-o", f"{tmp_path}/x/"])
    assert result.exit_code == 2
    assert "it is a folder" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_log_is_prepared_again_into_a_folder_beside_its_files(tmp_path):
    CliRunner().invoke(main, ["sample", "-o", str(tmp_path / "log.parquet")])
    before = (tmp_path / "log.parquet").read_bytes()
    command = ["prepare", str(tmp_path), "-o", str(tmp_path / "prepared"), "--force"]
    for _ in range(2):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.stderr
    assert (tmp_path / "log.parquet").read_bytes() == before


def test_what_is_prepared_is_not_replaced_by_what_is_made_of_it(tmp_path):
    CliRunner().invoke(main, ["sample", "-o", str(tmp_path / "log.parquet")])
    prepared = tmp_path / "prepared"
    CliRunner().invoke(main, ["prepare", str(tmp_path / "log.parquet"), "-o", str(prepared)])
    part = prepared / "train.parquet"
    before = part.read_bytes()
    result = CliRunner().invoke(main, ["prepare", str(part), "-o", str(prepared), "--force"])
    assert result.exit_code == 2
    assert "would replace" in result.stderr
    assert part.read_bytes() == before
