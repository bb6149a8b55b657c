"""What an update learns from: new sessions, older ones beside them, and a catalog of both."""

import logging
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np
import polars as pl

from gru4rec.clicks import ClickSource, seconds_of
from gru4rec.config import Config
from gru4rec.errors import ConfigError, DataError
from gru4rec.schema import TIMESTAMP
from gru4rec.sessions import (
    NO_OUTCOME,
    Catalog,
    OutcomeClasses,
    SeenSessions,
    SessionArrays,
    SideInputs,
    after_earlier,
    event_types_of,
    hashes_of,
    to_arrays,
)
from gru4rec.training.training_log import parts_of_log

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class UpdateLog:
    """New clicks as arrays, by the catalog of a recommender that grows by them."""

    catalog: Catalog
    """The items that were known, at their indexes, and the new ones."""
    new: SessionArrays
    """The new sessions of two clicks or more."""
    learned: SessionArrays
    """The older ones that are replayed, and they."""
    seen: SeenSessions
    """By what all that was learned from is recognised."""
    num_clicks: int
    """New clicks, those of sessions of one click too."""

    @property
    def tells_outcomes(self) -> bool:
        """Whether the outcome of a session that is learned is known."""
        return bool((self.learned.outcomes >= 0).any())

    @classmethod
    def read(
        cls,
        clicks: ClickSource,
        *,
        catalog: Catalog,
        side_inputs: SideInputs,
        seen: SeenSessions | None,
        config: Config | None = None,
        replay: ClickSource | None = None,
        replay_share: float = 1.0,
        half_life: str | None = None,
        seed: int = 0,
        outcome: OutcomeClasses = NO_OUTCOME,
    ) -> Self:
        """Read new clicks and, of an older log, so many sessions as a share of the new ones.

        `config` says what is read of a click. After a `half_life` ("7d") clicks count half as
        much in the supports. `outcome` are the classes of the recommender; a log without their
        column says nothing of them.

        Log how much of it was learned already. Raise DataError for ids of another type, and for a
        log that ends before that of the recommender begins.
        """
        asked = config if config is not None else Config()
        columns = list(dict.fromkeys([*side_inputs.values, *asked.columns]))
        log, _ = parts_of_log(clicks, None, columns)
        if not 0 <= replay_share < math.inf:
            raise ConfigError(
                f"replay_share must be a number from 0 on, got {replay_share}",
                mend_with=["replay_share"],
            )
        fading = 1.0 if half_life is None else _fading(log, seen, half_life)
        grown = catalog.grown(log, fading=fading, seed=seed % 2**63)
        events = event_types_of(log, asked.training, strict=False)

        def read(part: pl.LazyFrame) -> SessionArrays:
            users, most = asked.encoder.user_column, asked.encoder.user_clicks
            read = to_arrays(part, grown, side_inputs=side_inputs, events=events, users=users)
            return outcome.if_there(after_earlier(read, most), part).with_targets()

        new = read(log)
        of_new = SeenSessions.of(log, new)
        if seen is not None:
            _refuse_older(seen, of_new)
            for line in seen.known(new):
                said = line.replace("in the training log: leave", "learned before; leave")
                logger.warning("%s", said)
        merged, learned = of_new if seen is None else seen.merged(of_new), new
        if replay is not None:
            older, _ = parts_of_log(replay, None, columns)
            beside = _drawn(read(older), new, round(replay_share * len(new)), seed)
            if len(beside):
                learned = beside.followed_by(new)
                merged = merged.merged(SeenSessions.of(older, beside))
        return cls(grown, new, learned, merged, log.select(pl.len()).collect().item())


def _refuse_older(seen: SeenSessions, new: SeenSessions) -> None:
    if seen.times and new.times and _time(new.times["last"]) < _time(seen.times["first"]):
        raise DataError(
            f"the new clicks end at {new.times['last']}, before those begin that were learned, at "
            f"{seen.times['first']}; give newer clicks"
        )


def _fading(log: pl.LazyFrame, seen: SeenSessions | None, half_life: str) -> float:
    """Return the share that older clicks count by the end of a log."""
    seconds = seconds_of(half_life)
    if seen is None or not seen.times or TIMESTAMP not in log.collect_schema():
        raise DataError(
            f"half_life {half_life} needs times of the clicks, old and new; leave it out",
            mend_with=["half_life"],
        )
    last = log.select(pl.col(TIMESTAMP).max()).collect().item()
    passed = (last - _time(seen.times["last"])).total_seconds()
    return float(min(1.0, 0.5 ** (passed / seconds)))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _drawn(older: SessionArrays, new: SessionArrays, count: int, seed: int) -> SessionArrays:
    """Return so many of the older sessions, drawn by a seed; none that is among the new ones."""
    others = np.flatnonzero(~np.isin(hashes_of(older), hashes_of(new)))
    random = np.random.default_rng(seed % 2**63)
    chosen = random.choice(others, min(count, len(others)), replace=False)
    return older.take(np.sort(chosen))
