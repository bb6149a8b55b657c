"""Recommend what similar sessions of the training log have: the frame of it, and SKNN."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float64Array, FloatingArray, IntArray
from gru4rec.errors import DataError
from gru4rec.recommenders.baselines.baseline import Baseline
from gru4rec.recommenders.baselines.learned import Column, items, number
from gru4rec.recommenders.baselines.neighbours import ITEMS, TIME, Neighbours, Shared
from gru4rec.sessions import Catalog, SessionArrays
from gru4rec.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class SessionKNNSettings(Settings):
    """How many sessions are looked at; the rest depends on the method."""

    k: int = setting(500, low=1)
    """Neighbours: the most similar of the sample."""
    m: int = setting(1000, low=1)
    """The sample: the most recent training sessions that share an item with the running one."""
    max_clicks: int = setting(100, low=1)
    """Clicks of the running session that are read: the last ones."""
    seconds_per_click: float = setting(1.213, low=0.0)
    """For logs without times: a session's time is the row of its last click, those of the training
    log first, times this."""

    def __post_init__(self) -> None:
        self.check("session_knn.")


class SessionKNN(Baseline):
    """Scores an item by the similar sessions that have it.

    score(x) = idf(x) Σ w_n d_n(x) over the k most similar sessions n that have x. The methods say
    what similarity, session weight w_n, entry weight d_n and idf are (formulas: Ludewig & Jannach,
    arXiv 1803.09587; Garg et al., STAN, SIGIR 2019; Ludewig et al., VSTAN, arXiv 1910.12781).
    L is the number of clicks of the running session, U its distinct items, p(y) the last
    position of item y in it. Its checkpoint keeps the sessions of the training log.
    """

    reads_times = True
    needs_whole_log = None
    settings: SessionKNNSettings
    columns: ClassVar[Mapping[str, Column]] = {TIME: number, ITEMS: items}

    def learn(self, sessions: SessionArrays, catalog: Catalog) -> pl.DataFrame:
        """See `Baseline.learn`."""
        return Neighbours.table(sessions)

    def prepare(self) -> None:
        """See `Baseline.prepare`."""
        self._neighbours = Neighbours(self.learned, len(self.catalog))
        second = 1.0 if self._timed else self.settings.seconds_per_click
        self._times = self._neighbours.times * second
        self._idf = self.idf(np.log(len(self._neighbours) / self.catalog.support))

    def learn_too(self, sessions: SessionArrays, catalog: Catalog) -> pl.DataFrame:
        """See `Baseline.learn_too`: the sessions are kept beside those that are.

        Raise DataError where times are known of either the older or the new clicks alone.
        """
        if sessions.timed != self._timed:
            kinds = ["no times", "times"]
            raise DataError(
                f"the sessions that are kept have {kinds[self._timed]}, and the new ones "
                f"{kinds[sessions.timed]}; give both or fit again"
            )
        first = 0 if self._timed else self._num_clicks  # without times they stand in a row
        new = Neighbours.table(sessions).with_columns(pl.col(TIME) + first)
        return pl.concat([self.learned.select(TIME, ITEMS), new.cast(self.learned.schema)])

    def scores(self, sessions: SessionArrays, clicks: IntArray) -> FloatingArray:
        """See `Baseline.scores`."""
        scores = np.empty((len(clicks), len(self.catalog)), dtype=np.float32)
        starts = np.maximum(sessions.starts_of(clicks), clicks + 1 - self.settings.max_clicks)
        for row, (start, click, now) in enumerate(
            zip(starts.tolist(), clicks.tolist(), self._now(sessions, clicks), strict=True)
        ):
            scores[row] = self.score_prefix(sessions.items[start : click + 1], now)
        return scores

    def _now(self, sessions: SessionArrays, clicks: IntArray) -> Float64Array:
        """Return the time of each click by the training sessions' clock; its end if unknown."""
        if sessions.timed != self._timed or not len(sessions.times):
            return np.full(len(clicks), self._times[-1])
        if self._timed:
            return sessions.times[clicks]
        return (self._num_clicks + sessions.times[clicks]) * self.settings.seconds_per_click

    def score_prefix(
        self, prefix: IntArray, now: float, *, left_out: int | None = None
    ) -> FloatingArray:
        """Return scores of all items [N] after the clicks of a running session [L] at a time.

        A training session may be left out, by its number in the order of last clicks.
        """
        index, length = self._neighbours, len(prefix)
        items, from_end = np.unique(prefix[::-1], return_index=True)
        order = np.argsort(-from_end)
        items, positions = items[order], length - from_end[order]
        weights = self.weights(positions, length)
        shared = index.sharing(items, positions, weights, self.settings.m)
        if left_out is not None:
            shared = shared.without(left_out)
        age = now - self._times[shared.sessions]
        similarities = self.similarities(shared, index.sizes[shared.sessions], weights, age)
        nearest = index.nearest(shared, similarities, self.settings.k)
        of_sessions = similarities[nearest] * self.decay(length - shared.last[nearest] + 1)
        entries, rows = index.entries(shared.sessions[nearest])
        of_entries = of_sessions[rows]
        distances = self.entry_decay(index.positions[entries], shared.star[nearest], rows)
        if distances is not None:
            of_entries *= distances
        return np.bincount(index.items[entries], of_entries, len(self._idf)) * self._idf

    # U items of the running session, C sessions, N items of the catalog
    def weights(self, positions: IntArray, length: int) -> Float64Array:
        """Return the weight of each item of the running session, by p(y) and L [U]; above 0."""
        return np.ones(len(positions))

    def similarities(
        self, shared: Shared, sizes: IntArray, weights: Float64Array, age: Float64Array
    ) -> Float64Array:
        """Return the similarity of sessions of so many items, so many seconds ago [C]."""
        cosines: Float64Array = shared.overlap / np.sqrt(len(weights) * sizes)
        return cosines

    def decay(self, ago: IntArray) -> Float64Array:
        """Return w_n per similarity, by the clicks since the last shared item, from 1 [C]."""
        return np.ones(len(ago))

    def entry_decay(
        self, positions: IntArray, star: IntArray, rows: IntArray
    ) -> Float64Array | None:
        """Return d_n(x), by the position of x in n and the last of a shared item; None for 1."""
        return None

    def idf(self, logarithms: Float64Array) -> Float64Array:
        """Return the factor of each item, by ln(sessions / clicks on it) [N]."""
        return np.ones(len(logarithms))


class SKNN(SessionKNN):
    """Cosine: similarity |U ∩ I_n| / √(|U| |I_n|); every item of a neighbour counts alike."""

    name = "sknn"
    published = ({}, {"k": 50, "m": 500})
    settings: SessionKNNSettings
    settings_class: ClassVar[type[Settings]] = SessionKNNSettings
