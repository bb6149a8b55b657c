"""Find click logs on object stores: whether an object is there, and what a folder holds.

Polars reads them, with credentials of its own: of the environment, or of the machine's role.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from gru4rec.addresses import STORES, trouble_with
from gru4rec.errors import DataError
from gru4rec.untrusted import brief

logger = logging.getLogger(__name__)

# Whether a store answers at all is known after some seconds; Polars by itself waits for minutes.
_SOON: dict[str, Any] = {
    "max_retries": 2,
    "retry_timeout_ms": 5_000,
    "connect_timeout": "4s",
    "timeout": "8s",
}
_PATH = "__gru4rec_path"
_PATTERN = "**/*.parquet"


@dataclass(frozen=True)
class Address:
    """The address of one object."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def name(self) -> str:
        """The last part of it."""
        return self.text.rpartition("/")[2]

    @property
    def folders(self) -> Sequence[str]:
        """The parts between the bucket and the name."""
        return self.text.split("/")[3:-1]


def check_address(address: str) -> None:
    """Raise DataError for an address at which no click log is read."""
    scheme, _, rest = address.partition("://")
    if scheme == "hdfs":
        raise DataError(
            f"cannot read {address}: hdfs:// is for Spark only; let Spark write the log to a "
            "local folder or an object store, or copy it here with hdfs dfs -get"
        )
    if scheme not in STORES:
        raise DataError(
            f"cannot read {address}: click logs are read from {'://, '.join(STORES)}:// and from "
            "this machine; download it, and give the local path"
        )
    if not rest.strip("/"):
        raise DataError(f"{address} names no bucket; give {scheme}://bucket/path")


def is_object(address: str) -> bool:
    """Whether an object is there. Raise DataError if that cannot be known."""
    try:
        # It reads the object's last bytes, whatever it holds.
        pl.scan_parquet(address, glob=False, storage_options=_SOON).collect_schema()
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise _unreadable(address, error) from error
        return False
    except (pl.exceptions.PolarsError, OSError) as error:
        if trouble_with(error) is not None:
            raise _unreadable(address, error) from error
    return True


def list_objects(folder: str) -> list[Address]:
    """Return the Parquet files that have rows in a folder, and in those inside it, by name.

    Raise DataError if the folder cannot be read; one that is not there has no files.
    """
    place = folder.rstrip("/") + "/"
    try:
        texts = _paths(place, glob=False)
    except pl.exceptions.InvalidOperationError as error:  # files of other suffixes lie there
        texts = _listed(f"{place}{_PATTERN}")
        texts += ["_delta_log/"] if "/_delta_log/" in str(error) else []
    except (pl.exceptions.PolarsError, OSError) as error:
        texts = _none_or_raise(folder, error)
    if any("_delta_log/" in text for text in texts):
        logger.warning(
            "%s is a Delta table: all of its files are read, also those whose rows were deleted or "
            "replaced; if there are such, write it as plain Parquet first",
            folder,
        )
    inside = [text for text in texts if text.startswith(place)]
    return [Address(text) for text in sorted(inside) if text.lower().endswith(".parquet")]


def _listed(pattern: str) -> list[str]:
    try:
        return _paths(pattern, glob=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        return _none_or_raise(pattern, error)


def _paths(place: str, *, glob: bool) -> list[str]:
    """Return the paths of the rows of a folder or pattern; only the files' ends are read."""
    rows = pl.scan_parquet(
        place, glob=glob, hive_partitioning=False, include_file_paths=_PATH,
        missing_columns="insert", extra_columns="ignore", storage_options=_SOON,
    )  # fmt: skip
    paths = rows.select(pl.col(_PATH).unique()).collect(engine="streaming")[_PATH]
    return paths.cast(pl.String).to_list()


def _none_or_raise(folder: str, error: BaseException) -> list[str]:
    if "expanded paths were empty" in str(error):
        return []
    raise _unreadable(folder, error) from error


def _unreadable(address: str, error: BaseException) -> DataError:
    lines = str(error).strip().splitlines()
    why = trouble_with(error) or brief(next(iter(lines), type(error).__name__))
    return DataError(f"cannot read {address}: {why}")
