"""Prepare the files or the tables at paths on a Spark session of its own, for the command line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gru4rec.errors import DataError, import_extra
from gru4rec.preparation import Card, Recipe, check_free
from gru4rec.spark.failures import as_data_error
from gru4rec.spark.preparing import prepare

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def prepare_paths(
    paths: Sequence[str],
    output: str | Path,
    recipe: Recipe,
    *,
    force: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Card:
    """Write the folder of `Prepared.write` and return its card; see `prepare`.

    Paths that all workers see are read as `read_clicks` does. Addresses, such as s3a://…, are read
    by Spark, as Parquet. Raise DataError where `prepare` does, and for paths of both kinds.
    """
    addresses = [path for path in paths if "://" in path]
    if addresses and len(addresses) < len(paths):
        raise DataError(f"{addresses[0]} is an address and others are paths; give one kind")
    check_free(Path(output), force=force)
    with as_data_error("start"):
        spark = _session()
    try:
        if addresses:
            with as_data_error(f"read {addresses[0]}"):
                frame = spark.read.parquet(*addresses)
            prepared = prepare(frame, recipe, on_progress=on_progress)
        else:
            prepared = prepare(paths, recipe, spark=spark, on_progress=on_progress)
        prepared.write(output, force=force)
    finally:
        spark.stop()
    return prepared.card


def _session() -> "SparkSession":
    """Return the session that Spark's own settings ask for; without any, one of this machine."""
    builder = import_extra("pyspark.sql", extra="spark").SparkSession.builder
    quiet = {"spark.ui.showConsoleProgress": "false", "spark.log.level": "ERROR"}
    for name, value in quiet.items():
        builder = builder.config(name, value)
    session: SparkSession = builder.appName("gru4rec prepare").getOrCreate()
    return session
