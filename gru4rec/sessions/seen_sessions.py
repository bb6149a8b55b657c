"""Tell whether sessions to measure on were known in training, or came before its end."""

import base64
import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from gru4rec.arraytypes import UInt64Array
from gru4rec.schema import SESSION_ID, TIMESTAMP
from gru4rec.sessions.arrays import SessionArrays

logger = logging.getLogger(__name__)

_KEPT = 2048
TIMES, SESSIONS = "times", "sessions"


def trained_on(log: pl.LazyFrame, sessions: SessionArrays) -> dict[str, Any]:
    """What `meta.json` keeps of a training log, to be recognised later.

    `times`: first and last time in ISO form, None where it has none. `sessions`: of the hashes of
    all sessions the 2,048 smallest, from which no click can be read.
    """
    smallest = np.sort(_hashes(sessions))[:_KEPT]
    return {TIMES: _time_range(log), SESSIONS: base64.b64encode(smallest.tobytes()).decode()}


def leaks(meta: Mapping[str, Any], clicks: pl.LazyFrame, sessions: SessionArrays) -> list[str]:
    """What is wrong with measuring a recommender on sessions, in a line each; mostly nothing.

    `meta` is that of the recommender, `sessions` are those of `clicks` as it reads them.
    """
    found = []
    times = meta.get(TIMES)
    if times and TIMESTAMP in clicks.collect_schema():
        end = datetime.fromisoformat(times["last"])
        starts = clicks.group_by(SESSION_ID).agg(pl.col(TIMESTAMP).min())
        early = starts.select((pl.col(TIMESTAMP) <= end).sum()).collect().item()
        if early:
            found.append(
                f"{early} of {len(sessions)} sessions begin before the end of the training log "
                f"({times['last']}): a figure is honest only on what comes later; split by time"
            )
    kept = np.frombuffer(base64.b64decode(meta.get(SESSIONS, "")), dtype=np.uint64)
    if len(kept):
        # The sketch is a random sample of the training sessions: those with a hash up to its last.
        complete = len(kept) < _KEPT
        hashes = _hashes(sessions)
        comparable = hashes if complete else hashes[hashes <= kept[-1]]
        known = np.isin(comparable, kept).sum()
        if known:
            found.append(
                f"{'' if complete else 'about '}{100 * known / len(comparable):.0f} % of the "
                "sessions were in the training log: leave them out"
            )
    return found


def warn_of_leaks(
    metas: Mapping[str, Mapping[str, Any]],
    clicks: pl.LazyFrame,
    sessions: Mapping[str, SessionArrays],
) -> None:
    """Log what is wrong with measuring each recommender, by its name, on sessions of `clicks`."""
    said: dict[str, list[str]] = {}
    for name, meta in metas.items():
        for line in leaks(meta, clicks, sessions[name]):
            said.setdefault(line, []).append(name)
    for line, names in said.items():
        logger.warning("%s: %s", ", ".join(names), line)


def _hashes(sessions: SessionArrays) -> UInt64Array:
    """A hash of the id and the items of each session of two known clicks or more."""
    sessions = sessions.with_targets()
    items = sessions.items.astype(np.int64)
    found = np.empty(len(sessions), dtype=np.uint64)
    ids = sessions.session_ids.cast(pl.String)
    for number, (name, start, end) in enumerate(
        zip(ids, sessions.offsets[:-1].tolist(), sessions.offsets[1:].tolist(), strict=True)
    ):
        digest = hashlib.blake2b(f"{name}\0".encode(), digest_size=8)
        digest.update(items[start:end].tobytes())
        found[number] = int.from_bytes(digest.digest(), "little")
    return found


def _time_range(log: pl.LazyFrame) -> dict[str, str] | None:
    if TIMESTAMP not in log.collect_schema():
        return None
    stamp = pl.col(TIMESTAMP)
    ends = log.select(stamp.min().alias("first"), stamp.max().alias("last"))
    text = pl.all().dt.to_string("%Y-%m-%dT%H:%M:%S%.6f").str.strip_suffix(".000000")
    return ends.select(text).collect().row(0, named=True)
