"""Recommend what is clicked most: ever, lately, or in the running session."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from gru4rec.arraytypes import FloatingArray, IntArray
from gru4rec.recommenders.baselines.baseline import Baseline
from gru4rec.recommenders.baselines.learned import Column, counts
from gru4rec.sessions import Catalog, SessionArrays
from gru4rec.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class NoSettings(Settings):
    """Nothing to set."""


@dataclass(frozen=True, kw_only=True)
class RecentPopularitySettings(Settings):
    """What counts as lately."""

    share: float = setting(0.05, low=0.0)
    """The newest clicks that are counted, as a share of the log."""

    def __post_init__(self) -> None:
        self.check("recent_popularity.")


class Popularity(Baseline):
    """Scores an item by its clicks in the training log, whatever the session."""

    name = "popularity"
    settings: Settings
    settings_class: ClassVar[type[Settings]] = NoSettings
    columns: ClassVar[Mapping[str, Column]] = {"clicks": counts}
    needs_whole_log: ClassVar[str | None] = None

    def learn(self, sessions: SessionArrays, catalog: Catalog) -> pl.DataFrame:
        """See `Baseline.learn`."""
        return pl.DataFrame({"clicks": catalog.support})

    def learn_too(self, sessions: SessionArrays, catalog: Catalog) -> pl.DataFrame:
        """See `Baseline.learn_too`."""
        return self.learn(sessions, catalog)

    def prepare(self) -> None:
        """See `Baseline.prepare`."""
        self._clicks = self.learned["clicks"].to_numpy().astype(np.float32)

    def scores(self, sessions: SessionArrays, clicks: IntArray) -> FloatingArray:
        """See `Baseline.scores`."""
        return np.tile(self._clicks, (len(clicks), 1))


class RecentPopularity(Popularity):
    """Scores an item by its clicks among the newest of the training log."""

    name = "recent_popularity"
    reads_times = True
    needs_whole_log = "which clicks are the newest share of a log, the whole of it tells"
    settings: RecentPopularitySettings
    settings_class: ClassVar[type[Settings]] = RecentPopularitySettings

    def learn(self, sessions: SessionArrays, catalog: Catalog) -> pl.DataFrame:
        """See `Baseline.learn`."""
        count = int(np.ceil(self.settings.share * len(sessions.items)))
        newest = np.argsort(-sessions.times, kind="stable")[:count]
        return pl.DataFrame({"clicks": np.bincount(sessions.items[newest], minlength=len(catalog))})


class SessionPopularity(Popularity):
    """Scores an item by its clicks in the session so far; equal ones by those in the log."""

    name = "session_popularity"

    def prepare(self) -> None:
        """See `Baseline.prepare`."""
        super().prepare()
        self._clicks /= self._clicks.sum() + 1

    def scores(self, sessions: SessionArrays, clicks: IntArray) -> FloatingArray:
        """See `Baseline.scores`."""
        scores = super().scores(sessions, clicks)
        starts = sessions.starts_of(clicks)
        for row, (start, click) in enumerate(zip(starts, clicks, strict=True)):
            scores[row] += np.bincount(
                sessions.items[start : click + 1], minlength=len(scores[row])
            )
        return scores
