"""The blocks of docs/ that need Spark run as they stand."""

import shutil
import sys
from pathlib import Path

import pytest
from doc_blocks import PAGES, ROOT, blocks_of, run, run_shell

import gru4rec as g4r

pytestmark = pytest.mark.spark

WITH_SPARK = [page for page in PAGES if blocks_of(page, "python", on_spark=True)]


@pytest.fixture(scope="module")
def folder(trained: g4r.GRU4Rec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample log and a checkpoint."""
    folder = tmp_path_factory.mktemp("pages") / "here"
    shutil.copytree(ROOT / "datasets", folder / "datasets")
    trained.save(folder / "shop")
    return folder


@pytest.mark.parametrize("page", WITH_SPARK)
def test_blocks_that_need_spark_run_one_after_the_other(page, folder, spark, small, monkeypatch):
    defaults = "".join(f"{name} {value}\n" for name, value in small.items())
    (folder / "spark-defaults.conf").write_text(defaults)
    monkeypatch.setenv("SPARK_CONF_DIR", str(folder))
    for _, block in blocks_of(page, "sh", on_spark=True):
        run_shell(block, folder)
    program = "\n".join(block for _, block in blocks_of(page, "python", on_spark=True))
    printed = run([sys.executable, "-c", program], folder)
    assert "train" in printed
    assert list((folder / "answers").glob("*.parquet"))
