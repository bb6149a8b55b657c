"""Score all items after clicks by a model, and measure it on held-out sessions."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import IntArray
from gru4rec.metrics import mrr_at, ranks_in_pieces, recall_at
from gru4rec.model import Model, session_vectors
from gru4rec.serving import RepeatHead, chunks_of_block, row_blocks
from gru4rec.sessions import ItemLinks, SessionArrays, sent
from gru4rec.training.ranks import ONE, Ranks


@torch.inference_mode()
def scores_after(
    model: Model, sessions: SessionArrays, clicks: IntArray, repeats: RepeatHead | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of `clicks` and the scores of all items after them; see `Recommender.score`.

    With a head, own items are scored by it.
    """
    yield from scores_by(
        lambda asked: queries_after(model, sessions, asked),
        model.item_vectors(),
        sessions,
        clicks,
        repeats,
    )


def queries_after(model: Model, sessions: SessionArrays, clicks: IntArray) -> Tensor:
    """Return the query after each click [M, D]; see `Model.query_vectors`."""
    vectors = torch.empty(len(clicks), model.encoder.output_size, device=model.output_table.device)
    for rows, encoded in session_vectors(model, sessions, clicks):
        vectors[sent(rows, vectors.device)] = encoded
    return model.query_vectors(vectors)


@torch.inference_mode()
def scores_by(
    queries_after: Callable[[IntArray], Tensor],
    item_vectors_ND: Tensor,
    sessions: SessionArrays,
    clicks: IntArray,
    repeats: RepeatHead | None = None,
) -> Iterator[tuple[slice, Tensor]]:
    """Do as `scores_after`, by what makes the queries after clicks [M, D] and the item vectors."""
    item_vectors_DN, device = item_vectors_ND.t(), item_vectors_ND.device
    links = None if repeats is None else ItemLinks.of(sessions)
    for block in row_blocks(len(clicks), device):
        queries = queries_after(clicks[block])
        own = None if links is None else links.own_items(clicks[block])
        for rows in chunks_of_block(block, len(item_vectors_ND), device):
            start, stop = rows.start - block.start, rows.stop - block.start
            scores = queries[start:stop] @ item_vectors_DN
            if repeats is not None and own is not None:
                repeats.rescore(scores, own.of_rows(start, stop))
            yield rows, scores


def measured(
    model: Model,
    sessions: SessionArrays,
    repeats: RepeatHead | None = None,
    processes: Ranks = ONE,
) -> dict[str, float]:
    """Return recall@20 and mrr@20 of every click of a session but the first.

    Each of several processes measures on sessions of its own, perhaps none; the figures are of all.
    """
    ranks, prefixes = torch.empty(0), sessions.prefixes()
    if len(prefixes) or processes.size == 1:
        scored = scores_after(model, sessions, prefixes, repeats)
        ranks = ranks_in_pieces(scored, sessions.items[prefixes + 1])
    if processes.size > 1:
        every = processes.gathered(ranks.long().numpy())
        ranks = torch.from_numpy(np.concatenate(every)).double()
    return {"recall@20": recall_at(20, ranks), "mrr@20": mrr_at(20, ranks)}
