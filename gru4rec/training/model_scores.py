"""Score all items after clicks by a model, and measure it on held-out sessions."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray
from gru4rec.metrics import mrr_at, ranks_in_pieces, recall_at
from gru4rec.model import Model, session_vectors
from gru4rec.serving import RepeatHead, chunks_of_block, row_blocks
from gru4rec.sessions import ItemLinks, SessionArrays


@torch.inference_mode()
def scores_after(
    model: Model, sessions: SessionArrays, clicks: IntArray, repeats: RepeatHead | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of `clicks` and the scores of all items after them; see `Recommender.score`.

    With a head, own items are scored by it.
    """
    item_vectors = model.item_vectors().t()
    links = None if repeats is None else ItemLinks.of(sessions)
    for block in row_blocks(len(clicks)):
        clicks_of_block = clicks[block]
        vectors = item_vectors.new_empty(len(clicks_of_block), model.encoder.output_size)
        for rows, encoded in session_vectors(model, sessions, clicks_of_block):
            vectors[torch.from_numpy(rows).to(vectors.device)] = encoded
        queries = model.query_vectors(vectors)
        own = None if links is None else links.own_items(clicks_of_block)
        for rows_of_chunk in chunks_of_block(block, len(model.output_table)):
            start, stop = rows_of_chunk.start - block.start, rows_of_chunk.stop - block.start
            scores = queries[start:stop] @ item_vectors
            if repeats is not None and own is not None:
                repeats.rescore(scores, own.of_rows(start, stop))
            yield rows_of_chunk, scores


def measured(
    model: Model, sessions: SessionArrays, repeats: RepeatHead | None = None
) -> dict[str, float]:
    """Return recall@20 and mrr@20 of every click of a session but the first."""
    prefixes = sessions.prefixes()
    scored = scores_after(model, sessions, prefixes, repeats)
    ranks = ranks_in_pieces(scored, sessions.items[prefixes + 1])
    return {"recall@20": recall_at(20, ranks), "mrr@20": mrr_at(20, ranks)}
