"""`gru4rec evaluate` prints a row per recommender, metric and k, the checkpoint's first."""

import io
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from click.testing import Result
from polars.testing import assert_frame_equal

import gru4rec as g4r

Run = Callable[..., Result]
Refusal = Callable[..., str]

METRICS = ["recall", "mrr", "recall_all", "mrr_all"]


def rows_of(result: Result) -> list[dict[str, Any]]:
    """The list of objects that a successful call printed as JSON."""
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)
    assert isinstance(rows, list)
    return rows


def values_of(rows: list[dict[str, Any]], recommender: str = "gru4rec") -> dict[Any, float]:
    """Value by (metric, k) of one recommender."""
    mine = [row for row in rows if row["recommender"] == recommender]
    return {(row["metric"], row["k"]): row["value"] for row in mine}


@pytest.fixture
def evaluated(run: Run) -> Callable[..., list[dict[str, Any]]]:
    """Calls `gru4rec evaluate --format json`."""
    return lambda *arguments: rows_of(run("evaluate", *arguments, "--format", "json"))


# Rows


def test_json_is_a_list_of_objects(run: Run, model: Path, log: Path) -> None:
    rows = rows_of(run("evaluate", model, log, "-k", 5, "-k", 20, "--format", "json"))
    for row in rows:
        assert row.keys() >= {"recommender", "metric", "k", "value", "num_targets"}
        assert row["num_targets"] == 1095  # 1395 clicks less the first of each of 300 sessions
        assert 0 < row["value"] <= 1
    assert [(row["metric"], row["k"]) for row in rows] == [
        (metric, k) for metric in METRICS for k in (5, 20)
    ]


def test_the_rows_of_the_checkpoint_come_first_then_the_baselines_as_asked_for(
    evaluated: Callable[..., list[dict[str, Any]]], model: Path, log: Path
) -> None:
    baselines = ("--baseline", "markov", "--baseline", "popularity", "--train", log)
    rows = evaluated(model, log, "-k", 5, *baselines)
    assert list(dict.fromkeys(row["recommender"] for row in rows)) == [
        "gru4rec", "markov", "popularity",
    ]  # fmt: skip
    assert len(rows) == 3 * len(METRICS)


def test_the_command_prints_what_the_library_returns(
    evaluated: Callable[..., list[dict[str, Any]]], model: Path, log: Path
) -> None:
    rows = evaluated(model, log, "-k", 3, "--baseline", "markov", "--train", log)
    recommenders = {
        "gru4rec": g4r.load(model, device="cpu"),
        "markov": g4r.Markov().fit(log),
    }
    table = g4r.evaluate(recommenders, log, ks=(3,))
    assert_frame_equal(pl.DataFrame(rows), table, check_dtypes=False, rel_tol=1e-9)


def test_k_is_5_10_and_20_unless_told_and_each_once_in_order(
    evaluated: Callable[..., list[dict[str, Any]]], model: Path, log: Path
) -> None:
    recalls = [row["k"] for row in evaluated(model, log) if row["metric"] == "recall"]
    assert recalls == [5, 10, 20]
    rows = evaluated(model, log, "-k", 7, "-k", 2, "-k", 7)
    assert [row["k"] for row in rows if row["metric"] == "recall"] == [2, 7]


def test_recall_at_the_size_of_the_catalog_is_1(
    evaluated: Callable[..., list[dict[str, Any]]], model: Path, log: Path
) -> None:
    baselines = ("--baseline", "markov", "--baseline", "popularity", "--train", log)
    rows = evaluated(model, log, "-k", 40, *baselines)
    assert [row["value"] for row in rows if row["metric"] == "recall"] == [1.0, 1.0, 1.0]


def test_popularity_and_markov_are_as_counted_by_hand(
    evaluated: Callable[..., list[dict[str, Any]]], train: Run, tmp_path: Path
) -> None:
    # Clicks: a 4, b 3, c 1. After a came b twice and c once, after b came a once.
    (tmp_path / "train.csv").write_text(
        "session,item\n1,a\n1,b\n1,a\n2,a\n2,b\n3,a\n3,c\n4,b\n",
    )
    (tmp_path / "test.csv").write_text("session,item\n9,a\n9,b\n9,a\n9,c\n")
    train(tmp_path / "train.csv", "-o", tmp_path / "model")
    baselines = ("--baseline", "popularity", "--baseline", "markov")
    rows = evaluated(
        tmp_path / "model", tmp_path / "test.csv", "-k", 1, "-k", 2, *baselines,
        "--train", tmp_path / "train.csv",
    )  # fmt: skip
    popularity = values_of(rows, "popularity")  # ranks of b, a, c: 2, 1, 3
    assert popularity["recall", 1] == pytest.approx(1 / 3)
    assert popularity["recall", 2] == pytest.approx(2 / 3)
    assert popularity["mrr", 2] == pytest.approx((1 / 2 + 1) / 3)
    markov = values_of(rows, "markov")  # ranks of b after a, a after b, c after a: 1, 1, 2
    assert markov["recall", 1] == pytest.approx(2 / 3)
    assert markov["mrr", 2] == pytest.approx((1 + 1 + 1 / 2) / 3)


