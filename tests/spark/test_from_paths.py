"""`gru4rec prepare --engine spark` writes what `gru4rec prepare` does."""

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

import gru4rec as g4r
from gru4rec.cli import main
from gru4rec.errors import DataError, MissingExtraError
from gru4rec.preparation import Recipe
from gru4rec.spark import prepare, prepare_paths, recommend

RULES = ["--min-item-clicks", "5", "--drop-repeats"]


def printed(*arguments: str | Path, folder: Path) -> str:
    """What the command says that ends well, on a Spark of its own."""
    settings = "--master local[2] --driver-memory 1g --conf spark.sql.shuffle.partitions=2"
    environment = {**os.environ, "PYSPARK_SUBMIT_ARGS": f"{settings} pyspark-shell"}
    command = [sys.executable, "-m", "gru4rec", "prepare", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.spark
def test_the_command_writes_the_same_folder_with_either_engine(log, tmp_path, spark):
    log.write_csv(tmp_path / "log.csv")
    log.write_parquet(tmp_path / "log.parquet")
    printed("log.csv", "-o", "one", *RULES, folder=tmp_path)
    said = printed("log.csv", "-o", "many", "--engine", "spark", *RULES, folder=tmp_path)
    assert "wrote many" in said
    for file in ("card.json", "recipe.toml"):
        assert (tmp_path / "many" / file).read_text() == (tmp_path / "one" / file).read_text()
    for part in ("train", "valid", "test"):
        clicks = g4r.read_clicks(tmp_path / "many" / f"{part}.parquet").collect()
        assert clicks.equals(pl.read_parquet(tmp_path / "one" / f"{part}.parquet"))


@pytest.mark.spark
def test_an_address_is_read_by_spark(log, tmp_path, spark, monkeypatch):
    monkeypatch.setattr(type(spark), "stop", lambda self: None)  # the session of all tests
    log.write_parquet(tmp_path / "log.parquet")
    card = prepare_paths([f"file://{tmp_path}/log.parquet"], tmp_path / "many", Recipe())
    expected = g4r.prepare(tmp_path / "log.parquet", tmp_path / "one")
    assert card == {**expected, "source": []}


def test_addresses_and_paths_do_not_mix(tmp_path):
    with pytest.raises(DataError, match="s3a://shop/log is an address and others are paths"):
        prepare_paths(["s3a://shop/log", "log.parquet"], tmp_path / "out", Recipe())


def test_without_the_extra_one_line_says_what_to_install(tmp_path, log, trained, monkeypatch):
    for package in ("pyspark", "pyspark.errors", "pyspark.sql"):
        monkeypatch.setitem(sys.modules, package, None)
    trained.save(tmp_path / "model")
    log.write_parquet(tmp_path / "log.parquet")
    for call in (lambda: prepare(None), lambda: recommend(None, tmp_path / "model")):
        with pytest.raises(MissingExtraError, match=r"pip install 'gru4rec\[spark\]'"):
            call()
    command = ["prepare", str(tmp_path / "log.parquet"), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, [*command, "--engine", "spark"])
    assert result.exit_code != 0
    assert "pip install 'gru4rec[spark]'" in result.output
    assert len(result.output.strip().splitlines()) == 1
