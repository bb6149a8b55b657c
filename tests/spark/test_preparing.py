"""`prepare` on Spark makes the parts and the card that `prepare` makes on one machine."""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import gru4rec as g4r
from gru4rec.preparation import Card, Recipe
from gru4rec.spark import prepare

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

START = datetime(2020, 1, 6)
PARTS = ("train", "valid", "test")
WHOLE = {"split.valid": "none", "split.test": "none"}
Values = dict[str, Any]
Made = tuple[dict[str, pl.DataFrame], Card]


def on_one_machine(log: pl.DataFrame, values: Values) -> Made:
    """(the parts, the card) of a log."""
    with TemporaryDirectory() as folder:
        card = g4r.prepare(log, Path(folder) / "out", Recipe().replace(values))
        paths = {name: Path(folder) / "out" / f"{name}.parquet" for name in PARTS}
        return {name: pl.read_parquet(path) for name, path in paths.items() if path.exists()}, card


def on_spark(spark: "SparkSession", log: pl.DataFrame, values: Values) -> Made:
    """The same, by Spark."""
    prepared = prepare(framed(spark, log), Recipe().replace(values))
    parts = {name: pl.DataFrame(part.toArrow()) for name, part in prepared.parts.items()}
    prepared.unpersist()
    return parts, prepared.card


def framed(spark: "SparkSession", log: pl.DataFrame) -> "DataFrame":
    """The log as a frame of Spark of two partitions, its rows in their order."""
    return spark.createDataFrame(log.to_arrow()).coalesce(2)


def assert_alike(one: Made, other: Made) -> None:
    """The same parts, row for row, and the same card."""
    assert other[1] == one[1]
    assert other[0].keys() == one[0].keys()
    for name, part in one[0].items():
        assert_frame_equal(other[0][name], part, check_dtypes=False)


def random_log(seed: int, rows: int = 400) -> pl.DataFrame:
    """A log of twenty users and a dozen items over some days; rows in no order, some equal."""
    import numpy as np

    random = np.random.default_rng(seed)
    user, minute = random.integers(0, 20, rows), random.integers(0, 1500, rows)
    times = [START + timedelta(minutes=int(500 * u + m // 7 * 7)) for u, m in zip(user, minute)]
    return pl.DataFrame(
        {
            "session_id": [f"s{u}" for u in user],
            "item_id": random.integers(0, 12, rows),
            "timestamp": times,
            "kind": random.choice(["view", "buy"], rows, p=[0.9, 0.1]),
        }
    )


def test_it_prepares(spark):
    log = random_log(1)
    assert_alike(on_one_machine(log, {}), on_spark(spark, log, {}))
