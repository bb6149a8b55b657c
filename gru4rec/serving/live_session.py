"""A running session: click by click, with the next items after any of them."""

from collections.abc import Iterable
from threading import RLock
from typing import Any, NoReturn

import numpy as np
import polars as pl

from gru4rec.errors import DataError
from gru4rec.schema import ITEM_ID, RANK, SCORE
from gru4rec.serving.answering import Answering
from gru4rec.serving.best_items import best_of_running
from gru4rec.serving.list_rules import ListRules, filter_of
from gru4rec.serving.session_outcomes import outcomes_of_running
from gru4rec.sessions import Click, RunningSession, refuse_other, take_in


class LiveSession:
    """One visitor's clicks so far. Threads may share it.

    With a GRU4Rec whose encoder streams, or several of them as one, the hundredth click costs as
    the first; any other recommender reads the session's clicks again.
    """

    def __init__(self, recommender: Answering) -> None:
        self._recommender, self._catalog = recommender, recommender.catalog
        self._session = RunningSession()
        self._lock = RLock()

    def __reduce__(self) -> NoReturn:
        """Raise DataError: a running session is neither copied nor pickled."""
        raise DataError(
            "a running session is neither copied nor pickled; keep its clicks, or a SessionStore's "
            "file by save and restore"
        )

    def click(self, item_id: object, /, **known: object) -> bool:
        """Add a click. Return False if the item is not in the catalog: only its time is kept.

        `known` is what is known of it for the model's side inputs: `timestamp`, a datetime, and
        the columns by their names; what is left out is unknown.

        Raise DataError for what is no id (a fraction, a truth value, a list), for a name that no
        side input is made of, and if the recommender was fitted again.
        """
        with self._lock:
            refuse_other(self._recommender, self._catalog)
            session = self._session
            click = Click.read(self._recommender, session, item_id, known, session.last_time)
            take_in(self._recommender, [click])
        return click.item is not None

    def recommend(
        self,
        k: int = 20,
        *,
        exclude_clicked: bool = False,
        allow: Iterable[object] | None = None,
        deny: Iterable[object] = (),
        rules: ListRules | None = None,
    ) -> pl.DataFrame:
        """Return the k best next items: rank (from 1), item_id, score.

        As `Recommender.recommend` gives for these clicks; before a known click, the popular items.
        Raise DataError for k < 1, if no item may be recommended, and after another fit.
        """
        refuse_other(self._recommender, self._catalog)
        only = {"allow": allow, "deny": deny, "exclude_clicked": exclude_clicked}
        item_filter = filter_of(self._recommender, rules=rules, **only)
        with self._lock:
            (scores,), (items,) = best_of_running(
                self._recommender, [self._session], k, item_filter
            )
        if item_filter is not None:
            left = np.isfinite(scores)
            scores, items = scores[left], items[left]
        ids = pl.Series(
            ITEM_ID, self._catalog.ids_of(items.tolist()), dtype=self._catalog.item_ids.dtype
        )
        ranks = pl.Series(RANK, np.arange(1, len(items) + 1))
        return pl.DataFrame([ranks, ids, pl.Series(SCORE, scores)])

    def outcome(self) -> dict[Any, float]:
        """Return how likely each outcome of the session is, by its clicks so far.

        The keys are the classes, in the type of the training log. Before a known click these are
        the shares of the training log. Raise DataError for a recommender that was not trained with
        an outcome, and after another fit.
        """
        refuse_other(self._recommender, self._catalog)
        with self._lock:
            (found,) = outcomes_of_running(self._recommender, [self._session])
        return found
