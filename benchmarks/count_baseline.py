"""Logistic regression on counts: what tells the outcome of a session if order says nothing."""

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression


class Counts:
    """Foretells a truth value by how often each item was clicked so far (a bag of items)."""

    def __init__(self, *, strength: float = 1.0) -> None:
        self._model = LogisticRegression(C=strength, max_iter=1000)

    def fit(self, clicks: pl.DataFrame, outcome: str) -> "Counts":
        """Learn from every prefix of every session, the rows of a session being in their order."""
        self._items = clicks["item_id"].unique().sort()
        self._model.fit(self._bags(clicks), clicks[outcome].to_numpy())
        return self

    def shares(self, clicks: pl.DataFrame) -> np.ndarray:
        """Return the probability of both classes after every click [M, 2]."""
        return self._model.predict_proba(self._bags(clicks))

    def _bags(self, clicks: pl.DataFrame) -> csr_matrix:
        """Count the items of each prefix [M, items]; those that were not learned are left out."""
        place_of = {item: place for place, item in enumerate(self._items)}
        rows, columns, values = [], [], []
        bag: dict[int, int] = {}
        before = None
        for row, (session, item) in enumerate(clicks.select("session_id", "item_id").iter_rows()):
            if session != before:
                bag, before = {}, session
            if item in place_of:
                bag[place_of[item]] = bag.get(place_of[item], 0) + 1
            rows += [row] * len(bag)
            columns += bag.keys()
            values += bag.values()
        size = clicks.height, len(self._items)
        return csr_matrix((np.array(values, dtype=np.float64), (rows, columns)), shape=size)
