"""Let each session begin where its user's last one ended: read the last clicks of earlier ones."""

from dataclasses import replace

import numpy as np

from gru4rec.sessions.arrays import SessionArrays, offsets_of, ranges


def after_earlier(
    sessions: SessionArrays, most: int, *, history: SessionArrays | None = None
) -> SessionArrays:
    """Return the sessions, each behind the last `most` clicks of its user's earlier sessions.

    These are read and are no targets: `leads` counts them. So an encoder begins a session in the
    state that the earlier ones left, as in HGRU4Rec (arXiv 1706.04148), by the weights that carry
    it from click to click. Earlier is what began before it, among these sessions and those of
    `history`. A session without a user stays as it is.
    """
    if not len(sessions.users):
        return sessions
    every = sessions if history is None else history.followed_by(sessions)
    order = np.lexsort((every.began, every.users))  # equal times as they stand
    of_users = every.take(order)
    begins = np.diff(of_users.users, prepend=np.uint64(0)) != 0
    begins[:1] = True
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]  # session of the same user
    starts = of_users.offsets[:-1]
    leads = np.minimum(most, starts - starts[first]) if len(starts) else starts
    leads[of_users.users == 0] = 0
    lengths = leads + of_users.lengths
    clicks, _ = ranges(starts - leads, lengths)
    led = replace(of_users.of_clicks(clicks, offsets_of(lengths)), leads=leads)
    place = np.argsort(order)[len(every) - len(sessions) :]
    of_sessions = ("session_ids", "unknown", "unknown_targets")
    return replace(led.take(place), **{name: getattr(sessions, name) for name in of_sessions})
