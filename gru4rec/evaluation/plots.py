"""Draw tables of an evaluation and of a training as SVG pictures."""

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import polars as pl

from gru4rec.errors import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Told apart by all kinds of colour vision (Okabe & Ito, 2008).
_COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999",
)  # fmt: skip
METRIC_NAMES = {"recall": "Recall", "mrr": "MRR", "ndcg": "NDCG"}
_NO_XML = re.compile(r"[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INCHES = 3.6
_WIDE = 1.35
_ROOM = 0.06  # of the range of points: what a label takes


def colours(table: pl.DataFrame, by: str = "recommender") -> dict[str, str]:
    """Return the colour that each name in a column of a table has in all pictures."""
    names = table[by].unique(maintain_order=True)
    return {name: _COLOURS[number % len(_COLOURS)] for number, name in enumerate(names)}


def comparison(table: pl.DataFrame, *, k: int) -> list[str]:
    """Draw Recall@k and MRR@k of each recommender with their intervals, the best on top."""

    def draw(axes: "Axes", metric: str) -> None:
        rows = table.filter(metric=metric, k=k).sort("value")
        for place, name in enumerate(rows["recommender"]):
            value, error = _with_errors(rows[place])
            axes.errorbar(value, [place], xerr=error, fmt="o", color=of_names[name], capsize=3)
        axes.set_yticks(range(rows.height), [legible(name) for name in rows["recommender"]])
        axes.set_title(f"{METRIC_NAMES[metric]}@{k}, 95 % intervals")
        axes.margins(y=0.1)
        axes.grid(axis="x", alpha=0.3)

    of_names = colours(table)
    height = 0.9 + 0.28 * len(of_names)
    return pictures(["recall", "mrr"], draw, height=height, width=_WIDE)


def curves(table: pl.DataFrame) -> list[str]:
    """Draw Recall@k, MRR@k and NDCG@k over k, a line for each recommender."""

    def draw(axes: "Axes", metric: str) -> None:
        for name, colour in colours(table).items():
            rows = table.filter(metric=metric, recommender=name).sort("k")
            axes.plot(rows["k"], rows["value"], marker=".", color=colour)
        axes.set_xscale("log")
        ks = table["k"].drop_nulls().unique().sort().to_list()
        axes.set_xticks(ks, [str(k) for k in ks])
        axes.minorticks_off()
        axes.set_xlabel("k")
        axes.set_title(f"{METRIC_NAMES[metric]}@k")
        axes.grid(alpha=0.3)

    return pictures(["recall", "mrr", "ndcg"], draw)


def diversity_curves(
    table: pl.DataFrame, varied: Mapping[str, Mapping[str, float]], *, k: int
) -> list[str]:
    """Draw Recall@k and MRR@k against the intra-list diversity at k, with intervals of both.

    `varied` has, by recommender, the rows under rules of diversity, and how much they vary. A line
    joins them in that order.
    """

    def draw(axes: "Axes", metric: str) -> None:
        of_names = colours(table)
        for name, degrees in varied.items():
            points = []
            for row, degree in sorted(degrees.items(), key=itemgetter(1)):
                of_row = table.filter(recommender=row, k=k)
                x, x_error = _with_errors(of_row.filter(metric="intra_list_diversity"))
                y, y_error = _with_errors(of_row.filter(metric=metric))
                style: dict[str, Any] = {"fmt": ".", "color": of_names[name], "elinewidth": 1}
                axes.errorbar(x, y, xerr=x_error, yerr=y_error, **style)
                points.append((degree, x[0], y[0]))
            axes.plot(*zip(*[point[1:] for point in points], strict=True), color=of_names[name])
            for degree, x, y in _apart(points):
                axes.annotate(f"{degree:g}", (x, y), (4, 4), textcoords="offset points")
        axes.set_xlabel(f"intra-list diversity@{k}")
        axes.set_title(f"{METRIC_NAMES[metric]}@{k}, 95 % intervals")
        axes.grid(alpha=0.3)

    return pictures(["recall", "mrr"], draw, width=_WIDE)


def _apart(points: Sequence[tuple[float, ...]]) -> Iterator[tuple[float, ...]]:
    """Yield points (label, x, y) that leave room for their labels, from the first on."""
    reach = [max(values) - min(values) or 1.0 for values in zip(*points, strict=True)][1:]
    shown: list[tuple[float, ...]] = []
    for label, *place in points:
        far = [
            max(abs(a - b) / r for a, b, r in zip(place, other[1:], reach, strict=True)) > _ROOM
            for other in shown
        ]
        if all(far):
            shown.append((label, *place))
            yield shown[-1]


def slices(table: pl.DataFrame, by: str, *, k: int) -> list[str]:
    """Draw Recall@k and MRR@k in each slice by one property, with intervals.

    Empty slices are left out.
    """
    has_targets = (pl.col("num_targets") > 0) & pl.col("metric").is_in(["recall", "mrr"])
    table = table.filter(pl.col("slice").str.starts_with(f"{by} "), has_targets)
    parts = table["slice"].unique(maintain_order=True).to_list()

    def draw(axes: "Axes", metric: str) -> None:
        of_names = colours(table)
        for number, (name, colour) in enumerate(of_names.items()):
            rows = table.filter(metric=metric, k=k, recommender=name)
            shift = 0.4 * (number / max(1, len(of_names) - 1) - 0.5)
            values, errors = _with_errors(rows)
            places = [parts.index(part) + shift for part in rows["slice"]]
            axes.errorbar(places, values, yerr=errors, fmt="o", ms=4, color=colour)
        axes.set_xticks(range(len(parts)), [_short(part.removeprefix(f"{by} ")) for part in parts])
        axes.set_title(f"{METRIC_NAMES[metric]}@{k} by {by}")
        axes.grid(axis="y", alpha=0.3)

    return pictures(["recall", "mrr"], draw, width=_WIDE)


def history(epochs: Sequence[dict[str, float]]) -> list[str]:
    """Draw the loss of each epoch and, if measured, Recall@20 and MRR@20 on validation sessions."""

    def draw(axes: "Axes", name: str) -> None:
        numbers = [epoch["epoch"] for epoch in epochs]
        axes.plot(numbers, [epoch[name] for epoch in epochs], marker="o", color=_COLOURS[0])
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("epoch")
        axes.set_title(name if name == "loss" else f"validation {name}")
        axes.grid(alpha=0.3)

    shown = [name for name in ("loss", "recall@20", "mrr@20") if name in epochs[0]]
    return pictures(shown, draw, height=2.4)


def _short(part: str) -> str:
    """The name of a slice, short enough to stand beside its neighbours."""
    return legible(part.replace(" to ", "-").replace(" or more", "+"))


def legible(text: str) -> str:
    """Return a text with marks for what no picture can hold.

    XML has no control characters and no half of a pair.
    """
    return _NO_XML.sub("\ufffd", text)


def _with_errors(rows: pl.DataFrame) -> tuple[Any, Any]:
    """Values, and how far their intervals reach down and up; rounding may bring that below 0."""
    values, low, high = (rows[name].to_numpy() for name in ("value", "low", "high"))
    # As lists: Matplotlib tries to make a number of an array of one, of which NumPy warns.
    return values, [(values - low).clip(0).tolist(), (high - values).clip(0).tolist()]


def pictures(
    panels: Sequence[str],
    draw: Callable[["Axes", str], None],
    *,
    height: float = 2.8,
    width: float = 1.0,
) -> list[str]:
    """Return a picture as SVG text for each panel; `height` in inches, `width` in usual ones."""
    import_extra("matplotlib", extra="report")
    import matplotlib
    from matplotlib.figure import Figure

    look: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "gru4rec", "font.size": 9, "axes.titlesize": 10,
        "font.family": "sans-serif", "axes.spines.top": False, "axes.spines.right": False,
        "text.parse_math": False,  # ids and names may hold dollar signs
    }  # fmt: skip
    pictures = []
    with matplotlib.rc_context(look):
        for panel in panels:
            figure = Figure(figsize=(_INCHES * width, height), layout="constrained")
            draw(figure.subplots(), panel)
            text = io.StringIO()
            figure.savefig(text, format="svg", metadata={"Date": None})
            pictures.append(text.getvalue())
    return pictures
