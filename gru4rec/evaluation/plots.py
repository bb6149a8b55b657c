"""Draw tables of an evaluation, a training and a session as SVG pictures."""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from gru4rec.extras import import_extra
from gru4rec.schema import ITEM_ID

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by all kinds of colour vision (Okabe & Ito, 2008).
_COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999",
)  # fmt: skip
_NAMES = {"recall": "Recall", "mrr": "MRR", "ndcg": "NDCG"}
_INCHES = 4.2


def comparison(table: pl.DataFrame, *, k: int) -> str:
    """Recall@k and MRR@k of each recommender with their intervals, the best on top."""

    def draw(axes: "Axes", metric: str) -> None:
        rows = table.filter(metric=metric, k=k).sort("value")
        places = range(rows.height)
        values, errors = _with_errors(rows)
        axes.errorbar(values, places, xerr=errors, fmt="o", color=_COLOURS[0], capsize=3)
        axes.set_yticks(places, rows["recommender"].to_list())
        axes.set_title(f"{_NAMES[metric]}@{k}, 95 % intervals")
        axes.margins(y=0.1)
        axes.grid(axis="x", alpha=0.3)

    count = table["recommender"].n_unique()
    return _picture(["recall", "mrr"], draw, height=1 + 0.32 * count)


def curves(table: pl.DataFrame) -> str:
    """Recall@k, MRR@k and NDCG@k over k, a line for each recommender."""

    def draw(axes: "Axes", metric: str) -> None:
        for colour, name, rows in _by_recommender(table.filter(metric=metric)):
            rows = rows.sort("k")
            axes.plot(rows["k"], rows["value"], marker=".", color=colour, label=name)
        axes.set_xscale("log")
        ks = table["k"].drop_nulls().unique().sort().to_list()
        axes.set_xticks(ks, [str(k) for k in ks])
        axes.minorticks_off()
        axes.set_xlabel("k")
        axes.set_title(f"{_NAMES[metric]}@k")
        axes.grid(alpha=0.3)

    return _picture(["recall", "mrr", "ndcg"], draw, legend=True)


def slices(table: pl.DataFrame, by: str, *, k: int) -> str:
    """Recall@k and MRR@k in each slice by one property, with intervals; empty slices left out."""
    table = table.filter(pl.col("slice").str.starts_with(f"{by} "), pl.col("num_targets") > 0)
    parts = table["slice"].unique(maintain_order=True).to_list()

    def draw(axes: "Axes", metric: str) -> None:
        found = list(_by_recommender(table.filter(metric=metric, k=k)))
        for number, (colour, name, rows) in enumerate(found):
            shift = 0.4 * (number / max(1, len(found) - 1) - 0.5)
            values, errors = _with_errors(rows)
            places = [parts.index(part) + shift for part in rows["slice"]]
            axes.errorbar(places, values, yerr=errors, fmt="o", ms=4, color=colour, label=name)
        axes.set_xticks(range(len(parts)), [part.removeprefix(f"{by} ") for part in parts])
        axes.set_title(f"{_NAMES[metric]}@{k} by {by}")
        axes.grid(axis="y", alpha=0.3)

    return _picture(["recall", "mrr"], draw, legend=True, width=1.5)


def history(epochs: Sequence[dict[str, float]]) -> str:
    """The loss of each epoch and, if measured, Recall@20 and MRR@20 on the validation sessions."""
    shown = [name for name in ("loss", "recall@20", "mrr@20") if name in epochs[0]]

    def draw(axes: "Axes", name: str) -> None:
        axes.plot(
            [epoch["epoch"] for epoch in epochs],
            [epoch[name] for epoch in epochs],
            marker="o",
            color=_COLOURS[0],
        )
        axes.set_xlabel("epoch")
        axes.set_title(name if name == "loss" else f"validation {name}")
        axes.grid(alpha=0.3)

    return _picture(shown, draw)


def session(table: pl.DataFrame) -> str:
    """What each click of a session does, as `inspection.explain` tells."""
    shown = [name for name in ("influence", "change", "reset", "update") if name in table.columns]
    labels = [f"{row['position']}  {row[ITEM_ID]}" for row in table.to_dicts()]

    def draw(axes: "Axes", name: str) -> None:
        values = table[name].fill_null(0.0)
        axes.barh(range(table.height), values, color=_COLOURS[0 if name == "influence" else 5])
        axes.set_yticks(range(table.height), labels if name == shown[0] else [""] * len(labels))
        axes.invert_yaxis()
        axes.set_title(name)
        axes.grid(axis="x", alpha=0.3)

    return _picture(shown, draw, height=1 + 0.3 * table.height, width=0.75)


def _with_errors(rows: pl.DataFrame) -> tuple[Any, Any]:
    """Values, and how far their intervals reach down and up; rounding may bring that below 0."""
    values, low, high = (rows[name].to_numpy() for name in ("value", "low", "high"))
    # As lists: Matplotlib tries to make a number of an array of one, of which NumPy warns.
    return values, [(values - low).clip(0).tolist(), (high - values).clip(0).tolist()]


def _by_recommender(table: pl.DataFrame) -> list[tuple[str, str, pl.DataFrame]]:
    names = table["recommender"].unique(maintain_order=True)
    return [
        (_COLOURS[number % len(_COLOURS)], name, table.filter(recommender=name))
        for number, name in enumerate(names)
    ]


def _picture(
    panels: Sequence[str],
    draw: Callable[["Axes", str], None],
    *,
    height: float = 3.2,
    width: float = 1.0,
    legend: bool = False,
) -> str:
    """Panels beside each other as SVG text."""
    import_extra("matplotlib", extra="report")
    import matplotlib
    from matplotlib.figure import Figure

    look: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "gru4rec", "font.size": 9, "axes.titlesize": 10,
        "font.family": "sans-serif", "axes.spines.top": False, "axes.spines.right": False,
        "text.parse_math": False,  # ids and names may hold dollar signs
    }  # fmt: skip
    with matplotlib.rc_context(look):
        figure = Figure(figsize=(_INCHES * width * len(panels), height), layout="constrained")
        for axes, panel in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            draw(axes, panel)
        if legend:
            _legend(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _legend(figure: "Figure") -> None:
    lines, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=6, frameon=False)
