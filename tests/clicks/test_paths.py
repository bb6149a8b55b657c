"""A path that was given or written is literal; a folder of a log is its data files."""

import glob
import logging
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import gru4rec as g4r

CLICKS = pl.DataFrame({"session_id": [1, 1, 2], "item_id": ["a", "b", "a"]})
OTHERS = CLICKS.with_columns(item_id=pl.lit("other"))

WRITERS = {
    "parquet": pl.DataFrame.write_parquet,
    "csv": pl.DataFrame.write_csv,
    "jsonl": pl.DataFrame.write_ndjson,
    "arrow": pl.DataFrame.write_ipc,
}
NAMES = ["x[1]", "x*", "x?", "[!a]", "~", "~root", "{x}", "a%20b", "k=v", "ä b", "x**"]


def items_of(clicks: pl.LazyFrame) -> set[str]:
    return set(clicks.collect()["item_id"])


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_exists_is_that_file_whatever_its_name(tmp_path, monkeypatch, suffix, name):
    folder, neighbour = tmp_path / name, tmp_path / "x1"
    for place, clicks in ((folder, CLICKS), (neighbour, OTHERS)):
        place.mkdir()
        for file in (f"{name}.{suffix}", f"x1.{suffix}"):
            table = clicks if file.startswith(name) else OTHERS
            WRITERS[suffix](table, str((place / file).absolute()))
    assert items_of(g4r.read_clicks(folder / f"{name}.{suffix}")) == {"a", "b"}
    monkeypatch.chdir(tmp_path)
    assert items_of(g4r.read_clicks(Path(name) / f"{name}.{suffix}")) == {"a", "b"}
    (folder / f"x1.{suffix}").unlink()
    assert items_of(g4r.read_clicks(name)) == {"a", "b"}


def test_a_pattern_that_no_file_has_for_its_name_is_a_pattern(tmp_path):
    for name in ("part1.csv", "part2.csv", "other.csv"):
        CLICKS.write_csv(tmp_path / name)
    assert g4r.read_clicks(f"{tmp_path}/part[12].csv").collect().height == 6


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_under_any_name_is_found_again(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    g4r.Popularity().fit(OTHERS).save("x1")
    baseline = g4r.VSTAN().fit(CLICKS)
    baseline.save(name)
    assert g4r.load(name).catalog.item_ids.to_list() == ["a", "b"]
    baseline.click_many([1], ["a"])
    Path("d", name).mkdir(parents=True)
    baseline.sessions.save(Path("d", name, "s.parquet"))
    store = g4r.SessionStore(baseline)
    store.restore(Path("d", name, "s.parquet"))
    assert len(store) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_log_is_prepared_into_a_folder_of_any_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    rows = pl.DataFrame(
        {
            "session_id": [session for session in range(40) for _ in range(2)],
            "item_id": [item for _ in range(40) for item in ("a", "b")],
            "timestamp": [1_700_000_000 + 60 * click for click in range(80)],
        }
    )
    g4r.prepare(rows, name, g4r.Recipe.from_dict({"split": {"valid": "10%", "test": "10%"}}))
    assert g4r.read_clicks(Path(name, "train.parquet")).collect().height == 64


HIDDEN = [
    ".ipynb_checkpoints/log-checkpoint.csv",
    "_temporary/0/part-0.csv",
    ".part-0.csv",
    "_part-0.csv",
    "day=1/_temporary/part-0.csv",
]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_programs_keep_beside_the_data_is_no_part_of_a_folder(tmp_path, hidden):
    (tmp_path / hidden).parent.mkdir(parents=True, exist_ok=True)
    OTHERS.write_csv(tmp_path / hidden)
    CLICKS.write_csv(tmp_path / "log.csv")
    assert items_of(g4r.read_clicks(tmp_path)) == {"a", "b"}


def test_a_hive_folder_may_begin_with_an_underscore_and_the_folder_itself_with_anything(tmp_path):
    log = tmp_path / ".hidden" / "_log"
    (log / "_day=1").mkdir(parents=True)
    CLICKS.write_csv(log / "_day=1" / "part.csv")
    assert items_of(g4r.read_clicks(log)) == {"a", "b"}


def test_empty_parts_of_a_folder_are_skipped_and_counted(tmp_path, caplog):
    CLICKS.write_csv(tmp_path / "part-1.csv")
    CLICKS.clear().write_csv(tmp_path / "part-2.csv")
    (tmp_path / "part-3.csv").touch()
    (tmp_path / "part-4.parquet").touch()
    with caplog.at_level(logging.WARNING):
        assert g4r.read_clicks(tmp_path).collect().equals(CLICKS)
    assert "skipped 2 empty files" in caplog.text


def test_an_empty_file_that_is_named_is_an_error_and_so_is_a_folder_of_them(tmp_path):
    (tmp_path / "log.csv").touch()
    with pytest.raises(g4r.DataError, match=r"log.csv is empty"):
        g4r.read_clicks(tmp_path / "log.csv")
    with pytest.raises(g4r.DataError, match="every file of the folder is empty"):
        g4r.read_clicks(tmp_path)


def test_the_log_of_a_delta_table_is_no_data_and_it_is_said_that_deleted_rows_count(
    tmp_path, caplog
):
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "_delta_log" / "0.json").write_text("{}")
    OTHERS.write_parquet(tmp_path / "_delta_log" / "0.checkpoint.parquet")
    CLICKS.write_parquet(tmp_path / "part-0.parquet")
    with caplog.at_level(logging.WARNING):
        assert items_of(g4r.read_clicks(tmp_path)) == {"a", "b"}
    assert "is a Delta table" in caplog.text


