"""A log of which each of several processes keeps the clicks of its own sessions only."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.config import AUTO, Config
from gru4rec.errors import ConfigError, DataError
from gru4rec.sessions import RankWindows, SessionArrays
from gru4rec.training.auto import LogStatistics
from gru4rec.training.batch import windows_of
from gru4rec.training.counts import Counts
from gru4rec.training.ranks import Ranks
from gru4rec.training.training_log import OUTCOME_CLICKS, SPREAD_CLICKS, TrainingLog


@dataclass(frozen=True)
class Share:
    """What a rank knows of a log besides the clicks of its sessions."""

    # S own sessions, N items
    ranks: Ranks
    windows: RankWindows
    """Its part of each window."""
    starts: IntArray
    """Where its sessions start in the whole log [S]."""
    counts: Counts
    """Those of the whole log."""
    statistics: LogStatistics
    """Those of the whole log."""
    in_both_runs: Mapping[int, tuple[SessionArrays, IntArray]]
    """See `TrainingLog.in_both_runs`: some sessions, which the first rank keeps for all."""


@dataclass(frozen=True, kw_only=True)
class DealtLog(TrainingLog):
    """A rank's part of a log: `sessions` and `held_out` are its own; what is counted is of all."""

    share: Share
    kept: TrainingLog | None = None
    """The whole log, where session neighbours teach: they are of all sessions."""

    @classmethod
    def of(cls, log: TrainingLog, config: Config, ranks: Ranks) -> "DealtLog":
        """Return this rank's part of a log that all ranks have read. Forget the log then.

        A session is with the rank that runs its lane; held-out ones are dealt in turn.
        """
        neighbours = config.training.neighbours
        starts = log.sessions.offsets[:-1]
        windows = windows_of(log.sessions, config)
        own_windows = RankWindows(windows, rank=ranks.rank, size=ranks.size)
        own = np.flatnonzero(own_windows.sessions(starts))
        held_out = log.cheap_to_measure()
        if held_out is not None:
            held_out = held_out.take(np.arange(ranks.rank, len(held_out), ranks.size))
        share = Share(
            ranks,
            own_windows,
            starts[own],
            Counts.of(log.sessions, len(log.catalog)),
            log.statistics,
            _asked_about(log, config) if ranks.is_first else {},
        )
        dealt = {field.name: getattr(log, field.name) for field in fields(TrainingLog)}
        dealt |= {"sessions": log.sessions.take(own), "held_out": held_out}
        kept = log if neighbours is AUTO or neighbours else None
        return cls(**dealt, share=share, kept=kept)

    @cached_property
    def statistics(self) -> LogStatistics:
        """See `TrainingLog.statistics`: those of the whole log."""
        return self.share.statistics

    @property
    def ranks(self) -> Ranks:
        """See `TrainingLog.ranks`."""
        return self.share.ranks

    @property
    def whole(self) -> TrainingLog:
        """See `TrainingLog.whole`."""
        if self.kept is None:
            raise ValueError("the sessions of the others were not kept")
        return self.kept

    def in_both_runs(self, most: int) -> tuple[SessionArrays, IntArray]:
        """See `TrainingLog.in_both_runs`: of the whole log, on the first rank."""
        return self.share.in_both_runs[most]

    def cheap_to_measure(self) -> SessionArrays | None:
        """See `TrainingLog.cheap_to_measure`: this rank's part of them."""
        return self.held_out


def _asked_about(log: TrainingLog, config: Config) -> dict[int, tuple[SessionArrays, IntArray]]:
    """Return the clicks by which models of a log are compared, with the sessions they are of."""
    spread = config.training.teachers and config.encoder.repeats
    wanted = {SPREAD_CLICKS: spread, OUTCOME_CLICKS: config.training.outcome}
    asked = {}
    for most in (most for most, is_wanted in wanted.items() if is_wanted):
        sessions, clicks = log.in_both_runs(most)
        asked[most] = sessions.around(clicks)
    return asked


def agreed(
    asked: Config, config: Config, reasons: Mapping[str, str], log: str, ranks: Ranks
) -> tuple[Config, dict[str, str]]:
    """Return the settings that the first rank decided on, given what was `asked`, and why.

    Raise DataError if another log was read here, ConfigError if other settings were asked for, and
    for fewer lanes than ranks.
    """
    own = {"asked": asked.to_dict(), "log": log}
    said: dict[str, Any] = {**own, "config": config.to_dict(), "reasons": dict(reasons)}
    said = ranks.from_first(said)
    theirs = Config.from_dict(said["asked"]).flat()
    others = [name for name, value in asked.flat().items() if value != theirs[name]]
    if others:
        raise ConfigError(
            f"rank {ranks.rank} was asked for another {', '.join(others)} than rank 0; give all "
            "the same settings"
        )
    if said["log"] != log:
        raise DataError(
            f"rank {ranks.rank} has read another log than rank 0; give all the same files and "
            "options"
        )
    config = Config.from_dict(said["config"])
    if config.training.lanes < ranks.size:
        raise ConfigError(
            f"{ranks.size} processes share training.lanes = {config.training.lanes}, one lane or "
            "more each; raise lanes, or start fewer processes",
            mend_with=["lanes"],
        )
    return config, said["reasons"]
