"""Make tables of vectors whose dot products are the scores: of items, and of sessions."""

import logging
from collections.abc import Iterator

import numpy as np
import polars as pl

from gru4rec.arraytypes import Float32Array
from gru4rec.errors import DataError
from gru4rec.recommenders import Indexed, Recommender
from gru4rec.schema import ITEM_ID, SESSION_ID
from gru4rec.sessions import Prefixes, SessionArrays

logger = logging.getLogger(__name__)

_VECTOR, _SUPPORT = "vector", "support"
_AT_ONCE = 100_000  # sessions


def item_table(recommender: Recommender) -> pl.DataFrame:
    """Return a table of the items by item index: item_id, vector (a list of float32), support.

    The vectors are those of `item_vectors()`: ready for dot products with those of `session_table`,
    of length 1 if scores are cosines, else with the bias behind. Raise DataError for a recommender
    that has none.
    """
    recommender = _indexed(recommender)
    vectors, catalog = recommender.item_vectors(), recommender.catalog
    return pl.DataFrame(
        {ITEM_ID: catalog.item_ids, _VECTOR: _lists(vectors), _SUPPORT: catalog.support}
    )


def session_table(recommender: Recommender, prefixes: Prefixes) -> pl.DataFrame:
    """Return a table of sessions: session_id, vector (a list of float32), after the last click.

    Dot products with the vectors of `item_table` are the scores of items, before the repeat head.
    Sessions keep their order; those without a known item have no vector, are left out, and counted
    in the log. `prefixes` are as in `recommend`. Raise DataError for a recommender without vectors.
    """
    return pl.concat(session_pieces(recommender, prefixes))


def session_pieces(recommender: Recommender, prefixes: Prefixes) -> Iterator[pl.DataFrame]:
    """Yield what `session_table` returns, some sessions at a time, for logs larger than memory."""
    recommender = _indexed(recommender)
    unknown = 0
    for arrays in recommender.reader.pieces(prefixes):
        known = np.flatnonzero(arrays.lengths)
        unknown += len(arrays) - len(known)
        for start in range(0, max(1, len(known)), _AT_ONCE):
            yield _of_sessions(recommender, arrays.take(known[start : start + _AT_ONCE]))
    if unknown:
        logger.warning("%d sessions have no item that the model knows: left out", unknown)


def _of_sessions(recommender: Indexed, arrays: SessionArrays) -> pl.DataFrame:
    """Return the rows of sessions, each of which has a click."""
    vectors = np.empty((len(arrays), recommender.index.width), dtype=np.float32)
    for rows, queries in recommender.queries(arrays, arrays.offsets[1:] - 1):
        vectors[rows] = queries.numpy(force=True)
    return pl.DataFrame({SESSION_ID: arrays.session_ids, _VECTOR: _lists(vectors)})


def _lists(vectors: Float32Array) -> pl.Series:
    return pl.Series(vectors, dtype=pl.Array(pl.Float32, vectors.shape[1])).arr.to_list()


def _indexed(recommender: Recommender) -> Indexed:
    if not isinstance(recommender, Indexed):
        raise DataError(
            f"a {recommender.name} has no vectors; export those of a GRU4Rec or an ensemble"
        )
    return recommender