@pytest.mark.parametrize(
    "path", ["/", "no/such/log.csv", "x" * 300, "a\0b", "\udcff.csv", "", ".."]
)
def test_a_path_that_is_no_log_is_said_in_one_line(path, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(g4r.DataError) as error:
        g4r.read_clicks(path)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("source", [5, None, [5], [["a.csv"]], object(), np.array(7)])
def test_a_source_that_is_no_log_is_said_in_one_line(source):
    with pytest.raises(g4r.DataError, match="frame, or paths"):
        g4r.read_clicks(source)


# Every place of the package that scans, reads or writes a table by its path. Click logs are scanned
# by `clicks.formats`, files of our own go through `clicks.parquet`; both are literal.
PLACES = {
    "clicks/formats.py": {"pl.scan_csv", "pl.scan_ndjson", "pl.scan_parquet", "pl.scan_ipc"},
    "clicks/stores.py": {"pl.scan_parquet"},  # of addresses, or of a pattern that is meant
    "clicks/parquet.py": {"pl.scan_parquet", ".sink_parquet", ".write_parquet"},
    "preparation/shards.py": {".sink_parquet"},  # into a folder of partitions
    "spark/pieces.py": {"pl.read_ipc", ".write_ipc"},  # of bytes
}
CALLS = [
    f"pl.{verb}_{kind}"
    for verb in ("scan", "read")
    for kind in ("csv", "ndjson", "parquet", "ipc", "json", "delta", "database", "excel")
]
CALLS += [".sink_parquet", ".write_parquet", ".sink_csv", ".write_ipc", ".sink_ipc", ".sink_ndjson"]


def test_tables_are_read_and_written_by_path_in_these_places_only():
    package = Path(g4r.__file__).parent
    places = {
        file.relative_to(package).as_posix(): {call for call in CALLS if call in text}
        for file in package.rglob("*.py")
        if (text := file.read_text(encoding="utf-8"))
    }
    assert {place: calls for place, calls in places.items() if calls} == PLACES
    assert glob.escape("x[1]") == "x[[]1]"  # what JSON lines are scanned by
