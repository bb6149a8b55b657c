"""Click logs on an object store are read as those of this machine; a server runs beside the tests.

`moto_server` is the program: pip install 'moto[s3]' flask flask-cors, into an environment of its
own, since it wants older versions of some packages.
"""

import io
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import polars as pl
import pytest
from click.testing import CliRunner

import gru4rec as g4r
from gru4rec.cli import main

PROGRAM = shutil.which("moto_server")
of_server = [
    pytest.mark.process,
    pytest.mark.skipif(PROGRAM is None, reason="moto_server is not installed"),
]

CLICKS = pl.DataFrame({"session_id": [1, 1, 2], "item_id": ["a", "b", "a"]})
OTHERS = CLICKS.with_columns(item_id=pl.lit("other"))


UNREADABLE = {
    "no.parquet": "no click log at",
    "no.csv": "no click log at",
    "no/": "no click log at",
    "empty.csv": "has no line",
    "empty.parquet": "cannot read",
    "bad.parquet": "cannot read",
    "bad.csv.gz": "invalid gzip header",
    "utf16.csv": "is UTF-16",
    "x[1].ndjson": "rename the object",
}


def bytes_of(clicks, suffix):
    content = io.BytesIO()
    if suffix.startswith(("csv", "tsv")):
        kind, _, compression = suffix.partition(".")
        how = {"separator": "\t" if kind == "tsv" else ","}
        if compression:
            how["compression"] = {"gz": "gzip", "zst": "zstd"}[compression]
            how["check_extension"] = False
        clicks.write_csv(content, **how)
    elif suffix == "ndjson":
        clicks.write_ndjson(content)
    elif suffix == "arrow":
        clicks.write_ipc(content)
    else:
        clicks.write_parquet(content)
    return content.getvalue()


# The server takes any signature, but wants one.
_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, "
    "Signature=b"
)


class Store:
    """A server of one bucket."""

    def __init__(self, url):
        self.url = url
        self.put("", b"")

    def put(self, key, content):
        """Put an object; without a key, the bucket."""
        place = f"/shop/{quote(key)}".rstrip("/")
        headers = {"Authorization": _SIGNED, "Content-Type": "application/octet-stream"}
        request = Request(self.url + place, content, headers, method="PUT")
        urlopen(request, timeout=20).close()


def settings(url):
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    return {"AWS_ENDPOINT_URL": url, "AWS_ALLOW_HTTP": "true", **keys}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    said = tmp_path_factory.mktemp("store") / "said"
    with said.open("w") as stream:
        process = subprocess.Popen(
            [PROGRAM, "-H", "127.0.0.1", "-p", "0"], stdout=stream, stderr=stream
        )
    try:
        end = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", said.read_text())):
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < end, "moto_server does not begin"
            time.sleep(0.1)
        yield Store(found[0])
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def store(server, monkeypatch):
    for name, value in settings(server.url).items():
        monkeypatch.setenv(name, value)
    return server


