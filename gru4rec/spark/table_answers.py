"""Answer tables of whole sessions in a worker, which loads the recommender once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from gru4rec.clicks import read_clicks
from gru4rec.errors import import_extra
from gru4rec.layout import META
from gru4rec.recommenders import Recommender, load
from gru4rec.serving import ListRules
from gru4rec.sessions import Prefixes

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Answers tables of Arrow: clicks in, the best next items out; for `map_batches` and its like.

    Called with a table that has each of its sessions whole, it returns what `Recommender.recommend`
    does: session_id, rank, item_id and score, and with `explain` reason and unknown. A process
    loads the recommender at the first call, from a folder that it sees.
    """

    __name__ = "answers"  # Ray wraps an instance as it does a function

    checkpoint: str | Path
    """The folder of the recommender."""
    k: int = 20
    """Items for each session."""
    session_col: str | None = None
    """Column of the session id; None for the usual names."""
    item_col: str | None = None
    """Column of the item id."""
    time_col: str | None = None
    """Column of the time."""
    exclude_clicked: bool = False
    """Leave out the items of the session itself."""
    allow: Sequence[object] | None = None
    """Recommend only these items."""
    deny: Sequence[object] = ()
    """Recommend none of these."""
    rules: ListRules | None = None
    """What a list is to be, besides."""
    explain: bool = False
    """Say how an answer came about."""
    device: str = "auto"
    """Where a model computes."""
    drop_invalid: bool = False
    """Drop invalid rows instead of refusing the table."""

    def __call__(self, table: "pa.Table") -> "pa.Table":
        """Answer a table. Raise DataError and CheckpointError as `read_clicks` and `load` do."""
        pa: Any = import_extra("pyarrow", extra="spark")
        log = read_clicks(
            table, session_col=self.session_col, item_col=self.item_col, time_col=self.time_col,
            drop_invalid=self.drop_invalid, also=self.recommender().extra_columns,
        )  # fmt: skip
        answers = pl.concat(self.pieces(log)).to_arrow()
        narrow = {pa.large_string(): pa.string()}  # as tables of other makers have it
        return answers.cast(
            pa.schema([(one.name, narrow.get(one.type, one.type)) for one in answers.schema])
        )

    def pieces(self, clicks: Prefixes) -> Iterator[pl.DataFrame]:
        """Yield the answers to clicks as `read_clicks` has them, some sessions at a time."""
        yield from self.recommender().recommend_in_pieces(
            clicks, self.k, explain=self.explain, exclude_clicked=self.exclude_clicked,
            allow=self.allow, deny=self.deny, rules=self.rules,
        )  # fmt: skip

    def recommender(self) -> Recommender:
        """Return the recommender, which this process loads once. Raise CheckpointError."""
        meta = Path(self.checkpoint) / META
        written = meta.stat().st_mtime_ns if meta.exists() else 0
        return _loaded(str(self.checkpoint), written, self.device)


@lru_cache(maxsize=1)
def _loaded(checkpoint: str, written: int, device: str) -> Recommender:
    """Load a checkpoint that was written at a time."""
    return load(checkpoint, device=device)
