"""Files of every format give the same rows."""

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from gru4rec.clicks.column_types import with_types
from gru4rec.clicks.files import scan_files
from gru4rec.clicks.formats import SCANNERS
from gru4rec.errors import DataError

ROWS = pl.DataFrame({"session_id": [9007199254740993, 2], "item_id": ["a", "b"], "ts": [10, 20]})

WRITERS: dict[str, Callable[[Path], object]] = {
    ".parquet": ROWS.write_parquet,
    ".csv": ROWS.write_csv,
    ".dat": ROWS.write_csv,
    ".tsv": lambda path: ROWS.write_csv(path, separator="\t"),
    ".txt": lambda path: ROWS.write_csv(path, separator="\t"),
    ".ndjson": ROWS.write_ndjson,
    ".jsonl": ROWS.write_ndjson,
    ".arrow": ROWS.write_ipc,
    ".ipc": ROWS.write_ipc,
    ".feather": ROWS.write_ipc,
}


def rows_of(path: Path) -> pl.DataFrame:
    """The rows of a log, with the types that its values have."""
    scan = scan_files([path])
    names = [name for name in ROWS.columns if name in scan.untyped]
    return with_types(scan.rows, names, ROWS.columns[:2]).collect().select(ROWS.columns)


def test_every_format_is_written_here():
    assert set(WRITERS) == set(SCANNERS)


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_rows(suffix, tmp_path):
    WRITERS[suffix](tmp_path / f"log{suffix}")
    assert rows_of(tmp_path / f"log{suffix}").equals(ROWS)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".ndjson"])
def test_compressed_text_gives_the_same_rows(suffix, tmp_path):
    WRITERS[suffix](tmp_path / "plain")
    packed = tmp_path / f"log{suffix}.gz"
    packed.write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    assert rows_of(packed).equals(ROWS)


@pytest.mark.parametrize("separator", [";", "|", "\t"])
def test_another_separator_shows_in_the_header(separator, tmp_path):
    ROWS.write_csv(tmp_path / "log.csv", separator=separator)
    assert rows_of(tmp_path / "log.csv").equals(ROWS)


def test_a_folder_gives_the_files_of_known_formats_by_name_also_below(tmp_path):
    (tmp_path / "day=2").mkdir()
    ROWS.tail(1).write_csv(tmp_path / "day=2" / "b.csv")
    ROWS.head(1).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "notes.md").write_text("no log")
    assert rows_of(tmp_path).equals(ROWS)


def test_a_truncated_archive_is_an_error_and_not_fewer_rows(tmp_path):
    ROWS.write_csv(tmp_path / "plain")
    packed = gzip.compress((tmp_path / "plain").read_bytes())
    (tmp_path / "log.csv.gz").write_bytes(packed[:-10])
    with pytest.raises((OSError, DataError, pl.exceptions.PolarsError)):
        rows_of(tmp_path / "log.csv.gz")


def test_an_unknown_suffix_lists_the_formats(tmp_path):
    (tmp_path / "log.xls").write_text("x")
    with pytest.raises(DataError, match=r"log.xls.*\.parquet, \.csv"):
        scan_files([tmp_path / "log.xls"])


def test_a_file_that_is_given_twice_is_refused(tmp_path):
    ROWS.write_csv(tmp_path / "log.csv")
    with pytest.raises(DataError, match=r"log.csv is given twice"):
        scan_files([tmp_path / "log.csv", tmp_path])


def test_what_was_prepared_from_a_folder_is_no_part_of_it(tmp_path):
    ROWS.write_csv(tmp_path / "log.csv")
    (tmp_path / "out").mkdir()
    ROWS.write_parquet(tmp_path / "out" / "train.parquet")
    (tmp_path / "out" / "card.json").write_text("{}")
    assert rows_of(tmp_path).equals(ROWS)
    with pytest.raises(DataError, match=r"prepared parts.*name a part, such as .*train.parquet"):
        scan_files([tmp_path / "out"])
    assert rows_of(tmp_path / "out" / "train.parquet").equals(ROWS)


def test_folders_of_hive_are_columns_with_the_types_of_their_values(tmp_path):
    for day, shop in (("1", "a%20b"), ("2", "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / f"day={day}" / f"shop={shop}"
        folder.mkdir(parents=True)
        ROWS.write_parquet(folder / "0.parquet")
    scan = scan_files([tmp_path])
    rows = with_types(scan.rows, sorted(scan.untyped), ()).collect()
    assert rows["day"].to_list() == [1, 1, 2, 2]
    assert rows["shop"].to_list() == ["a b", "a b", None, None]
    assert rows.select(ROWS.columns).equals(pl.concat([ROWS, ROWS]))
