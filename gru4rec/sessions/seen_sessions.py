"""Tell whether sessions to measure on were known in training, or came before its end."""

import base64
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np
import polars as pl

from gru4rec.arraytypes import UInt64Array
from gru4rec.schema import SESSION_ID, TIMESTAMP
from gru4rec.sessions.arrays import SessionArrays

logger = logging.getLogger(__name__)

_KEPT = 2048


@dataclass(frozen=True)
class SeenSessions:
    """What is kept of a training log to recognise it later; no click can be read from it."""

    times: Mapping[str, str] | None = None
    """First and last time in ISO form; None for a log without times."""
    sketch: str = ""
    """Of the hashes of all sessions the 2,048 smallest, in base 64."""

    @classmethod
    def of(cls, log: pl.LazyFrame, sessions: SessionArrays) -> Self:
        """Return what is kept of a log and its sessions."""
        return cls(_time_range(log), sketch_of(sessions))

    def leaks(self, clicks: pl.LazyFrame, sessions: SessionArrays) -> list[str]:
        """Return what is wrong with measuring on `sessions` of `clicks`: a line each, mostly none.

        `sessions` are as the recommender that saw these reads them.
        """
        return [*self._early(clicks, len(sessions)), *self.known(sessions)]

    def merged(self, other: Self) -> Self:
        """Return what is kept of this log and another one together."""
        times = None  # of clicks without times nobody knows when they were
        if self.times and other.times:
            first = min(self.times["first"], other.times["first"], key=datetime.fromisoformat)
            last = max(self.times["last"], other.times["last"], key=datetime.fromisoformat)
            times = {"first": first, "last": last}
        both = np.union1d(self._hashes, other._hashes)[:_KEPT]
        return type(self)(times, base64.b64encode(both.tobytes()).decode())

    @property
    def _hashes(self) -> UInt64Array:
        return np.frombuffer(base64.b64decode(self.sketch), dtype=np.uint64)

    def _early(self, clicks: pl.LazyFrame, num_sessions: int) -> list[str]:
        if not self.times or TIMESTAMP not in clicks.collect_schema():
            return []
        end = datetime.fromisoformat(self.times["last"])
        starts = clicks.group_by(SESSION_ID).agg(pl.col(TIMESTAMP).min())
        early = starts.select((pl.col(TIMESTAMP) <= end).sum()).collect().item()
        if not early:
            return []
        return [
            f"{early} of {num_sessions} sessions begin before the end of the training log "
            f"({self.times['last']}): a figure is honest only on what comes later; split by time"
        ]

    def known(self, sessions: SessionArrays) -> list[str]:
        """Return a line that says how many of `sessions` are in this log, none if none is."""
        kept = self._hashes
        if not len(kept):
            return []
        # The sketch is a random sample of the training sessions: those with a hash up to its last.
        complete = len(kept) < _KEPT
        hashes = hashes_of(sessions)
        comparable = hashes if complete else hashes[hashes <= kept[-1]]
        known = np.isin(comparable, kept).sum()
        if not known:
            return []
        return [
            f"{'' if complete else 'about '}{100 * known / len(comparable):.0f} % of the "
            "sessions were in the training log: leave them out"
        ]


def warn_of_leaks(
    seen: Mapping[str, SeenSessions],
    clicks: pl.LazyFrame,
    sessions: Mapping[str, SessionArrays],
) -> None:
    """Log what is wrong with measuring recommenders, by their names, on sessions of `clicks`."""
    names_by_line: dict[str, list[str]] = {}
    for name, training_sessions in seen.items():
        for line in training_sessions.leaks(clicks, sessions[name]):
            names_by_line.setdefault(line, []).append(name)
    for line, names in names_by_line.items():
        logger.warning("%s: %s", ", ".join(names), line)


def sketch_of(sessions: SessionArrays) -> str:
    """Return what `SeenSessions.sketch` is of sessions."""
    return base64.b64encode(np.sort(hashes_of(sessions))[:_KEPT].tobytes()).decode()


def hashes_of(sessions: SessionArrays) -> UInt64Array:
    """Return a hash of the id and the items of each session of two known clicks or more."""
    sessions = sessions.alone().with_targets()
    items = sessions.items.astype(np.int64)
    hashes = np.empty(len(sessions), dtype=np.uint64)
    ids = sessions.session_ids.cast(pl.String)
    for number, (name, start, end) in enumerate(
        zip(ids, sessions.offsets[:-1].tolist(), sessions.offsets[1:].tolist(), strict=True)
    ):
        digest = hashlib.blake2b(f"{name}\0".encode(), digest_size=8)
        digest.update(items[start:end].tobytes())
        hashes[number] = int.from_bytes(digest.digest(), "little")
    return hashes


def _time_range(log: pl.LazyFrame) -> dict[str, str] | None:
    if TIMESTAMP not in log.collect_schema():
        return None
    stamp = pl.col(TIMESTAMP)
    ends = log.select(stamp.min().alias("first"), stamp.max().alias("last"))
    text = pl.all().dt.to_string("%Y-%m-%dT%H:%M:%S%.6f").str.strip_suffix(".000000")
    return ends.select(text).collect().row(0, named=True)
