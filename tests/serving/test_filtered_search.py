"""Filtered retrieval gives what all scores give, through whichever index."""

import numpy as np
import polars as pl
import pytest

from gru4rec.serving.filtered_search import search_allowed
from gru4rec.serving.filters import ItemFilter
from gru4rec.serving.index import ItemIndex
from gru4rec.sessions.arrays import SessionArrays

ITEMS, WIDTH, SESSIONS = 2000, 8, 12


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((ITEMS, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def sessions() -> SessionArrays:
    items = np.random.default_rng(1).integers(0, ITEMS, 4 * SESSIONS)
    return SessionArrays(pl.Series(range(SESSIONS)), items, np.arange(0, 4 * SESSIONS + 1, 4))


def expected(vectors, queries, only, sessions, clicks, k) -> np.ndarray:
    scores = queries @ vectors.T
    scores[:, ~only.allowed] = -np.inf
    if only.exclude_clicked:
        for row, click in enumerate(clicks):
            scores[row, sessions.items[click // 4 * 4 : click + 1]] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("count", [1, SESSIONS])
@pytest.mark.parametrize("clicked", [False, True])
@pytest.mark.parametrize("allowed", [1.0, 0.9, 0.5, 0.02])
@pytest.mark.parametrize("factory", ["Flat", "HNSW32"])
def test_it_gives_the_best_that_pass(vectors, sessions, factory, allowed, clicked, count):
    index = ItemIndex.build(vectors, factory)
    index.set_effort(1024)
    only = ItemFilter(np.random.default_rng(2).random(ITEMS) < allowed, clicked)
    clicks = sessions.offsets[1:][:count] - 1
    queries = vectors[sessions.items[clicks]]  # the best item is the last one clicked itself
    scores, items = search_allowed(index, queries, 20, only, sessions, clicks)
    assert np.array_equal(items, expected(vectors, queries, only, sessions, clicks, 20))
    assert np.allclose(scores, np.take_along_axis(queries @ vectors.T, items, 1), atol=1e-4)


def test_where_too_few_of_the_best_pass_all_scores_decide(vectors, sessions, monkeypatch):
    """All items near the query are denied, so what the index proposes is of no use."""
    index, clicks = ItemIndex.build(vectors), sessions.offsets[1:2] - 1
    queries = vectors[sessions.items[clicks]]
    allowed = np.ones(ITEMS, dtype=bool)
    allowed[np.argsort(-(vectors @ queries[0]))[:500]] = False
    only, asked = ItemFilter(allowed), []
    by_all = ItemIndex.scan
    monkeypatch.setattr(ItemIndex, "scan", lambda *a: asked.append(1) or by_all(*a))
    _, items = search_allowed(index, queries, 20, only, sessions, clicks)
    assert asked
    assert np.array_equal(items, expected(vectors, queries, only, sessions, clicks, 20))


def test_where_fewer_items_exist_the_rest_score_minus_infinity(vectors, sessions):
    allowed = np.zeros(ITEMS, dtype=bool)
    allowed[[3, 1999]] = True
    clicks = sessions.offsets[1:] - 1
    queries = vectors[sessions.items[clicks]]
    scores, items = search_allowed(
        ItemIndex.build(vectors), queries, 5, ItemFilter(allowed), sessions, clicks
    )
    assert np.isfinite(scores).sum(axis=1).tolist() == [2] * SESSIONS
    assert {*items[:, :2].ravel().tolist()} == {3, 1999}
