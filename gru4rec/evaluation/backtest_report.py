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
    settings = [*asked.items(), *flat_values(config.to_dict())]
    return rendered(
        "backtest.html.jinja",
        colours=colours,
        asked=asked,
        steps=table["step"].n_unique(),
        first=table["start"].min(),
        last=table["start"].max(),
        ways={name: WAYS.get(name, "fitted anew at each step") for name in colours},
        titles=_titles(ks),
        rows=list(_rows(table)),
        figures=[sources(backtest_plots.figures_over_time(table, k=k)) for k in ks],
        costs=sources(backtest_plots.costs_over_time(table)),
        data=[row_of_log("all", read_clicks(clicks).collect())],
        settings=[[name, text_of(value)] for name, value in settings],
    )


def _titles(ks: list[int]) -> list[str]:
    of_all = [f"{name}@{k}" for k in ks for name in ("Recall", "MRR")]
    of_known = [f"{title} of known" for title in of_all]
    return [*of_all, "seconds a step", "targets", "unknown", *of_known]


def _rows(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The name of each way and what it comes to over all steps, in the order of the titles."""
    means = means_over_steps(table)
    best = means.with_columns(best=pl.col("value") == pl.col("value").max().over("metric", "k"))
    for name in means["way"].unique(maintain_order=True):
        of_way = best.filter(way=name).sort("k", maintain_order=True).to_dicts()
        of_all = [row for row in of_way if row["metric"].endswith("_all")]
        of_known = [row for row in of_way if row not in of_all]
        every, known = of_all[0]["num_targets"], of_known[0]["num_targets"]
        unknown = f"{1 - known / every:.1%}" if every else ""
        counts = [f"{of_way[0]['seconds']:,.2f}", f"{every:,}", unknown]
        figures = [*map(_figure, of_all), *({"value": text} for text in counts)]
        yield {"name": name, "figures": [*figures, *map(_figure, of_known)]}


def _figure(row: dict[str, Any]) -> dict[str, str]:
    """A mean, marked if it is the best; nothing where there was no target."""
    if row["value"] is None:
        return {}
    return {"value": f"{row['value']:.4f}", "kind": "best" if row["best"] else ""}
