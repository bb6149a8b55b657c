"""Which items stay in a catalog when those that nobody clicked for long leave it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.clicks import seconds_of
from gru4rec.errors import DataError
from gru4rec.sessions import Catalog, SessionArrays, sketch_of

_1970 = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class KeptItems:
    """What an update keeps of a catalog; the indexes of what is kept close up."""

    items: IntArray
    """The indexes, before, of the items that stay, rising."""
    num_dropped: int
    """How many leave."""
    sketch: str
    """By what the sessions of the update are recognised, see `SeenSessions`: its hashes are of item
    indexes, so that those of older sessions no longer hold."""

    @classmethod
    def of(cls, before: Catalog, grown: Catalog, sessions: SessionArrays, drop_unseen: str) -> Self:
        """Return the items that were clicked within `drop_unseen` ("30d") of the newest click.

        `grown` is the catalog `before` with an update, whose `sessions` have its indexes. Raise
        DataError for a duration that cannot be read, where the times of last clicks are not known,
        and if no more than one of several items would stay.
        """
        seconds = seconds_of(drop_unseen)
        if before.last_click is None:
            raise _lacking(
                drop_unseen,
                "the last click on each item, which this recommender does not know: it learned "
                "clicks without times, or was saved by an earlier version; train again, or leave "
                "it out",
            )
        if grown.last_click is None:
            raise _lacking(
                drop_unseen,
                "times of the new clicks, and they have none; name time_col, or leave it out",
                "time_col",
            )
        items = grown.clicked_within(seconds)
        num_dropped = len(grown) - len(items)
        if num_dropped and len(items) < 2:
            newest = _1970 + timedelta(microseconds=int(grown.last_click.max()))
            raise DataError(
                f"drop_unseen {drop_unseen} leaves 1 of {len(grown)} items, the newest click being "
                f"of {newest:%Y-%m-%d %H:%M}; give a longer time, or check the times",
                mend_with=["drop_unseen"],
            )
        index = np.full(len(grown), -1)
        index[items] = np.arange(len(items))
        return cls(items, num_dropped, sketch_of(sessions.renumbered(index)))


def _lacking(drop_unseen: str, needed: str, *arguments: str) -> DataError:
    return DataError(
        f"drop_unseen {drop_unseen} needs {needed}", mend_with=["drop_unseen", *arguments]
    )