def test_unknown_targets_are_dropped_from_recall_and_missed_in_recall_all(
    evaluated: Callable[..., list[dict[str, Any]]], model: Path, tmp_path: Path
) -> None:
    (tmp_path / "test.csv").write_text(
        "session,item\n1,c00-0001\n1,new\n1,c00-0002\n1,newer\n2,unknown\n2,c00-0001\n"
    )
    rows = evaluated(model, tmp_path / "test.csv", "-k", 40)
    counted = {row["metric"]: row["num_targets"] for row in rows}
    assert counted == {"recall": 1, "mrr": 1, "recall_all": 3, "mrr_all": 3}
    assert {row["num_unknown"] for row in rows} == {3}
    values = values_of(rows)
    assert values["recall", 40] == 1.0
    assert values["recall_all", 40] == pytest.approx(1 / 3)
    assert values["mrr_all", 40] == pytest.approx(values["mrr", 40] / 3)


def test_an_item_that_cannot_be_cast_to_the_type_of_the_catalog_is_unknown(
    evaluated: Callable[..., list[dict[str, Any]]], int_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "test.csv").write_text("session,item\n1,1\n1,two\n1,3\n")
    rows = evaluated(int_model, tmp_path / "test.csv", "-k", 40)
    assert {row["num_unknown"] for row in rows} == {1}
    assert values_of(rows)["recall", 40] == 1.0
    assert values_of(rows)["recall_all", 40] == 0.5


def test_where_filters_the_clicks_and_train_where_the_log_of_the_baselines(
    evaluated: Callable[..., list[dict[str, Any]]], model: Path, tmp_path: Path
) -> None:
    rows = [
        *[(1, item, "test") for item in ("c00-0001", "c00-0002")],
        *[(2, item, "train") for item in ("c00-0001", "c00-0002", "c00-0001")],
        *[(3, item, None) for item in ("c01-0020", "c01-0021")],
    ]
    log = pl.DataFrame(rows, schema=["session_id", "item_id", "split"], orient="row")
    log.write_csv(tmp_path / "split.csv")
    baseline = ("--baseline", "popularity", "--train", tmp_path / "split.csv")
    wheres = ("--where", "split = 'test'", "--train-where", "split = 'train'")
    found = evaluated(model, tmp_path / "split.csv", "-k", 2, *baseline, *wheres)
    assert {row["num_targets"] for row in found} == {1}
    assert (
        values_of(found, "popularity")["mrr", 2] == 0.5
    )  # c00-0001 has two clicks, the target one


def test_where_does_not_touch_the_log_of_the_baselines(
    evaluated: Callable[..., list[dict[str, Any]]], model: Path, log: Path, tmp_path: Path
) -> None:
    (tmp_path / "test.csv").write_text(
        "session_id,item_id,split\n1,c00-0001,test\n1,c00-0002,test\n2,c00-0001,\n2,c00-0002,\n"
    )
    baseline = ("--baseline", "popularity", "--train", log)  # it has no split
    rows = evaluated(model, tmp_path / "test.csv", "--where", "split = 'test'", *baseline)
    assert {row["num_targets"] for row in rows} == {1}


def test_ties_count_against_the_target_unless_told(
    evaluated: Callable[..., list[dict[str, Any]]], model: Path, tmp_path: Path
) -> None:
    (tmp_path / "train.csv").write_text("session,item\n1,c00-0001\n1,c00-0002\n1,c00-0003\n")
    (tmp_path / "test.csv").write_text("session,item\n1,c00-0001\n1,c00-0002\n")
    baseline = ("--baseline", "popularity", "--train", tmp_path / "train.csv")
    mrr = {}
    for ties in ("conservative", "median", "standard"):
        rows = evaluated(model, tmp_path / "test.csv", "-k", 3, "--ties", ties, *baseline)
        mrr[ties] = values_of(rows, "popularity")["mrr", 3]
    assert mrr == {"conservative": pytest.approx(1 / 3), "median": 0.5, "standard": 1.0}
    rows = evaluated(model, tmp_path / "test.csv", "-k", 3, *baseline)
    assert values_of(rows, "popularity")["mrr", 3] == mrr["conservative"]


def test_integer_ids_are_evaluated_too(
    evaluated: Callable[..., list[dict[str, Any]]], int_model: Path, int_log: Path
) -> None:
    assert evaluated(int_model, int_log, "-k", 5)[0]["num_targets"] == 1095


def test_a_log_without_times_is_said_to_be_so_once(
    run: Run, model: Path, clicks: pl.DataFrame, tmp_path: Path
) -> None:
    clicks.drop("timestamp").write_parquet(tmp_path / "log.parquet")
    result = run("evaluate", model, tmp_path / "log.parquet")
    assert result.stderr.count("no time column") == 1


# Formats


