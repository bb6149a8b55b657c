"""A log in parts, for recommenders that learn one after the other."""

import polars as pl
import pytest


@pytest.fixture(scope="module")
def parts(log) -> list[pl.DataFrame]:
    """The log in four parts, session after session, and items that only the last two have."""
    ids = log["session_id"].unique(maintain_order=True)
    cuts = [ids[:100], ids[100:140], ids[140:170], ids[170:]]
    found = [log.filter(pl.col("session_id").is_in(cut.implode())) for cut in cuts]
    renamed = pl.when(pl.col("item_id").str.ends_with("7")).then(pl.col("item_id") + "-new")
    new = renamed.otherwise(pl.col("item_id")).alias("item_id")
    return [found[0], found[1], *(part.with_columns(new) for part in found[2:])]
