"""Let each session begin where its user's last one ended: read the last clicks of earlier ones."""

from dataclasses import replace

import numpy as np
import polars as pl

from gru4rec.arraytypes import IntArray
from gru4rec.errors import DataError
from gru4rec.sessions.arrays import SessionArrays, offsets_of, ranges

# S sessions


def after_earlier(
    sessions: SessionArrays, most: int, *, history: SessionArrays | None = None
) -> SessionArrays:
    """Return the sessions, each behind the last `most` clicks of its user's earlier sessions.

    These are read and are no targets: `leads` counts them. So an encoder begins a session in the
    state that the earlier ones left, as in HGRU4Rec (arXiv 1706.04148), by the weights that carry
    it from click to click. Earlier is what ended before it began, among these sessions and those of
    `history`, all of which was before if there are no times. A session without a user stays as it
    is. Raise DataError for a history without users, and if only one of both has times.
    """
    if not len(sessions.users):
        return sessions
    every = sessions if history is None else _before(history, sessions).followed_by(sessions)
    order = np.lexsort((every.ended, every.users))
    by_end, _ = ranges(every.offsets[order], every.lengths[order])  # clicks, by user and end
    ends, leads = _earlier(every, order, most)
    offsets = offsets_of(leads + every.lengths)
    clicks = np.empty(offsets[-1], dtype=np.int64)
    clicks[ranges(offsets[:-1], leads)[0]] = by_end[ranges(ends - leads, leads)[0]]
    clicks[ranges(offsets[:-1] + leads, every.lengths)[0]] = np.arange(len(every.items))
    led = replace(every.of_clicks(clicks, offsets), leads=leads)
    asked = led.take(np.arange(len(every) - len(sessions), len(every)))
    of_sessions = ("session_ids", "unknown", "unknown_targets")
    return replace(asked, **{name: getattr(sessions, name) for name in of_sessions})


def _earlier(sessions: SessionArrays, order: IntArray, most: int) -> tuple[IntArray, IntArray]:
    """Return where the earlier clicks of each session's user end, and how many are read [S].

    The places are among the clicks of all sessions by user and end, as `order` has them.
    """
    count = len(sessions)
    # The ends of sessions, and what each asks at its start; at the same time it asks first.
    users = np.concatenate((sessions.users, sessions.users))
    times = np.concatenate((sessions.began, sessions.ended))
    is_end = np.arange(2 * count) >= count
    in_time = np.lexsort((is_end, times, users))
    ended = np.zeros(2 * count, dtype=np.int64)
    ended[count:] = sessions.lengths
    clicks_before = np.empty(2 * count, dtype=np.int64)
    clicks_before[in_time] = np.cumsum(ended[in_time]) - ended[in_time]
    ends = clicks_before[:count]
    starts = offsets_of(sessions.lengths[order])[:-1]
    of_users = sessions.users[order]
    begins = starts[np.searchsorted(of_users, sessions.users)]  # of the user's first session
    leads = np.minimum(most, ends - begins)
    leads[sessions.users == 0] = 0
    return ends, leads


def _before(history: SessionArrays, sessions: SessionArrays) -> SessionArrays:
    """Return the history as what was before, without the sessions themselves.

    Raise DataError for one that cannot be.
    """
    if not len(history.users):
        raise DataError("the history has no column of users; give the log that has it")
    if history.timed != sessions.timed:
        raise DataError(
            "the history has times and the sessions have none, or the other way round: nobody "
            "knows which came first; give both with their times, or both without"
        )
    keys = ["id", "began"] if history.timed else ["id"]
    same = _keys_of(history).join(_keys_of(sessions), on=keys, how="semi")
    older = history.take(np.setdiff1d(np.arange(len(history)), same["place"].to_numpy()))
    if history.timed:
        return older
    shift = history.ended.max(initial=0) + 1  # rows, as those of `sessions`, from 0 on
    return replace(older, began=older.began - shift, ended=older.ended - shift)


def _keys_of(sessions: SessionArrays) -> pl.DataFrame:
    """Return what a session is known by in both logs."""
    ids = sessions.session_ids.cast(pl.String)
    keys = pl.DataFrame({"id": ids, "began": sessions.began})
    return keys.with_row_index("place")
