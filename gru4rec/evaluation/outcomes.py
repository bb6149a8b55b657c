"""What became of every target of a log: its rank, and what was recommended in its place."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from gru4rec.arraytypes import Float64Array, Int32Array, IntArray, UInt16Array
from gru4rec.metrics import num_tied, ranks
from gru4rec.recommenders import Recommender
from gru4rec.serving import ItemFilter, lists_after, top_k
from gru4rec.sessions import NO_CODES, NO_EVENTS, EventTypes, ItemLinks, SessionArrays, sent


@dataclass(frozen=True)
class Outcomes:
    """Of one recommender on the sessions of a log: M targets that it knows in S sessions."""

    ranks: torch.Tensor
    """Rank of each target, from 1; infinite where it was looked for in a list and not found
    [M]."""
    session: IntArray
    """Number of its session [M]."""
    position: IntArray
    """Clicks on known items before it in its session [M]."""
    item: IntArray
    """Item index [M]."""
    tied: Int32Array | None
    """Other items that score as it does, where asked for [M]."""
    best: Int32Array | None
    """What is recommended before it, where asked for; −1 where nothing is [M, depth]."""
    since: IntArray
    """Clicks since its item was clicked in the session, 1 for the last click; 0 if it was not
    [M]."""
    clicked: IntArray
    """Item index of every click on a known item, session after session."""
    lengths: IntArray
    """Clicks on known items of each session [S]."""
    unknown_targets: IntArray
    """Targets of each session that the recommender does not know [S]."""
    num_unknown: int
    """Clicks on unknown items, first ones of a session among them."""
    events: UInt16Array = field(default_factory=lambda: NO_CODES)
    """Code of the type of each target among `event_types` [M]; [0] without types."""
    event_types: EventTypes = NO_EVENTS
    """What these codes stand for, and what each weighs."""

    @property
    def weights(self) -> Float64Array | None:
        """What each target weighs [M]; None if all weigh the same."""
        weights = self.event_types.by_code[self.events]
        return weights if len(weights) and np.ptp(weights) > 0 else None

    @property
    def rewards(self) -> Float64Array:
        """What each target is worth, by its type [M]."""
        return np.array(self.event_types.rewards)[self.events]

    def lists(self, k: int) -> IntArray:
        """Return the best k items before each target [M, k]; −1 is no item.

        Raise ValueError if they were not asked for.
        """
        if self.best is None:
            raise ValueError("these outcomes were made without lists")
        return self.best[:, :k].astype(np.int64)


def outcomes_of(
    recommender: Recommender,
    sessions: SessionArrays,
    *,
    ties: str = "conservative",
    count_ties: bool = False,
    depth: int = 0,
    through_index: bool = False,
    item_filter: ItemFilter | None = None,
    on_targets: Callable[[int], None] = lambda count: None,
) -> Outcomes:
    """Rank every click but the first of each session, given those before it, in one pass.

    With `depth` the best so many items are kept too. With `through_index`, and with a filter, a
    target's rank is its place in the list of `depth` items that is served, infinite if it is not in
    it. `on_targets` is told of how many more targets are done.
    """
    depth = min(depth, len(recommender.catalog))
    before = sessions.prefixes()
    session = np.repeat(np.arange(len(sessions)), sessions.lengths)[before]
    own = sessions.own_starts
    position = before - own[session] + 1
    all_ranks = torch.full((len(before),), torch.inf, dtype=torch.float64)
    tied = torch.zeros(len(before), dtype=torch.int32) if count_ties else None
    best = torch.zeros((len(before), depth), dtype=torch.int32) if depth else None
    targets = sessions.items[before + 1]
    earlier = ItemLinks.of(sessions).before[before + 1]
    if through_index or item_filter is not None:
        lists = lists_after(recommender, sessions, before, depth, item_filter)
        for rows, scores_of_rows, found in lists:
            items = np.where(np.isneginf(scores_of_rows), -1, found)
            is_target = items == targets[rows][:, None]
            places = np.where(is_target.any(axis=1), is_target.argmax(axis=1) + 1.0, np.inf)
            all_ranks[rows] = torch.from_numpy(places)
            if best is not None:
                best[rows] = torch.from_numpy(items).int()
            on_targets(len(targets[rows]))
    else:
        for rows, scores in recommender.score(sessions, before):
            wanted = sent(targets[rows], scores.device)
            # All is counted where the scores are, and comes back as one.
            all_ranks = all_ranks.to(scores.device)
            all_ranks[rows] = ranks(scores, wanted, ties=ties)
            if tied is not None:
                tied = tied.to(scores.device)
                tied[rows] = num_tied(scores, wanted)
            if best is not None:
                best = best.to(scores.device)
                best[rows] = top_k(scores, depth).int()
            on_targets(len(targets[rows]))
    return Outcomes(
        ranks=all_ranks.cpu(),
        session=session,
        position=position,
        item=targets,
        tied=None if tied is None else tied.cpu().numpy(),
        best=None if best is None else best.cpu().numpy(),
        since=np.where(earlier < own[session], 0, before + 1 - earlier),
        clicked=sessions.alone().items,
        lengths=sessions.offsets[1:] - own,
        events=sessions.events[before + 1] if len(sessions.events) else sessions.events,
        event_types=sessions.event_types,
        unknown_targets=sessions.unknown_targets,
        num_unknown=sessions.num_unknown,
    )