def test_csv_and_json_and_files_say_the_same(
    run: Run, model: Path, log: Path, tmp_path: Path
) -> None:
    table = pl.DataFrame(rows_of(run("evaluate", model, log, "--format", "json")))
    csv = run("evaluate", model, log, "--format", "csv").stdout
    assert_frame_equal(pl.read_csv(io.StringIO(csv)), table)
    for suffix, read in (("csv", pl.read_csv), ("json", pl.read_json)):
        path = tmp_path / f"measured.{suffix}"
        result = run("evaluate", model, log, "-o", path)
        assert result.exit_code == 0
        assert result.stdout == ""
        assert_frame_equal(read(path), table)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["measured.csv", "measured.json"]


@pytest.mark.parametrize("options", [(), ("--format", "table")])
def test_a_table_has_a_row_for_each_recommender_and_a_column_for_each_figure(
    run: Run, model: Path, log: Path, options: tuple[str, ...]
) -> None:
    result = run("evaluate", model, log, "-k", 5, "-k", 20, *options)
    assert result.exit_code == 0
    assert result.stderr.count("\n") == result.stderr.count("training log") == 2  # it is the same
    titles, rule, row, empty, notes = result.stdout.splitlines()
    assert titles.split() == ["recall@5", "recall@20", "mrr@5", "mrr@20"]
    assert set(rule) == {"-"}
    assert re.fullmatch(r"gru4rec(  0\.\d{3} ±0\.\d{3}){4}", row)
    assert empty == ""
    assert notes == "1,095 targets, 0 clicks on unknown items; ±: half of the 95 % interval"


def test_a_table_that_goes_to_a_file_is_the_long_one(
    run: Run, model: Path, log: Path, tmp_path: Path
) -> None:
    path = tmp_path / "measured.txt"
    assert run("evaluate", model, log, "-k", 5, "--format", "table", "-o", path).exit_code == 0
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in path.read_text().splitlines()
    ]
    assert lines[0][:5] == ["recommender", "metric", "k", "value", "num_targets"]
    assert [line[:3] for line in lines[2:]] == [["gru4rec", metric, "5"] for metric in METRICS]


# Refusals


def test_a_bad_log_is_refused_and_nothing_is_written(
    refusal: Refusal, model: Path, bad_log: tuple[Path, str], tmp_path: Path
) -> None:
    path, said = bad_log
    assert said in refusal("evaluate", model, path, "-o", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


def test_a_bad_log_for_the_baselines_is_refused(
    refusal: Refusal, model: Path, log: Path, bad_log: tuple[Path, str]
) -> None:
    path, said = bad_log
    assert said in refusal("evaluate", model, log, "--baseline", "markov", "--train", path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-k", 0), ["at least 1"]),
        (("-k", 5, "-k", -1), ["at least 1"]),
        (("--ties", "lucky"), ["'lucky'", "conservative"]),
        (("--baseline", "nonesuch", "--train", "log.csv"), ["'nonesuch'", "markov", "popularity"]),
        (("--device", "tpu"), ["'tpu'"]),
        (("-o", "out.xlsx"), ["out.xlsx", "--format"]),
        (("-o", "no/such/folder/out.csv"), ["cannot write"]),
        (("--where", "nonesuch = 1"), ["nonesuch"]),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_was_given(
    refusal: Refusal, model: Path, log: Path, options: tuple[object, ...], said: list[str]
) -> None:
    error = refusal("evaluate", model, log, *options)
    assert all(text in error for text in said)


@pytest.mark.parametrize("text", ["1,new\n1,newer\n", "1,c00-0001\n2,c00-0002\n"])
def test_a_log_without_a_known_target_is_refused(
    refusal: Refusal, model: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "log.csv").write_text(f"session,item\n{text}")
    assert "two clicks on known items" in refusal("evaluate", model, tmp_path / "log.csv")


def test_a_missing_or_damaged_checkpoint_is_refused(
    refusal: Refusal, model: Path, log: Path, tmp_path: Path
) -> None:
    assert str(tmp_path / "none") in refusal("evaluate", tmp_path / "none", log)
    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "model" / "index.faiss").write_bytes(b"")
    assert str(tmp_path / "model") in refusal("evaluate", tmp_path / "model", log)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_absent_gpu_is_refused(refusal: Refusal, model: Path, log: Path) -> None:
    assert "cuda" in refusal("evaluate", model, log, "--device", "cuda")


def test_what_click_refuses_ends_with_exit_status_2(
    usage_error: Refusal, model: Path, log: Path
) -> None:
    assert "CLICKS" in usage_error("evaluate", model)
    assert "--train" in usage_error("evaluate", model, log, "--baseline", "markov")
    assert "--baseline" in usage_error("evaluate", model, log, "--train", log)
    assert "--format" in usage_error("evaluate", model, log, "--format", "parquet")


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_what_a_report_needs_is_looked_for_before_anything_is_measured(
    refusal: Refusal, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    said = refusal("evaluate", model, tmp_path / "no.csv", "--report", tmp_path / "page.html")
    assert "pip install 'gru4rec[report]'" in said


def test_a_report_is_written_beside_the_table(
    run: Run, model: Path, log: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    asked = ("-k", 3, "--format", "json", "--no-intervals")
    result = run("evaluate", model, log, *asked, "--report", page)
    assert rows_of(result) == rows_of(run("evaluate", model, log, *asked))
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "Why: one session" in page.read_text(encoding="utf-8")