class TestWithAServer:
    pytestmark = of_server

    @pytest.mark.parametrize(
        "suffix", ["parquet", "csv", "csv.gz", "csv.zst", "tsv", "ndjson", "arrow"]
    )
    def test_a_file_of_any_format_is_read(self, store, suffix):
        store.put(f"log.{suffix}", bytes_of(CLICKS, suffix))
        assert g4r.read_clicks(f"s3://shop/log.{suffix}").collect().equals(CLICKS)
        assert g4r.read_clicks(Path(f"s3://shop/log.{suffix}")).collect().equals(CLICKS)

    @pytest.mark.parametrize("name", ["x[1]", "x*", "x?", "{x}", "a%20b", "ä b"])
    @pytest.mark.parametrize("suffix", ["parquet", "csv", "arrow"])
    def test_an_address_is_literal(self, store, name, suffix):
        for key, clicks in ((name, CLICKS), ("x1", OTHERS)):
            store.put(f"{key}/{key}.{suffix}", bytes_of(clicks, suffix))
        log = g4r.read_clicks(f"s3://shop/{name}/{name}.{suffix}")
        assert log.collect().equals(CLICKS)
        if suffix == "parquet":
            for address in (f"s3://shop/{name}", f"s3://shop/{name}/"):
                assert g4r.read_clicks(address).collect().equals(CLICKS)

    def test_a_folder_is_its_parquet_files_with_rows_and_what_is_hidden_is_none(self, store):
        for day, first in (("1", 0), ("2", 10)):
            part = CLICKS.with_columns(pl.col("session_id") + first)
            store.put(f"log/day={day}/part-0.parquet", bytes_of(part, "parquet"))
        store.put("log/day=3/part-0.parquet", b"")
        store.put("log/_SUCCESS", b"")
        for hidden in ("_temporary/x.parquet", ".x.parquet", "day=1/_x.parquet"):
            store.put(f"log/{hidden}", bytes_of(OTHERS, "parquet"))
        for address in ("s3://shop/log", "s3://shop/log/"):
            clicks = g4r.read_clicks(address, also=None).collect()
            assert clicks["session_id"].to_list() == [1, 1, 2, 11, 11, 12]
            assert clicks["day"].to_list() == [1] * 3 + [2] * 3
        assert g4r.read_clicks("s3://shop/log", where="day = 2").collect().height == 3

    def test_a_folder_may_have_a_suffix_and_other_files_and_other_columns(self, store, caplog):
        store.put("w.parquet/part-0.parquet", bytes_of(CLICKS, "parquet"))
        more = CLICKS.select(pl.lit(1.5).alias("price"), pl.all())
        store.put("w.parquet/part-1.parquet", bytes_of(more, "parquet"))
        store.put("w.parquet/_delta_log/0.json", b"{}")
        clicks = g4r.read_clicks("s3://shop/w.parquet", also=None).collect()
        assert clicks["price"].to_list() == [None] * 3 + [1.5] * 3
        assert "is a Delta table" in caplog.text

    def test_a_folder_that_was_prepared_is_no_log(self, store):
        store.put("prepared/train.parquet", bytes_of(CLICKS, "parquet"))
        store.put("prepared/card.json", b"{}")
        with pytest.raises(g4r.DataError, match="name a part, such as s3://shop/prepared/train"):
            g4r.read_clicks("s3://shop/prepared/")

    @pytest.mark.parametrize("key", UNREADABLE)
    def test_what_cannot_be_read_is_said_in_one_line_with_its_address(self, store, key):
        for name in ("empty.csv", "empty.parquet"):
            store.put(name, b"")
        for name in ("bad.parquet", "bad.csv.gz", "x[1].ndjson"):
            store.put(name, b"\x1f\x8bnonsense")
        store.put("utf16.csv", "session_id,item_id\n1,a\n".encode("utf-16"))
        with pytest.raises(g4r.DataError, match=UNREADABLE[key]) as error:
            g4r.read_clicks(f"s3://shop/{key}")
        assert f"s3://shop/{key}".rstrip("/") in str(error.value)
        assert len(str(error.value).splitlines()) == 1

    def test_a_bucket_that_is_not_there_is_said(self, store):
        for address in ("s3://no-such/log.parquet", "s3://no-such/log/"):
            with pytest.raises(g4r.DataError, match="no such bucket"):
                g4r.read_clicks(address)

    def test_a_log_given_twice_is_refused(self, store):
        store.put("twice.csv", bytes_of(CLICKS, "csv"))
        with pytest.raises(g4r.DataError, match="given twice"):
            g4r.read_clicks(["s3://shop/twice.csv", "s3://shop/twice.csv"])

    def test_commands_do_with_a_store_as_with_files(self, store, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        log = g4r.generate_clicks(sessions=400, items=30, seed=1)
        log.write_parquet("log.parquet")
        half = log.height // 2
        for number, part in enumerate((log[:half], log[half:])):
            store.put(f"parts/{number}.parquet", bytes_of(part, "parquet"))
        store.put("parts.csv", bytes_of(log, "csv"))

        def run(*arguments):
            result = CliRunner().invoke(main, arguments)
            assert result.exit_code == 0, result.stderr

        for source, to in (("s3://shop/parts", "a"), ("log.parquet", "b")):
            run("prepare", source, "-o", f"{to}-log")
            run("train", source, "-o", to, "--epochs", "1", "--seed", "1")
        for part in ("train", "valid", "test"):
            left, right = (pl.read_parquet(f"{to}-log/{part}.parquet") for to in "ab")
            assert left.equals(right)
        for source, to in (("s3://shop/parts", "a"), ("s3://shop/parts.csv", "b")):
            run("recommend", to, source, "-o", f"{to}.csv", "-k", "3")
            run("evaluate", to, source, "--format", "csv", "-o", f"{to}-figures.csv")
        assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
        assert Path("a-figures.csv").read_bytes() == Path("b-figures.csv").read_bytes()


@pytest.fixture
def closed_port():
    """A port at which nothing listens, and that nobody else is given meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def read_soon(address, most=40):
    """The error of an address, which has to come soon."""
    began = time.monotonic()
    with pytest.raises(g4r.DataError) as error:
        g4r.read_clicks(address)
    assert time.monotonic() - began < most
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_a_store_that_cannot_be_reached_is_said_soon(closed_port, monkeypatch):
    for name, value in settings(f"http://127.0.0.1:{closed_port}").items():
        monkeypatch.setenv(name, value)
    for address in ("s3://closed/log.parquet", "s3://closed/log/"):
        assert "cannot be reached" in read_soon(address)


@pytest.mark.process
def test_a_store_that_does_not_answer_is_said_soon(monkeypatch):
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        for name, value in settings(f"http://127.0.0.1:{listening.getsockname()[1]}").items():
            monkeypatch.setenv(name, value)
        assert "cannot be reached" in read_soon("s3://silent/log.parquet")


def test_without_credentials_it_is_said_which_to_set(closed_port, monkeypatch):
    here = f"http://127.0.0.1:{closed_port}"
    for name, value in settings(here).items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", here)  # where a machine asks for its role
    assert "AWS_ACCESS_KEY_ID" in read_soon("s3://no-credentials/log.parquet")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("hdfs://name/log", "for Spark only"),
        ("https://example.com/log.parquet", "download it"),
        ("file:///log.parquet", "give the local path"),
        ("s3://", "names no bucket"),
        ("s3:///", "names no bucket"),
    ],
)
def test_an_address_of_another_kind_is_refused_without_asking(address, said):
    assert said in read_soon(address, most=2)
