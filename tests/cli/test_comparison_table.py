"""The table of an evaluation for people, from figures made by hand."""

from typing import Any

import click
import polars as pl

from gru4rec.cli.comparison_table import comparison_text


def row(name: str, metric: str, k: int | None, value: float | None, **more: Any) -> dict[str, Any]:
    """A row of the long table: 1,200 targets, an interval of ± 0.01 unless told."""
    bounds = {"low": None, "high": None} if value is None else {
        "low": value - 0.01, "high": value + 0.01
    }  # fmt: skip
    counts = {"num_targets": 1200, "num_unknown": 0}
    given = {"recommender": name, "metric": metric, "k": k, "value": value}
    return {**given, **counts, **bounds, **more}


def text_of(rows: list[dict[str, Any]], **asked: Any) -> list[str]:
    """The lines of the table, without bold."""
    table = pl.DataFrame(rows, infer_schema_length=None)
    return click.unstyle(comparison_text(table, **asked)).splitlines()


TWO = [
    row("gru4rec", "recall", 5, 0.25),
    row("gru4rec", "recall", 20, 0.5),
    row("gru4rec", "recall_all", 5, 0.25),
    row("vstan", "recall", 5, 0.375),
    row("vstan", "recall", 20, 0.4),
    row("vstan", "recall_all", 5, 0.375),
]


def test_each_recommender_is_a_row_and_the_best_of_a_column_has_a_star() -> None:
    assert text_of(TWO) == [
        "         recall@5       recall@20",
        "---------------------------------",
        "gru4rec  0.250 ±0.010   0.500 ±0.010*",
        "vstan    0.375 ±0.010*  0.400 ±0.010",
        "",
        "1,200 targets, 0 clicks on unknown items; ±: half of the 95 % interval; *: best",
    ]


def test_the_best_is_bold_too() -> None:
    text = comparison_text(pl.DataFrame(TWO))
    assert text.count("\x1b[1m") == 2
    assert click.style("0.500 ±0.010*", bold=True) in text


def test_equal_figures_are_best_together_and_one_recommender_alone_is_not() -> None:
    rows = [row("a", "mrr", 5, 0.1234), row("b", "mrr", 5, 0.1231), row("c", "mrr", 5, 0.1)]
    assert [line.split()[-1] for line in text_of(rows)[2:5]] == ["±0.010*", "±0.010*", "±0.010"]
    assert text_of(rows[:1])[2] == "a  0.123 ±0.010"


def test_without_intervals_there_is_no_plus_or_minus() -> None:
    rows = [{key: value for key, value in line.items() if key not in ("low", "high")}
            for line in TWO]  # fmt: skip
    lines = text_of(rows)
    assert lines[2:4] == ["gru4rec  0.250     0.500*", "vstan    0.375*    0.400"]
    assert lines[-1] == "1,200 targets, 0 clicks on unknown items; *: best"


def test_metrics_of_which_more_is_not_better_have_no_star() -> None:
    bare = {"low": None, "high": None}
    rows = [
        row(name, metric, k, value, **bare)
        for name, value in (("a", 0.5), ("b", 0.25))
        for metric, k in (("coverage", 5), ("popularity", 5), ("tie_rate", None))
    ]
    lines = text_of(rows)
    assert lines[0].split() == ["coverage@5", "popularity@5", "tie_rate"]
    assert lines[2].split() == ["a", "0.500", "0.500", "0.500"]


def test_a_recommender_that_does_not_know_all_targets_shows_what_counts_them_as_missed() -> None:
    rows = [
        row("a", "recall", 5, 0.5, num_targets=900, num_unknown=310),
        row("a", "recall_all", 5, 0.375, num_unknown=310),
        row("b", "recall", 5, 0.25),
        row("b", "recall_all", 5, 0.25),
    ]
    lines = text_of(rows)
    assert lines[0].split() == ["recall@5", "recall_all@5"]
    assert lines[2].split() == ["a", "0.500", "±0.010*", "0.375", "±0.010*"]
    assert lines[-1].startswith(
        "a: 900 targets, 310 clicks on unknown items; b: 1,200 targets, 0 clicks on unknown items;"
    )


def test_a_difference_stands_to_the_right_of_its_figure() -> None:
    rows = [
        row("a", "mrr", 5, 0.3, difference=0.1, difference_low=0.08, difference_high=0.12),
        row("b", "mrr", 5, 0.2, difference=0.0, difference_low=0.0, difference_high=0.0),
        row("c", "mrr", 5, 0.1, difference=-0.1, difference_low=-0.1, difference_high=-0.1),
    ]
    lines = text_of(rows, against="b")
    assert lines[:5] == [
        "   mrr@5          vs b",
        "----------------------",
        "a  0.300 ±0.010*  +0.100 ±0.020",
        "b  0.200 ±0.010",
        "c  0.100 ±0.010   -0.100 ±0.000",
    ]
    assert "vs: difference" in lines[-1]


def test_each_slice_with_targets_is_a_block_with_its_own_best() -> None:
    rows = [
        row(name, "mrr", 5, value, slice=part, num_targets=count)
        for part, count, values in (
            ("all", 1200, (0.5, 0.25)),
            ("length 2", 1000, (0.25, 0.5)),
            ("length 3", 0, (None, None)),
        )
        for name, value in zip(("a", "b"), values, strict=True)
    ]  # fmt: skip
    assert text_of(rows)[2:8] == [
        "a  0.500 ±0.010*", "b  0.250 ±0.010", "", "length 2, 1,000 targets",
        "a  0.250 ±0.010", "b  0.500 ±0.010*",
    ]  # fmt: skip
    assert not any("length 3" in line for line in text_of(rows))


def test_columns_that_do_not_fit_come_below_and_a_metric_stays_whole_if_it_can() -> None:
    rows = [row("a", metric, k, 0.5) for metric in ("recall", "mrr") for k in (5, 10)]
    titles = [line.split() for line in text_of(rows, room=50) if "@" in line]
    assert titles == [["recall@5", "recall@10"], ["mrr@5", "mrr@10"]]
    assert all(len(line) <= 50 for line in text_of(rows, room=50)[:-1])
    titles = [line.split() for line in text_of(rows, room=20) if "@" in line]
    assert titles == [["recall@5"], ["recall@10"], ["mrr@5"], ["mrr@10"]]
    assert len([line for line in text_of(rows) if "@" in line]) == 1


def test_a_difference_stays_with_its_figure_where_little_fits() -> None:
    against = {"difference": 0.1, "difference_low": 0.1, "difference_high": 0.1}
    rows = [row("a", "mrr", k, 0.5, **against) for k in (5, 10)]
    titles = [line.split() for line in text_of(rows, room=40, against="b") if "@" in line]
    assert titles == [["mrr@5", "vs", "b"], ["mrr@10", "vs", "b"]]
