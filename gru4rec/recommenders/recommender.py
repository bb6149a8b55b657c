"""What every recommender is: fit on a click log, score every item, recommend the best."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from torch import Tensor

from gru4rec.arraytypes import Float32Array, IntArray
from gru4rec.clicks import ClickSource
from gru4rec.errors import DataError, NotFittedError
from gru4rec.metrics import ranks
from gru4rec.schema import REASON, UNKNOWN
from gru4rec.serving import ItemFilter, LiveSession, SessionId, SessionStore, answer_table, top_k
from gru4rec.sessions import (
    NO_SIDE_INPUTS,
    Catalog,
    Prefixes,
    RunningSession,
    SessionArrays,
    SessionReader,
    SideInputs,
    arrays_of,
)

logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 2_000_000  # of an answer

OF_MODEL, OF_POPULARITY = "model", "popularity"
"""Why items are recommended."""


class Recommender(ABC):
    """Ranks the catalog for the clicks of a session so far."""

    name: ClassVar[str]
    """By which checkpoints and tables know its kind."""
    meta: Mapping[str, Any]
    """What `meta.json` says of it: versions, counts, what it was trained on, …"""
    _catalog: Catalog | None = None
    _sessions: SessionStore | None = None
    side_inputs: SideInputs = NO_SIDE_INPUTS
    """What it reads of a click besides its item."""
    parts: Sequence["Recommender"] = ()
    """The recommenders that make this one."""
    inputs: Sequence[str] = ()
    """Names of the side inputs that `fit` is to make of a log."""
    reads_times: bool = False
    """Whether it asks when clicks were made."""

    @abstractmethod
    def settings_dict(self) -> dict[str, Any]:
        """Its settings as plain values, as `config.json` has them."""

    @property
    def catalog(self) -> Catalog:
        """The items it knows. Raises NotFittedError before `fit`."""
        if self._catalog is None:
            raise NotFittedError(f"this {type(self).__name__} has not learned yet; call fit first")
        return self._catalog

    @catalog.setter
    def catalog(self, catalog: Catalog) -> None:
        self._catalog, self._sessions = catalog, None

    @property
    def sessions(self) -> SessionStore:
        """The running sessions of `click_many`, at first with the default limits of a store.

        Raises NotFittedError before `fit`, which begins with none.
        """
        if self._sessions is None:
            self._sessions = SessionStore(self)
        return self._sessions

    @sessions.setter
    def sessions(self, sessions: SessionStore) -> None:
        self._sessions = sessions

    @abstractmethod
    def fit(self, clicks: ClickSource, *, valid: ClickSource | None = None) -> Self:
        """Learn from a click log; return self. `valid` is for measuring, never for learning."""

    @abstractmethod
    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the checkpoint folder `path`, which `gru4rec.load` reads.

        With `force` it replaces an older checkpoint whole. Raises CheckpointError if something
        stands there or when the disk refuses, NotFittedError before `fit`.
        """

    @abstractmethod
    def score(self, sessions: SessionArrays, clicks: IntArray) -> Iterator[tuple[IntArray, Tensor]]:
        """Scores of all items after each given click, by its session up to and with it.

        `clicks` are places in `sessions.items`, rising. Yields (some of these clicks [n], their
        scores [n, N]), each click once, in their order, in the pieces that `chunks` cuts.
        """

    def probabilities(self, scores_MN: Tensor) -> Tensor:
        """Scores as shares of 1 [M, N]: divided by their sum, those below 0 as 0."""
        positive = scores_MN.clamp_min(0)
        return positive / positive.sum(1, keepdim=True).clamp_min(torch.finfo(positive.dtype).tiny)

    def recommend(
        self,
        prefixes: Prefixes,
        k: int = 20,
        *,
        exclude_clicked: bool = False,
        allow: Iterable[object] | None = None,
        deny: Iterable[object] = (),
        explain: bool = False,
    ) -> pl.DataFrame:
        """The k best items of each session: session_id, rank (from 1), item_id, score.

        `prefixes` is a click log (see `read_clicks`) or a list of sessions, each a list of item
        ids, whose session ids are then 0, 1, … Sessions keep their order. Items outside the catalog
        are passed over; a session without a known item gets the popular items, scored by their
        share of all clicks. Of equal scores the more popular item comes first. Only items of
        `allow` are recommended, none of `deny`, and with `exclude_clicked` none of the session.
        Where fewer than k are left, all of them are returned.

        With `explain` two columns more say how an answer came about: `reason`, "model" or, without
        a known item, "popularity", and `unknown`, the clicks of the session that were passed over.

        Raises DataError for k < 1, and if no item may be recommended.
        """
        only = {"exclude_clicked": exclude_clicked, "allow": allow, "deny": deny}
        return pl.concat(self.recommend_in_pieces(prefixes, k, explain=explain, **only))

    def recommend_in_pieces(
        self, prefixes: Prefixes, k: int = 20, *, explain: bool = False, **only: Any
    ) -> Iterator[pl.DataFrame]:
        """What `recommend` returns, some sessions at a time, for logs larger than memory.

        Of a log whose sessions each stand in one run only a part is in memory at once.
        """
        passing = ItemFilter.of(self.catalog, **only)
        at_once, unknown, popular = max(1, _ROWS_AT_ONCE // max(1, k)), 0, 0
        for read in self.reader.pieces(prefixes):
            for sessions in read.pieces(at_once):
                scores, items = self._best(sessions, k, passing)
                explained = self._explained(sessions) if explain else {}
                yield answer_table(sessions.session_ids, self.catalog, scores, items, explained)
            unknown += read.num_unknown
            popular += int((read.lengths == 0).sum())
        if unknown:
            logger.warning("skipped %d clicks on items that are not in the catalog", unknown)
        if popular:
            logger.warning("%d sessions have no known item and get the popular items", popular)

    def next_items(
        self, items: Sequence[object], k: int = 20, *, only: ItemFilter | None = None
    ) -> tuple[list[Any], list[float]]:
        """The k best items after the items of one session, and their scores, best first.

        As `recommend` has them, in a shorter way. Raises DataError for k < 1 and for what is no id.
        """
        found = [self.catalog.find(item) for item in items]
        known = [index for index in found if index is not None]
        session = RunningSession(
            known,
            [[0] * len(self.side_inputs)] * len(known),
            [None] * len(known),
        )
        scores, best = self._best(arrays_of([session], self.side_inputs), k, only)
        left = np.isfinite(scores[0])
        return self.catalog.ids_of(best[0][left].tolist()), scores[0][left].tolist()

    def start_session(self) -> LiveSession:
        """A running session to which clicks are added one by one."""
        return LiveSession(self)

    def click_many(
        self, ids: Sequence[SessionId], items: Sequence[object], **known: Sequence[object]
    ) -> None:
        """Add clicks to running sessions by their ids; see `SessionStore.click_many`."""
        self.sessions.click_many(ids, items, **known)

    def recommend_many(self, ids: Sequence[SessionId], k: int = 20) -> pl.DataFrame:
        """The k best next items of running sessions; see `SessionStore.recommend_many`."""
        return self.sessions.recommend_many(ids, k)

    def next_states(
        self, states: Sequence[Float32Array | None], items: IntArray, sides: IntArray
    ) -> Sequence[Float32Array | None]:
        """What to keep of running sessions [S] besides their clicks after one more click of each.

        By what was kept before, None at first; `items` [S] and `sides` [S, F] are of the clicks.
        Nothing is kept unless a recommender says otherwise.
        """
        return [None] * len(states)

    def best_next(
        self, sessions: Sequence[RunningSession], k: int, only: ItemFilter | None
    ) -> tuple[Float32Array, IntArray]:
        """Scores and items [S, k'] of the best k' = min(k, N); −∞ where no more may be.

        Raises DataError for k < 1.
        """
        return self._best(arrays_of(sessions, self.side_inputs), k, only)

    def target_ranks(
        self, sessions: SessionArrays, *, ties: str = "conservative", most: int | None = None
    ) -> Tensor:
        """The rank of every click but the first of each session, given those before it.

        In the order of the clicks [targets], float64, on the CPU. `ties` as in `metrics.ranks`; of
        more than `most` targets a sample.
        """
        prefixes = sessions.prefixes(most=most)
        found = torch.empty(len(prefixes), dtype=torch.float64)
        for clicks, scores in self.score(sessions, prefixes):
            targets = torch.from_numpy(sessions.items[clicks + 1]).to(scores.device)
            places = torch.from_numpy(np.searchsorted(prefixes, clicks))
            found[places] = ranks(scores, targets, ties=ties).cpu()
        return found

    @property
    def reader(self) -> SessionReader:
        """Reads sessions as this recommender takes them. Raises NotFittedError before `fit`."""
        return SessionReader(self.catalog, self.side_inputs, self.reads_times)

    def _explained(self, sessions: SessionArrays) -> dict[str, pl.Series]:
        """How the answer for each session comes about [S], by the names of columns."""
        reasons = [OF_MODEL if length else OF_POPULARITY for length in sessions.lengths]
        return {
            REASON: pl.Series(reasons, dtype=pl.String),
            UNKNOWN: pl.Series(sessions.unknown),
        }

    def _best(
        self, sessions: SessionArrays, k: int, only: ItemFilter | None
    ) -> tuple[Float32Array, IntArray]:
        """Scores and items [S, k'] of the best k' = min(k, N); −∞ where no more may be."""
        scores, items = self._popular(len(sessions), k, only)
        known = np.flatnonzero(sessions.lengths)
        last_clicks = sessions.offsets[1:][known] - 1
        k = items.shape[1]
        for clicks, best_scores, best_items in self.top(sessions, last_clicks, k, only=only):
            rows = known[np.searchsorted(last_clicks, clicks)]
            scores[rows], items[rows] = best_scores, best_items
        return scores, items

    def _popular(self, rows: int, k: int, only: ItemFilter | None) -> tuple[Float32Array, IntArray]:
        """Scores and items, for `rows` sessions alike [rows, k'], of the most clicked items that
        may be recommended; the shape of the answer of `_best`."""
        if k < 1:
            raise DataError(f"k must be at least 1, got {k}")
        k = min(k, len(self.catalog))
        scores, items = self.catalog.popular(k, None if only is None else only.allowed)
        missing = (0, k - len(items))
        scores = np.pad(scores, missing, constant_values=-np.inf)
        return np.tile(scores, (rows, 1)), np.tile(np.pad(items, missing), (rows, 1))

    def top(
        self, sessions: SessionArrays, clicks: IntArray, k: int, *, only: ItemFilter | None = None
    ) -> Iterator[tuple[IntArray, Float32Array, IntArray]]:
        """The best `k` items after each given click, as the recommender retrieves them.

        In chunks (clicks [n], scores [n, k], item indexes [n, k]), each click once; k is at most
        the size of the catalog. Items that `only` does not let pass score −∞.
        """
        for some, scores in self.score(sessions, clicks):
            if only is not None:
                only.mask(scores, sessions, some)
            best = top_k(scores, k)
            yield some, scores.gather(1, best).cpu().numpy(), best.cpu().numpy()
