"""Tell where sessions begin among clicks that stand session after session."""

import polars as pl

from gru4rec.schema import SESSION_ID

is_first = (pl.col(SESSION_ID) != pl.col(SESSION_ID).shift(1)).fill_null(True)
"""Whether a click is the first of its session. A window over ids would be slower."""
