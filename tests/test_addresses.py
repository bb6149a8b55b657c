"""Addresses are told from paths and refused where files are needed; their errors are read."""

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import gru4rec as g4r
from gru4rec.addresses import address_of, trouble_with
from gru4rec.cli import main

ADDRESSES = ["s3://shop/log/", "gs://shop/log.parquet", "az://shop/x", "hdfs://name/log", "x-y://z"]
PATHS = ["log.parquet", "/data/s3", "s3:/shop/log", "C:/log.csv", "a b://x", "", "s3", "1s://x"]


@pytest.mark.parametrize("text", ADDRESSES)
def test_what_begins_with_a_scheme_is_an_address(text):
    assert address_of(text) == text


@pytest.mark.parametrize("text", PATHS)
def test_anything_else_is_a_path(text):
    assert address_of(text) is None


def test_pathlib_loses_a_slash_of_an_address_and_it_is_one_still(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert address_of(Path("s3://shop/log/x.csv")) == "s3://shop/log/x.csv"
    assert address_of(Path("other:/x")) is None
    Path("s3:/shop").mkdir(parents=True)
    assert address_of(Path("s3://shop")) is None


WRITES = {
    "save": lambda to: g4r.Popularity().fit(_clicks()).save(to),
    "keep": lambda to: g4r.GRU4Rec().fit(_clicks(), keep=to),
    "prepare": lambda to: g4r.prepare(_clicks(), to),
    "sessions": lambda to: g4r.SessionStore(g4r.Popularity().fit(_clicks())).save(to),
}
READS = {
    "load": g4r.load,
    "settings": g4r.Config.from_toml,
    "recipe": g4r.Recipe.from_toml,
    "rules": g4r.ListRules.from_toml,
    "sessions": lambda path: g4r.SessionStore(g4r.Popularity().fit(_clicks())).restore(path),
}


def _clicks():
    return pl.DataFrame({"session_id": [1, 1, 2, 2], "item_id": ["a", "b", "a", "b"]})


@pytest.mark.parametrize("made", [str, Path])
@pytest.mark.parametrize("what", WRITES)
def test_nothing_is_written_to_a_store(what, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(g4r.Gru4RecError, match=r"cannot write s3://shop/x.*upload"):
        WRITES[what](made("s3://shop/x"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("made", [str, Path])
@pytest.mark.parametrize("what", READS)
def test_what_needs_a_file_here_is_not_read_from_a_store(what, made):
    with pytest.raises(g4r.Gru4RecError, match=r"cannot read s3://shop/x.*download"):
        READS[what](made("s3://shop/x"))


TROUBLES = [
    (FileNotFoundError("object-store error: … <Code>NoSuchBucket</Code>"), "no such bucket"),
    (FileNotFoundError("object-store error: Object at location x not found"), "no such object"),
    (PermissionError("object-store error: … 403 Forbidden"), "refuses access"),
    (OSError("object-store error: PUT http://169.254.169.254/latest/api/token"), "no credentials"),
    (OSError("object-store error: Account must be specified"), "no credentials"),
    (ConnectionRefusedError("object-store error: GET"), "cannot be reached"),
    (OSError("object-store error: … error sending request … dns error"), "cannot be reached"),
    (pl.exceptions.ComputeError("error sending request for url (x)"), "cannot be reached"),
    (OSError("object-store error: 500 of https://x/?sig=secret"), "answers with an error"),
]


@pytest.mark.parametrize(("error", "said"), TROUBLES)
def test_an_error_of_a_store_is_said_in_words_without_what_it_sent(error, said):
    assert said in trouble_with(error)
    assert "secret" not in trouble_with(error)


def test_another_error_is_none_of_a_store():
    assert trouble_with(FileNotFoundError("No such file")) is None


def test_a_store_that_is_lost_on_the_way_ends_a_command_with_one_line(monkeypatch):
    def lose(*arguments, **options):
        raise OSError("object-store error: error sending request")

    monkeypatch.setattr("gru4rec.cli.inspect.command.callback", lose)
    result = CliRunner().invoke(main, ["inspect", "model"])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: cannot read the click log to its end: the store cannot")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            "GET http://127.0.0.1:40321/a.parquet in 248µs - HTTP error: error sending request",
            "reached",
        ),
        ("GET http://127.0.0.1:9/a403 in 8.401s - HTTP error: error sending request", "reached"),
        ("GET http://127.0.0.1:40301/a in 8.401s - server error: status 503: busy", "answers with"),
        ("GET http://127.0.0.1:9/a in 1s - status 403: Denied", "refuses access"),
        ("GET http://127.0.0.1:9/a in 1s - HTTP 401 Unauthorized", "refuses access"),
    ],
)
def test_numbers_of_ports_and_times_are_no_refusals(said, meant):
    assert meant in (trouble_with(OSError(f"object-store error: Error performing {said}")) or "")
