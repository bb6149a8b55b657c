"""What session neighbours say after each click of a log, for a model to learn from.

A model that has seen an item a few times knows little of it; the sessions that have it beside the
same items say more. The model carries what they say into a vector.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from torch import Tensor

from gru4rec.arraytypes import Float16Array, Int32Array, IntArray, Rows
from gru4rec.recommenders.baselines.stan import VSTAN
from gru4rec.sessions import SessionArrays
from gru4rec.training import SoftTargets, TrainingLog

_READ = 10  # clicks of a running session: what was before them weighs next to nothing


class NeighbourTeacher:
    """VSTAN on the sessions of a log, each of which is left out of its own neighbours.

    They speak after about so many `clicks`, always the same ones. They are asked when such a click
    is first taught, in some tenth of a millisecond, and what was said is kept. An item's share is
    that of its score among the best. All sessions are as old.
    """

    def __init__(self, log: TrainingLog, clicks: int) -> None:
        self._sessions = log.sessions
        rows = np.arange(len(log.sessions.items), dtype=np.float64)
        in_order = replace(log.sessions, times=rows, timed=False)
        self._vstan = VSTAN(seconds_per_click=0.0).fit_arrays(in_order, log.catalog, clicks=0)
        self._said = SoftTargets.silent(len(rows), len(log.catalog))
        share = clicks / log.statistics.pairs
        self._open = np.random.default_rng(0).random(len(rows)) < share  # yet to be asked about

    def after(self, clicks: IntArray) -> tuple[Int32Array, Float16Array]:
        """See `SessionNeighbours.after`."""
        new = clicks[self._open[clicks]]
        sessions = self._sessions.sessions_of(new)
        for session, click in zip(sessions.tolist(), new.tolist(), strict=True):
            self._ask(session, click)
        self._open[new] = False
        return self._said.after(clicks)

    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[Rows, Tensor]]:
        """See `SessionNeighbours.score`."""
        return self._vstan.score(sessions, clicks)

    def _ask(self, session: int, click: int) -> None:
        """Keep what is said after a click of a session; nothing if no other has its items."""
        start = max(int(self._sessions.offsets[session]), click + 1 - _READ)
        prefix = self._sessions.items[start : click + 1]
        scores = self._vstan.score_prefix(prefix, 0.0, left_out=session)
        found = np.flatnonzero(scores > 0)  # what is in more clicks than sessions may be below
        count = min(len(found), self._said.items.shape[1])
        if not count:
            return
        best = found[np.argpartition(scores[found], -count)[-count:]]
        self._said.items[click, :count] = best
        self._said.shares[click, :count] = scores[best] / scores[best].sum()
