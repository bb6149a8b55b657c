"""Say what each way of a backtest comes to over all of its steps."""

import polars as pl


def means_over_steps(table: pl.DataFrame) -> pl.DataFrame:
    """Return what the ways of a table of `backtest` come to: a row per way, metric and k.

    Columns: way, metric, k, value (mean over all targets of all steps, null without any),
    num_targets, seconds (of a step after the first, which all ways begin with; of a single step its
    own).
    """
    weight = pl.col("num_targets")
    mean = pl.when(weight.sum() > 0).then((pl.col("value") * weight).sum() / weight.sum())
    means = table.group_by("way", "metric", "k", maintain_order=True).agg(
        mean.alias("value"), weight.sum()
    )
    is_later = (pl.col("step") > pl.col("step").min()) | (pl.col("step").n_unique() == 1)
    spent = table.filter(is_later).unique(["way", "step"]).group_by("way")
    return means.join(spent.agg(pl.col("seconds").mean()), on="way", maintain_order="left")
