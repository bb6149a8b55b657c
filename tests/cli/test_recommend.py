"""`gru4rec recommend` writes k rows for every session, clean data in the format asked for."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from click.testing import CliRunner, Result
from polars.testing import assert_frame_equal

import gru4rec as g4r
from gru4rec.cli import main

Run = Callable[..., Result]
Refusal = Callable[..., str]

COLUMNS = ["session_id", "rank", "item_id", "score"]


def rows_of(result: Result) -> list[dict[str, Any]]:
    """The lines of a successful call's stdout, each a JSON object."""
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Three sessions, the second of unknown items only, one item of the third unknown."""
    (tmp_path / "words.csv").write_text(
        "session,item\nnora,c00-0001\nzoe,unknown\nadam,c01-0020\nnora,c00-0002\nadam,strange\n"
    )
    return tmp_path / "words.csv"


# Standard output


def test_in_a_pipe_each_line_is_one_recommendation_as_json(
    run: Run, model: Path, log: Path, clicks: pl.DataFrame
) -> None:
    rows = rows_of(run("recommend", model, log))
    assert all(list(row) == COLUMNS for row in rows)
    sessions = clicks["session_id"].unique(maintain_order=True).to_list()
    assert [row["session_id"] for row in rows[::20]] == sessions
    assert [row["rank"] for row in rows] == list(range(1, 21)) * len(sessions)
    for start in range(0, len(rows), 20):
        scores = [row["score"] for row in rows[start : start + 20]]
        assert scores == sorted(scores, reverse=True)
        assert len({row["item_id"] for row in rows[start : start + 20]}) == 20


def test_the_command_writes_what_the_library_returns(run: Run, model: Path, log: Path) -> None:
    rows = rows_of(run("recommend", model, log, "-k", 3, "--device", "cpu"))
    table = g4r.load(model, device="cpu").recommend(log, k=3)
    assert [(row["session_id"], row["rank"], row["item_id"]) for row in rows] == table.select(
        COLUMNS[:3]
    ).rows()
    assert [row["score"] for row in rows] == pytest.approx(table["score"].to_list(), rel=1e-6)


def test_sessions_keep_the_order_and_the_type_of_their_ids(
    run: Run, model: Path, words: Path
) -> None:
    rows = rows_of(run("recommend", model, words, "-k", 1))
    assert [row["session_id"] for row in rows] == ["nora", "zoe", "adam"]


def test_integer_ids_stay_integers(run: Run, int_model: Path, int_log: Path) -> None:
    rows = rows_of(run("recommend", int_model, int_log, "-k", 2))
    assert {type(row["item_id"]) for row in rows} == {int}
    assert {type(row["session_id"]) for row in rows} == {int}


def test_a_null_marker_is_no_item_where_it_is_named(
    run: Run, refusal: Refusal, model: Path, tmp_path: Path
) -> None:
    log = tmp_path / "nulls.csv"
    log.write_text("session,item\nnora,c00-0001\nnora,NULL\nadam,c01-0020\nzoe,NULL\n")
    assert "empty item_id in 2 of 4 rows" in refusal("recommend", model, log, "--null", "NULL")
    rows = rows_of(run("recommend", model, log, "-k", 1, "--null", "NULL", "--drop-invalid"))
    assert [row["session_id"] for row in rows] == ["nora", "adam"]


def test_where_takes_some_of_the_rows(run: Run, model: Path, log: Path) -> None:
    rows = rows_of(run("recommend", model, log, "-k", 1, "--where", "session_id IN (7, 9)"))
    assert sorted(row["session_id"] for row in rows) == [7, 9]


def test_nothing_is_said_of_a_log_without_surprises(run: Run, model: Path, log: Path) -> None:
    assert run("recommend", model, log, "-k", 1).stderr == ""


def test_a_log_without_times_is_said_to_be_so_once(run: Run, model: Path, words: Path) -> None:
    assert run("recommend", model, words).stderr.count("no time column") == 1


# Unknown items and k


def test_unknown_clicks_are_counted_and_passed_over(run: Run, model: Path, words: Path) -> None:
    result = run("recommend", model, words, "-k", 5)
    assert "skipped 2 clicks" in result.stderr
    assert "1 sessions have no known item" in result.stderr
    by_session = {name: [] for name in ("nora", "zoe", "adam")}
    for row in rows_of(result):
        by_session[row["session_id"]].append(row["item_id"])
    alone = rows_of(run("recommend", model, "--items", "c01-0020", "-k", 5))
    assert by_session["adam"] == [row["item_id"] for row in alone]
    popular = pl.read_parquet(model / "catalog.parquet")["item_id"].head(5).to_list()
    assert by_session["zoe"] == popular


def test_items_by_hand_are_one_session_of_id_0(run: Run, model: Path, words: Path) -> None:
    rows = rows_of(run("recommend", model, "--items", "c00-0001,c00-0002", "-k", 4))
    assert [row["session_id"] for row in rows] == [0] * 4
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    logged = rows_of(run("recommend", model, words, "-k", 4, "--where", "session = 'nora'"))
    assert [row["item_id"] for row in rows] == [row["item_id"] for row in logged]
    assert rows == rows_of(run("recommend", model, "--items", " c00-0001 , c00-0002", "-k", 4))


def test_the_order_of_items_by_hand_matters(run: Run, model: Path) -> None:
    there = rows_of(run("recommend", model, "--items", "c00-0001,c01-0020", "-k", 40))
    back = rows_of(run("recommend", model, "--items", "c01-0020,c00-0001", "-k", 40))
    assert [row["score"] for row in there] != [row["score"] for row in back]


def test_an_unknown_item_by_hand_is_skipped_and_counted(run: Run, model: Path) -> None:
    result = run("recommend", model, "--items", "c00-0001,unknown,c00-0002", "-k", 4)
    assert "skipped 1 click" in result.stderr
    without = run("recommend", model, "--items", "c00-0001,c00-0002", "-k", 4)
    assert result.stdout == without.stdout
    assert without.stderr == ""


def test_unknown_items_only_get_the_popular_items_by_their_share_and_it_is_said(
    run: Run, model: Path
) -> None:
    result = run("recommend", model, "--items", "unknown,strange", "-k", 3)
    assert "skipped 2 clicks" in result.stderr
    assert "popular items" in result.stderr
    catalog = pl.read_parquet(model / "catalog.parquet").head(3)
    rows = rows_of(result)
    assert [row["item_id"] for row in rows] == catalog["item_id"].to_list()
    shares = (catalog["support"] / 1395).to_list()
    assert [row["score"] for row in rows] == pytest.approx(shares, rel=1e-6)


def test_items_by_hand_are_cast_to_the_type_of_the_catalog(run: Run, int_model: Path) -> None:
    result = run("recommend", int_model, "--items", "1,2", "-k", 2)
    assert result.stderr == ""
    assert {type(row["item_id"]) for row in rows_of(result)} == {int}


def test_an_item_that_cannot_be_cast_is_unknown(run: Run, int_model: Path) -> None:
    result = run("recommend", int_model, "--items", "one,2", "-k", 2)
    assert "skipped 1 click" in result.stderr
    assert result.stdout == run("recommend", int_model, "--items", "2", "-k", 2).stdout


@pytest.mark.parametrize("items", ["c00-0001", "unknown"])
def test_a_k_above_the_catalog_gives_the_whole_catalog(run: Run, model: Path, items: str) -> None:
    rows = rows_of(run("recommend", model, "--items", items, "-k", 1000))
    catalog = pl.read_parquet(model / "catalog.parquet")["item_id"].to_list()
    assert sorted(row["item_id"] for row in rows) == sorted(catalog)
    assert [row["rank"] for row in rows] == list(range(1, 41))


def test_k_is_20_unless_told(run: Run, model: Path) -> None:
    assert len(rows_of(run("recommend", model, "--items", "c00-0001"))) == 20


# Formats


@pytest.fixture
def table(model: Path, words: Path) -> pl.DataFrame:
    """What the library recommends for `words`."""
    return g4r.load(model, device="cpu").recommend(words, k=2)


def test_csv_has_a_header_and_a_line_for_each_recommendation(
    run: Run, model: Path, words: Path, table: pl.DataFrame
) -> None:
    result = run("recommend", model, words, "-k", 2, "--format", "csv")
    assert result.stdout.splitlines()[0] == "session_id,rank,item_id,score"
    read = pl.read_csv(io.StringIO(result.stdout))
    assert_frame_equal(read, table, check_dtypes=False)


def test_a_table_has_a_line_for_each_recommendation(
    run: Run, model: Path, words: Path, table: pl.DataFrame
) -> None:
    result = run("recommend", model, words, "-k", 2, "--format", "table")
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in result.stdout.splitlines()
    ]
    assert lines[0] == COLUMNS
    found = [(session, int(rank), item) for session, rank, item, _ in lines[2:]]
    assert found == table.select(COLUMNS[:3]).rows()


def test_a_long_item_id_is_whole_in_a_table(run: Run, train: Run, tmp_path: Path) -> None:
    one, two = "a" * 80, "b" * 80
    (tmp_path / "log.csv").write_text(f"session,item\n1,{one}\n1,{two}\n")
    train(tmp_path / "log.csv", "-o", tmp_path / "model")
    result = run("recommend", tmp_path / "model", "--items", one, "--format", "table")
    assert one in result.stdout
    assert two in result.stdout


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_the_suffix_of_the_output_decides(
    run: Run, model: Path, words: Path, table: pl.DataFrame, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / "out" / f"recommended.{suffix}"
    path.parent.mkdir()
    result = run("recommend", model, words, "-k", 2, "-o", path)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert list(path.parent.iterdir()) == [path]
    read = {"jsonl": pl.read_ndjson, "csv": pl.read_csv, "parquet": pl.read_parquet}[suffix](path)
    assert_frame_equal(read, table, check_dtypes=suffix == "parquet")


def test_a_format_that_is_given_goes_before_the_suffix(
    run: Run, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "recommended.txt"
    result = run("recommend", model, "--items", "c00-0001", "-o", path, "--format", "jsonl")
    assert result.exit_code == 0
    assert len(path.read_text().splitlines()) == 20


def test_the_output_is_replaced_as_a_whole(run: Run, model: Path, tmp_path: Path) -> None:
    path = tmp_path / "recommended.csv"
    path.write_text("older\n" * 100)
    assert run("recommend", model, "--items", "c00-0001", "-k", 1, "-o", path).exit_code == 0
    assert len(path.read_text().splitlines()) == 2


def test_ids_with_the_marks_of_a_format_are_whole_in_it(
    run: Run, train: Run, tmp_path: Path
) -> None:
    items = ['a,"b"', "two\nlines", "ünïcode 🎧"]
    log = pl.DataFrame({"session": ["s,1"] * 3, "item": items})
    log.write_parquet(tmp_path / "log.parquet")
    train(tmp_path / "log.parquet", "-o", tmp_path / "model")
    for form in ("jsonl", "csv"):
        result = run("recommend", tmp_path / "model", tmp_path / "log.parquet", "--format", form)
        read = {"jsonl": pl.read_ndjson, "csv": pl.read_csv}[form](result.stdout_bytes)
        assert sorted(read["item_id"]) == sorted(items)
        assert set(read["session_id"]) == {"s,1"}


# Refusals


def test_a_suffix_that_says_no_format_is_refused_with_the_option(
    refusal: Refusal, model: Path, tmp_path: Path
) -> None:
    error = refusal("recommend", model, "--items", "c00-0001", "-o", tmp_path / "out.xlsx")
    assert "out.xlsx" in error
    assert "--format" in error
    assert list(tmp_path.iterdir()) == []


def test_parquet_does_not_go_to_standard_output(refusal: Refusal, model: Path) -> None:
    error = refusal("recommend", model, "--items", "c00-0001", "--format", "parquet")
    assert "-o" in error


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_an_output_that_cannot_be_written_is_refused_and_leaves_nothing(
    refusal: Refusal, model: Path, tmp_path: Path, suffix: str
) -> None:
    (tmp_path / f"folder.{suffix}").mkdir()
    for path in (tmp_path / "none" / f"out.{suffix}", tmp_path / f"folder.{suffix}"):
        error = refusal("recommend", model, "--items", "c00-0001", "-o", path)
        assert f"cannot write {path}" in error
    assert [path.name for path in tmp_path.iterdir()] == [f"folder.{suffix}"]


def test_a_bad_log_is_refused_and_nothing_is_written(
    refusal: Refusal, model: Path, bad_log: tuple[Path, str], tmp_path: Path
) -> None:
    path, said = bad_log
    assert said in refusal("recommend", model, path, "-o", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_1_is_refused(refusal: Refusal, model: Path, log: Path, k: int) -> None:
    said = f"Error: -k must be at least 1, got {k}"
    assert refusal("recommend", model, "--items", "c00-0001", "-k", k) == said
    assert refusal("recommend", model, log, "-k", k) == said


def test_a_checkpoint_that_is_not_there_is_refused(refusal: Refusal, tmp_path: Path) -> None:
    error = refusal("recommend", tmp_path / "none", "--items", "a")
    assert str(tmp_path / "none") in error


@pytest.mark.parametrize(
    "name", ["catalog.parquet", "config.json", "index.faiss", "meta.json", "weights.safetensors"]
)
def test_an_incomplete_or_damaged_checkpoint_is_refused_by_its_file(
    refusal: Refusal, model: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(model, tmp_path / "model")
    data = (model / name).read_bytes()
    (tmp_path / "model" / name).write_bytes(data[: len(data) // 2])
    assert str(tmp_path / "model") in refusal("recommend", tmp_path / "model", "--items", "a")
    (tmp_path / "model" / name).unlink()
    assert name in refusal("recommend", tmp_path / "model", "--items", "a")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_absent_gpu_is_refused(refusal: Refusal, model: Path) -> None:
    assert "cuda" in refusal("recommend", model, "--items", "a", "--device", "cuda")


def test_what_click_refuses_ends_with_exit_status_2(
    usage_error: Refusal, model: Path, log: Path
) -> None:
    assert "--items" in usage_error("recommend", model, log, "--items", "a")
    assert "--items" in usage_error("recommend", model)
    assert "DIR" in usage_error("recommend")
    assert "'-k'" in usage_error("recommend", model, log, "-k", "many")
    assert "--format" in usage_error("recommend", model, log, "--format", "xml")


# Pieces and explanations


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_a_file_that_is_written_in_pieces_is_that_of_one_piece(
    run: Run, model: Path, log: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("recommend", model, log, "-k", 3, "-o", tmp_path / f"whole.{suffix}")
    monkeypatch.setattr("gru4rec.serving.answers._ROWS_AT_ONCE", 30)
    monkeypatch.setattr("gru4rec.sessions.reader.SHARD_ROWS", 50)
    result = run("recommend", model, log, "-k", 3, "-o", tmp_path / f"pieces.{suffix}")
    assert result.exit_code == 0, result.stderr
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[suffix]
    whole, pieces = (read(tmp_path / f"{name}.{suffix}") for name in ("whole", "pieces"))
    assert_frame_equal(pieces, whole, abs_tol=1e-4)
    assert {file.name for file in tmp_path.iterdir()} == {f"whole.{suffix}", f"pieces.{suffix}"}


def test_a_failure_midway_leaves_the_older_file(
    run: Run, model: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "next.parquet"
    run("recommend", model, log, "-k", 3, "-o", output)
    before = output.read_bytes()
    monkeypatch.setattr("gru4rec.serving.answers._ROWS_AT_ONCE", 30)
    answered: list[int] = []

    def fail(*args: Any) -> None:
        answered.append(1)
        if len(answered) > 3:
            raise g4r.DataError("the disk of the log broke")

    monkeypatch.setattr("gru4rec.serving.answers.answer_table", _after(fail))
    result = run("recommend", model, log, "-k", 2, "-o", output)
    assert result.exit_code == 2
    assert "the disk of the log broke" in result.stderr
    assert output.read_bytes() == before
    assert list(tmp_path.iterdir()) == [output]


def _after(first: Callable[..., None]) -> Callable[..., pl.DataFrame]:
    from gru4rec.serving.answers import answer_table

    def both(*args: Any) -> pl.DataFrame:
        first()
        return answer_table(*args)

    return both


def test_explain_adds_the_reason_and_the_clicks_passed_over(
    run: Run, model: Path, words: Path
) -> None:
    rows = rows_of(run("recommend", model, words, "-k", 1, "--explain"))
    assert [(row["session_id"], row["reason"], row["unknown"]) for row in rows] == [
        ("nora", "model", 0), ("zoe", "popularity", 1), ("adam", "model", 1),
    ]  # fmt: skip


def test_a_long_run_says_how_far_it_is(
    run: Run, model: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gru4rec.cli.progress._LINE_SECONDS", -1.0)
    result = run("recommend", model, log, "-k", 3, "-o", tmp_path / "next.csv")
    sessions = pl.read_csv(tmp_path / "next.csv")["session_id"].n_unique()
    assert f"{sessions:,} sessions, " in result.stderr


def test_the_log_itself_is_not_written_over(model: Path, log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "log.parquet"
    shutil.copy(log, copy)
    before = copy.read_bytes()
    (tmp_path / "link.parquet").symlink_to(copy)
    for clicks in (copy, tmp_path, tmp_path / "lo*.parquet"):
        for output in (copy, tmp_path / "." / "log.parquet", tmp_path / "link.parquet"):
            command = ["recommend", str(model), str(clicks), "-o", str(output)]
            result = CliRunner().invoke(main, command)
            assert result.exit_code == 2
            assert "would replace" in result.stderr
            assert len(result.stderr.splitlines()) == 1
    assert copy.read_bytes() == before
