"""What users call of any recommender: recommend, follow sessions, save and load."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from gru4rec.clicks import ClickSource, plain_ids
from gru4rec.config import Config
from gru4rec.errors import CheckpointError, DataError
from gru4rec.recommenders.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from gru4rec.recommenders.kept_items import KeptItems
from gru4rec.recommenders.scorer import Scorer
from gru4rec.schema import OUTCOME, SESSION_ID
from gru4rec.serving import (
    Answer,
    ItemFilter,
    ListRules,
    LiveSession,
    SessionId,
    SessionStore,
    answers_in_pieces,
    best_of_running,
    best_of_sessions,
    filter_of,
    outcomes_of_sessions,
)
from gru4rec.sessions import (
    BULKS,
    Prefixes,
    RunningSession,
    SessionArrays,
    SessionReader,
    arrays_of,
    read_again,
)
from gru4rec.training import Progress
from gru4rec.untrusted import brief

_FEW = 8  # clicks that are read one by one in less time than at once


class Recommender(Scorer):
    """Recommends the next items of sessions; a kind of it says what `Scorer` asks for."""

    parts: Sequence["Recommender"] = ()
    """The recommenders that make this one."""

    @property
    def learns_by_steps(self) -> bool:
        """Whether an update is one of a model, to which options such as `epochs` say something."""
        return any(part.learns_by_steps for part in self.parts)

    @property
    def model_settings(self) -> Config:
        """Those by which it has learned, or the first part that asks for users or types of events.

        The default of what is no model.
        """
        asked = [part.model_settings for part in self.parts]
        says = (one for one in asked if one.encoder.user_column or one.training.event_column)
        return next(says, asked[0] if asked else Config())

    @property
    def extra_columns(self) -> list[str]:
        """What it reads of each click besides its session, its item and its time, by name."""
        names = [*self.side_inputs.values, self.model_settings.encoder.user_column]
        return [name for name in names if name]

    @property
    def reader(self) -> SessionReader:
        """Reads sessions as this recommender takes them. Raises NotFittedError before `fit`."""
        asked = self.model_settings.encoder
        return SessionReader(
            self.catalog,
            self.side_inputs,
            self.reads_times,
            users=asked.user_column,
            user_clicks=asked.user_clicks,
        )

    def recommend(
        self,
        prefixes: Prefixes,
        k: int = 20,
        *,
        exclude_clicked: bool = False,
        allow: Iterable[object] | None = None,
        deny: Iterable[object] = (),
        rules: ListRules | None = None,
        explain: bool = False,
        outcome: bool = False,
    ) -> pl.DataFrame:
        """Return the k best items of each session: session_id, rank (from 1), item_id, score.

        `prefixes` is a click log (see `read_clicks`) or a list of sessions, each a list of item
        ids, whose session ids are then 0, 1, … Sessions keep their order. Items outside the catalog
        are passed over; a session without a known item gets the popular items, scored by their
        share of all clicks. Of equal scores the more popular item comes first. Only items of
        `allow` are recommended, none of `deny`, and with `exclude_clicked` none of the session.
        Where fewer than k are left, all of them are returned. `rules` hold besides.

        With `explain` two columns more say how an answer came about: `reason`, "model", "repeat"
        for an item of the session that its repeat head scored, "attributes" for one that nobody
        clicked yet, which these place, or, without a known item, "popularity", and `unknown`, the
        clicks of the session that were passed over. With `outcome` a column of that name has the
        probability of the session's positive outcome, see `outcomes`; of more than two classes, all
        of them, as a struct.

        Raise DataError for k < 1, and if no item may be recommended.
        """
        asked = {"exclude_clicked": exclude_clicked, "allow": allow, "deny": deny, "rules": rules}
        pieces = self.recommend_in_pieces(prefixes, k, explain=explain, outcome=outcome, **asked)
        return pl.concat(pieces)

    def recommend_in_pieces(
        self,
        prefixes: Prefixes,
        k: int = 20,
        *,
        explain: bool = False,
        outcome: bool = False,
        **only: Any,
    ) -> Iterator[pl.DataFrame]:
        """Yield what `recommend` returns, some sessions at a time, for logs larger than memory.

        Of a log whose sessions each stand in one run only a part is in memory at once.
        """
        item_filter = filter_of(self, **only)

        def answer(pieces: Iterator[SessionArrays]) -> Iterator[Answer]:
            for few in pieces:
                yield few, *best_of_sessions(self, few, k, item_filter)

        yield from self.answered(prefixes, k, explain=explain, outcome=outcome, answer=answer)

    def answered(
        self,
        prefixes: Prefixes,
        k: int,
        *,
        explain: bool,
        outcome: bool = False,
        answer: Callable[[Iterator[SessionArrays]], Iterator[Answer]],
    ) -> Iterator[pl.DataFrame]:
        """Yield what `recommend_in_pieces` does, where `answer` finds the best items.

        It is given the sessions some at a time, and has to give them back in that order. How many
        come at once depends on the device and on k alone.
        """
        if outcome:
            self.check_outcome()
        devices = {part.device.type for part in (self, *self.parts)}
        at_once = max(BULKS[device].rows for device in devices)
        pieces = self.reader.pieces(prefixes)
        yield from answers_in_pieces(
            self, pieces, k, explain=explain, outcome=outcome, at_once=at_once, answer=answer
        )

    def outcomes(self, prefixes: Prefixes) -> pl.DataFrame:
        """Return how likely each outcome of each session is, by its clicks so far.

        `prefixes` are as for `recommend`. Of two classes a column `outcome` has the probability of
        the positive one, the later of the two (true, 1); of more a column `p_CLASS` each has its
        own. A session without a known item has the shares of the training log. Raise DataError for
        a recommender that was not trained with an outcome.
        """
        classes, tables = self.outcome_classes, []
        self.check_outcome()
        for few in self.reader.pieces(prefixes):
            found = outcomes_of_sessions(self, few)
            columns = {f"p_{name}": found[:, place] for place, name in enumerate(classes.names)}
            if len(classes) == 2:
                columns = {OUTCOME: found[:, 1]}
            tables.append(pl.DataFrame({SESSION_ID: few.session_ids, **columns}))
        return pl.concat(tables)

    def next_items(
        self, items: Sequence[object], k: int = 20, *, only: ItemFilter | None = None
    ) -> tuple[list[Any], list[float]]:
        """Return the k best items after the items of one session, and their scores, best first.

        As `recommend` has them, in a shorter way. Raise DataError for k < 1 and for what is no id.
        """
        indexes = [self.catalog.find(item) for item in plain_ids(items)]
        known = [index for index in indexes if index is not None]
        no_sides = [[0] * len(self.side_inputs)] * len(known)
        session = RunningSession(known, no_sides, [None] * len(known))
        if len(known) <= _FEW:
            read_again(self, [session])
            (scores,), (best,) = best_of_running(self, [session], k, only)
        else:
            arrays = arrays_of([session], self.side_inputs)
            (scores,), (best,) = best_of_sessions(self, arrays, k, only)
        left = np.isfinite(scores)
        return self.catalog.ids_of(best[left].tolist()), scores[left].tolist()

    def start_session(self) -> LiveSession:
        """Return a running session to which clicks are added one by one."""
        return LiveSession(self)

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

    def click_many(
        self, ids: Sequence[SessionId], items: Sequence[object], **known: Sequence[object]
    ) -> None:
        """Add clicks to running sessions by their ids; see `SessionStore.click_many`."""
        self.sessions.click_many(ids, items, **known)

    def recommend_many(self, ids: Sequence[SessionId], k: int = 20) -> pl.DataFrame:
        """Return the k best next items of running sessions; the store's own call takes filters too.

        See `SessionStore.recommend_many`.
        """
        return self.sessions.recommend_many(ids, k)

    def update(
        self,
        clicks: ClickSource,
        *,
        item_features: ClickSource | None = None,
        drop_unseen: str | None = None,
        replay: ClickSource | None = None,
        replay_share: float = 1.0,
        half_life: str | None = None,
        epochs: float = 2.0,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Self:
        """Learn from new clicks on top of what was learned; see `GRU4Rec.update`. Return self.

        Baselines count the new clicks too, ensembles and fusions update their parts. Raise
        DataError for kinds that cannot: they are fitted again.
        """
        raise DataError(f"{self.name} is not updated; fit it again, on the older clicks too")

    def keep_items(self, kept: KeptItems) -> None:
        """Forget all items but some of the catalog, whose indexes close up, after an update."""
        raise DataError(f"{self.name} keeps all of its items; fit it again, without the others")

    def add_items(self, item_features: ClickSource) -> Self:
        """Put the items of a table into the catalog, without training; see `GRU4Rec.add_items`.

        Ensembles add them to their models. Raise DataError for other kinds.
        """
        raise DataError(f"a {self.name} does not place items by attributes; only GRU4Rec does")

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the checkpoint folder `path`, which `gru4rec.load` reads.

        With `force` it replaces an older checkpoint whole. Raise CheckpointError if something
        stands there or when the disk refuses, NotFittedError before `fit`.
        """
        write_checkpoint(self.contents(), path, force=force)

    @classmethod
    def load(cls, path: str | Path, *, device: str = "auto") -> Self:
        """Return the recommender of this kind that `save` wrote.

        Raise CheckpointError if it is not there whole, or of another kind.
        """
        return read_checkpoint(path, lambda saved: cls._of_kind(saved, device))

    @classmethod
    def _of_kind(cls, saved: Checkpoint, device: str) -> Self:
        kind = saved.meta.recommender
        if kind != cls.name:
            raise CheckpointError(
                f"the checkpoint is of {brief(kind)}, not {cls.name}; use g4r.load"
            )
        return cls.of(saved, device=device)
