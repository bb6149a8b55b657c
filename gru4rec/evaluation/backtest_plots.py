"""Draw a table of a backtest over time as SVG pictures."""

import math
from typing import TYPE_CHECKING

import polars as pl

from gru4rec.evaluation.plots import METRIC_NAMES, colours, pictures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDE, _HIGH = 1.6, 3.0
_MARKS = 6  # steps that bear their time below a picture, at most
_FAR_APART = 20  # times the least seconds, from which they are drawn by their logarithms


def figures_over_time(table: pl.DataFrame, *, k: int) -> list[str]:
    """Draw Recall@k and MRR@k of all targets, a line with its interval for each way."""

    def draw(axes: "Axes", metric: str) -> None:
        rows = table.filter(metric=f"{metric}_all", k=k)
        _draw_lines(axes, rows, "value")
        for name, colour in colours(table, "way").items():
            of_way = rows.filter(way=name)
            axes.fill_between(
                of_way["start"].to_numpy(), of_way["low"].to_numpy(), of_way["high"].to_numpy(),
                color=colour, alpha=0.13, linewidth=0,
            )  # fmt: skip
        axes.set_title(f"{METRIC_NAMES[metric]}@{k}, 95 % intervals")

    return pictures(["recall", "mrr"], draw, height=_HIGH, width=_WIDE)


def costs_over_time(table: pl.DataFrame) -> list[str]:
    """Draw the seconds that each way learned at each step, and its share of unknown targets.

    At a step at which a way learned nothing there is no point of its seconds.
    """
    steps = table.unique(["way", "step"], maintain_order=True)

    def draw(axes: "Axes", panel: str) -> None:
        if panel == "share_unknown":
            _draw_lines(axes, steps, panel)
            axes.set_title("share of targets on unknown items")
            axes.set_ylim(bottom=0)
            return
        spent = steps.with_columns(pl.when(pl.col(panel) > 0).then(panel))
        _draw_lines(axes, spent, panel)
        axes.set_title("seconds of learning")
        least, most = spent[panel].min(), spent[panel].max()
        if least is not None and most > _FAR_APART * least:  # type: ignore[operator]
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
        else:
            axes.set_ylim(bottom=0)

    return pictures(["seconds", "share_unknown"], draw, height=_HIGH, width=_WIDE)


def _draw_lines(axes: "Axes", rows: pl.DataFrame, column: str) -> None:
    """Draw a line for each way, the first the broadest: one that lies on another shows."""
    names = colours(rows, "way")
    for place, (name, colour) in enumerate(names.items()):
        of_way = rows.filter(way=name).sort("start")
        width = 1.2 + 1.2 * (len(names) - 1 - place) / max(1, len(names) - 1)
        axes.plot(
            of_way["start"].to_numpy(), of_way[column].to_numpy(), color=colour, linewidth=width,
            marker="o", markersize=2.2 + width,
        )  # fmt: skip
    starts = rows["start"].unique().sort()
    marked = starts.gather_every(math.ceil(len(starts) / _MARKS))
    form = "%Y-%m-%d" if starts.dt.time().n_unique() == 1 else "%m-%d %H:%M"
    axes.set_xticks(marked.to_numpy(), marked.dt.to_string(form).to_list())
    axes.grid(alpha=0.3)
