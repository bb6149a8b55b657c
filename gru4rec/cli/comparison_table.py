"""An evaluation as a table for people: a row per recommender, a column per metric and cut-off."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import click
import polars as pl

_STAR = "*"
_GAP = "  "
_ALL = "_all"
_BEST_IS_LARGEST = ("recall", "mrr", "ndcg")


class _Column(NamedTuple):
    """What stands under one title: a metric at a cut-off, or its difference to a recommender."""

    metric: str
    k: int | None
    to: str | None = None

    @property
    def title(self) -> str:
        """What stands over it."""
        if self.to is not None:
            return f"vs {self.to}"
        return self.metric if self.k is None else f"{self.metric}@{self.k}"


def comparison_text(
    table: pl.DataFrame, *, against: str | None = None, room: float = math.inf
) -> str:
    """Return the table of `evaluate` as text: three digits, ± half of the 95 % interval's width.

    The largest recall, MRR and NDCG of each column are bold and have a star; for other metrics
    more is not better. With `against` the difference stands to the right of each figure. Each slice
    with targets is a block of rows. Columns that do not fit into `room` characters come below the
    others. `recall_all`, … are left out where every target is known: there they equal `recall`, ….
    """
    rows = [{"slice": "all", **row} for row in table.rows(named=True)]
    if _knows_every_target(rows):
        rows = [row for row in rows if not row["metric"].endswith(_ALL)]
    columns = list(dict.fromkeys(column for row in rows for column in _columns_of(row, against)))
    cells = _cells(rows, against)
    texts = [texts for block in cells.values() for texts in block.values()]
    widths = {
        column: max(len(column.title), *(len(text.get(column, "")) for text in texts))
        for column in columns
    }
    margin = max(len(row["recommender"]) for row in rows)
    parts = _that_fit(columns, widths, room - margin)
    lines = [line for part in parts for line in (*_lines(part, cells, rows, widths, margin), "")]
    return "\n".join([*lines, _notes(rows)])


def _knows_every_target(rows: Sequence[Mapping[str, Any]]) -> bool:
    counts = {
        (row["recommender"], row["metric"]): row["num_targets"]
        for row in rows
        if row["slice"] == "all"
    }
    return all(
        counts[name, metric.removesuffix(_ALL)] == count for (name, metric), count in counts.items()
    )


def _columns_of(row: Mapping[str, Any], against: str | None) -> Iterator[_Column]:
    """The columns that a row of the long table fills."""
    yield _Column(row["metric"], row["k"])
    if against is not None:
        yield _Column(row["metric"], row["k"], to=against)


def _cells(
    rows: Sequence[Mapping[str, Any]], against: str | None
) -> dict[str, dict[str, dict[_Column, str]]]:
    """The text of each cell by slice, recommender and column; slices without targets left out."""
    best = _best(rows)
    cells: dict[str, dict[str, dict[_Column, str]]] = {}
    for row in rows:
        if row["value"] is None:
            continue
        texts = cells.setdefault(row["slice"], {}).setdefault(row["recommender"], {})
        column, *difference = _columns_of(row, against)
        figure = _figure(row["value"], row.get("low"), row.get("high"))
        is_best = round(row["value"], 3) == best.get((row["slice"], column))
        texts[column] = figure + _STAR * is_best
        if difference and row["recommender"] != against:
            bounds = row.get("difference_low"), row.get("difference_high")
            texts[difference[0]] = _figure(row["difference"], *bounds, sign="+")
    return cells


def _best(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, _Column], float]:
    """The best value as it is shown, by slice and column, where there is more than one."""
    values: dict[tuple[str, _Column], list[float]] = {}
    for row in rows:
        if row["value"] is not None and row["metric"].removesuffix(_ALL) in _BEST_IS_LARGEST:
            place = row["slice"], _Column(row["metric"], row["k"])
            values.setdefault(place, []).append(round(row["value"], 3))
    return {place: max(shown) for place, shown in values.items() if len(shown) > 1}


def _figure(value: float, low: float | None, high: float | None, *, sign: str = "") -> str:
    bounds = "" if low is None or high is None else f" ±{(high - low) / 2:.3f}"
    return f"{value:{sign}.3f}{bounds}"


def _that_fit(
    columns: Iterable[_Column], widths: Mapping[_Column, int], room: float
) -> Iterator[list[_Column]]:
    """Cut columns into parts that fit.

    A metric is not cut if it fits into one part; a figure stays with its difference.
    """

    def width(columns: Iterable[_Column]) -> int:
        return sum(len(_GAP) + widths[column] for column in columns)

    part: list[_Column] = []
    for _, group in groupby(columns, lambda column: column.metric):
        metric = list(group)
        figures = [list(figure) for _, figure in groupby(metric, lambda column: column.k)]
        for piece in [metric] if width(metric) <= room else figures:
            if part and width([*part, *piece]) > room:
                yield part
                part = []
            part = [*part, *piece]
    yield part


def _lines(
    columns: Sequence[_Column],
    cells: Mapping[str, Mapping[str, Mapping[_Column, str]]],
    rows: Sequence[Mapping[str, Any]],
    widths: Mapping[_Column, int],
    margin: int,
) -> Iterator[str]:
    """The lines of some columns: their titles, then slice by slice the recommenders."""

    def line(name: str, texts: Iterable[tuple[_Column, str]]) -> str:
        padded = (
            click.style(text, bold=True) + " " * (widths[column] - len(text))
            if text.endswith(_STAR)
            else text.ljust(widths[column])
            for column, text in texts
        )
        return _GAP.join([name.ljust(margin), *padded]).rstrip()

    titles = line("", ((column, column.title) for column in columns))
    yield titles
    yield "-" * len(titles)
    for name, block in cells.items():
        if not any(column in texts for texts in block.values() for column in columns):
            continue
        if name != "all":
            yield ""
            yield f"{name}, {_range(_targets(rows, name).values())} targets"
        for recommender, texts in block.items():
            yield line(recommender, ((column, texts.get(column, "")) for column in columns))


def _targets(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, int]:
    """The known targets in a slice, by recommender: those of its first metric."""
    counts: dict[str, int] = {}
    for row in rows:
        if row["slice"] == name and not row["metric"].endswith(_ALL):
            counts.setdefault(row["recommender"], row["num_targets"])
    return counts


def _range(counts: Collection[int]) -> str:
    least, most = min(counts), max(counts)
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


def _notes(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line: what was measured on, and what the marks say."""
    unknown = {row["recommender"]: row["num_unknown"] for row in rows}
    counts = {
        name: f"{targets:,} targets, {unknown[name]:,} clicks on unknown items"
        for name, targets in _targets(rows, "all").items()
    }
    if len(set(counts.values())) == 1:
        notes = [next(iter(counts.values()))]
    else:
        notes = [f"{name}: {count}" for name, count in counts.items()]
    if "low" in rows[0]:
        notes.append("±: half of the 95 % interval")
    if "difference" in rows[0]:
        notes.append("vs: difference")
    if _best(rows):
        notes.append(f"{_STAR}: best")
    return "; ".join(notes)
