"""Say in one line what Spark, or a worker of it, could not do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from gru4rec.errors import DataError, import_extra
from gru4rec.untrusted import brief

_RAISED = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Failure): .+")
_OF_JAVA = ("java", "org.", "scala.", "py4j.", "Caused by")


@contextmanager
def as_data_error(what: str) -> Iterator[None]:
    """Raise DataError for what Spark or Polars could not do: `what` it was, and why.

    Raise MissingExtraError without PySpark.
    """
    errors = import_extra("pyspark.errors", extra="spark")
    import_extra("pandas", extra="spark")  # by which Spark hands Arrow over
    gateway = import_extra("py4j.protocol", extra="spark").Py4JError
    try:
        yield
    except (errors.PySparkException, gateway, pl.exceptions.PolarsError) as error:
        raise DataError(f"Spark cannot {what}: {reason_of(str(error))}") from error


def reason_of(message: str) -> str:
    """Return the line of a message of Spark that says what was raised in a worker, or in Java."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    raised = [line for line in lines if _RAISED.match(line) and not line.startswith(_OF_JAVA)]
    of_java = [line.lstrip(": ") for line in lines if _RAISED.match(line.lstrip(": "))]
    return brief([*raised[-1:], *of_java, *lines, "it does not say why"][0], most=300)
