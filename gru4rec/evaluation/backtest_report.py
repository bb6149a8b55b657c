"""A backtest as one page of HTML."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from gru4rec.clicks import ClickSource, read_clicks
from gru4rec.config import Config
from gru4rec.evaluation import backtest_plots, plots
from gru4rec.evaluation.inspection import flat_values
from gru4rec.evaluation.page import check_packages, rendered, row_of_log, sources, text_of
from gru4rec.evaluation.step_means import means_over_steps
from gru4rec.evaluation.upkeep import WAYS


def backtest_page(
    table: pl.DataFrame,
    clicks: ClickSource,
    *,
    train: str,
    every: str,
    test: str | None = None,
    config: Config | None = None,
    device: str = "auto",
) -> str:
    """Return a page of HTML about the table of `backtest`, whose log and keywords the others are.

    It has the means over steps, pictures over time, data and settings. Raise MissingExtraError
    without matplotlib and Jinja2.
    """
    check_packages()
    colours = plots.colours(table, "way")
    ks = table["k"].unique().sort().to_list()
    config = config if config is not None else Config()
    asked = {"train": train, "every": every, "test": test or every, "device": device}
    return rendered(
        "backtest.html.jinja",
        colours=colours,
        asked=asked,
        steps=table["step"].n_unique(),
        first=table["start"].min(),
        last=table["start"].max(),
        ways={name: WAYS.get(name, "fitted anew at each step") for name in colours},
        titles=list(_titles(ks)),
        rows=list(_rows(table)),
        figures=[sources(backtest_plots.figures_over_time(table, k=k)) for k in ks],
        costs=sources(backtest_plots.costs_over_time(table)),
        data=[row_of_log("all", read_clicks(clicks).collect())],
        settings=[
            [name, text_of(value)]
            for name, value in [*asked.items(), *flat_values(config.to_dict())]
        ],
    )


def _titles(ks: list[int]) -> Iterator[str]:
    for k in ks:
        yield from (f"Recall@{k}", f"MRR@{k}")
    for k in ks:
        yield from (f"Recall@{k} of known", f"MRR@{k} of known")
    yield from ("targets", "on unknown items", "seconds a step")


def _rows(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The name of each way and what it comes to over all steps, the best marked."""
    means = means_over_steps(table)
    best = {
        key: value
        for *key_parts, value in means.group_by("metric", "k")
        .agg(pl.col("value").max())
        .iter_rows()
        for key in [tuple(key_parts)]
    }
    for name in means["way"].unique(maintain_order=True):
        of_way = means.filter(way=name).sort("k").to_dicts()
        figures = []
        for suffix in ("_all", ""):
            for row in (row for row in of_way if row["metric"].endswith("_all") == bool(suffix)):
                value = row["value"]
                is_best = value is not None and value == best[row["metric"], row["k"]]
                text = "" if value is None else f"{value:.4f}"
                figures.append({"value": text, "kind": "best" if is_best else ""})
        counts = {row["metric"]: row["num_targets"] for row in of_way}
        unknown = 1 - counts["recall"] / counts["recall_all"] if counts["recall_all"] else 0.0
        figures += [
            {"value": f"{counts['recall_all']:,}"},
            {"value": f"{unknown:.2%}"},
            {"value": f"{of_way[0]['seconds']:,.1f}"},
        ]
        yield {"name": name, "figures": figures}
