"""Logistic regression on counts: what tells the outcome of a session if order says nothing."""

from typing import Self

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from gru4rec.evaluation.outcome_metrics import surprises

_STRENGTHS = (0.01, 0.05, 0.2, 1.0, 5.0)  # C of scikit-learn
_HELD_OUT = 0.1  # of the sessions, the last ones, on which it is chosen


class Counts:
    """Foretells a truth value by how often each item was clicked so far (a bag of items).

    Logs have the columns session_id and item_id; the rows of a session follow each other in time.
    """

    def fit(self, clicks: pl.DataFrame, outcome: str) -> Self:
        """Learn from every prefix of every session.

        The strength that foretells the newest tenth of the sessions best is taken.
        """
        ids = clicks["session_id"].unique(maintain_order=True)
        older = clicks["session_id"].is_in(ids.head(round(len(ids) * (1 - _HELD_OUT))).implode())
        losses = {}
        for strength in _STRENGTHS:
            self._fit(clicks.filter(older), outcome, strength)
            held_out = clicks.filter(~older)
            came = held_out[outcome].to_numpy().astype(np.int64)
            losses[strength] = surprises(self.shares(held_out), came).mean()
        self._fit(clicks, outcome, min(losses, key=losses.__getitem__))
        return self

    def _fit(self, clicks: pl.DataFrame, outcome: str, strength: float) -> None:
        self._places = {item: place for place, item in enumerate(clicks["item_id"].unique().sort())}
        self._model = LogisticRegression(C=strength, max_iter=1000)
        self._model.fit(self._bags(clicks), clicks[outcome].to_numpy())

    def shares(self, clicks: pl.DataFrame) -> np.ndarray:
        """Return the probability of both classes after every click [M, 2]."""
        return self._model.predict_proba(self._bags(clicks))

    def _bags(self, clicks: pl.DataFrame) -> csr_matrix:
        """Count the items of each prefix [M, items]; those that were not learned are left out."""
        rows: list[int] = []
        columns: list[int] = []
        values: list[int] = []
        bag: dict[int, int] = {}
        before = None
        for row, (session, item) in enumerate(clicks.select("session_id", "item_id").iter_rows()):
            if session != before:
                bag, before = {}, session
            if (place := self._places.get(item)) is not None:
                bag[place] = bag.get(place, 0) + 1
            rows += [row] * len(bag)
            columns += bag.keys()
            values += bag.values()
        size = clicks.height, len(self._places)
        return csr_matrix((np.array(values, dtype=np.float64), (rows, columns)), shape=size)
