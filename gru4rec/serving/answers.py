"""The best items of sessions as the table that is returned."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.schema import ITEM_ID, RANK, SCORE, SESSION_ID
from gru4rec.sessions import Catalog


# S sessions, k items of each
def answer_table(
    session_ids: pl.Series,
    catalog: Catalog,
    scores: Float32Array,
    items: IntArray,
    explained: Mapping[str, pl.Series] = MappingProxyType({}),
) -> pl.DataFrame:
    """Columns session_id, rank (from 1), item_id and score of scores and items [S, k], best first.
    `explained` are more columns, by session [S].

    A score of −∞ is of an item that may not be recommended: it has no row.
    """
    count, k = scores.shape
    session = np.repeat(np.arange(count), k)
    table = pl.DataFrame(
        {
            SESSION_ID: session_ids.gather(session),
            RANK: np.tile(np.arange(1, k + 1), count),
            ITEM_ID: catalog.item_ids.gather(items.ravel()),
            SCORE: scores.ravel(),
            **{name: values.gather(session) for name, values in explained.items()},
        }
    )
    return table if np.isfinite(scores).all() else table.filter(pl.col(SCORE).is_finite())
