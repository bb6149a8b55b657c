"""Which items may be recommended: allow and deny lists, and those of the session itself."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from gru4rec.arraytypes import BoolArray, Float32Array, IntArray
from gru4rec.clicks import plain_ids
from gru4rec.errors import DataError
from gru4rec.serving.arrangement import Arrangement
from gru4rec.serving.index import ItemIndex
from gru4rec.sessions import Catalog, SessionArrays, ranges, sent

logger = logging.getLogger(__name__)

_NARROW = 1 / 16  # of the catalog


@dataclass(frozen=True)
class ItemFilter:
    """The items that may be recommended; all others score −∞. Rules may add more, see below."""

    allowed: BoolArray
    """By item index [N]."""
    exclude_clicked: bool = False
    """Whether the items of the session so far are left out too."""
    boosts: Float32Array | None = None
    """What is added to the score of each item [N]."""
    arrangement: Arrangement | None = None
    """How a list is made of the best."""
    _few: tuple[ItemIndex, ItemIndex, IntArray] | None = field(
        default=None, repr=False, compare=False
    )

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        *,
        allow: Iterable[object] | None = None,
        deny: Iterable[object] = (),
        exclude_clicked: bool = False,
        within: "ItemFilter | None" = None,
    ) -> "ItemFilter | None":
        """Return the filter of lists of item ids; None if it lets all pass.

        `within` is a filter that holds too, such as that of rules. Unknown ids are logged and
        passed over. Raise DataError if nothing is left to recommend.
        """
        if allow is None and isinstance(deny, tuple | list) and not (deny or exclude_clicked):
            return within  # soonest: a live answer waits
        if within is not None and allow is None and isinstance(deny, tuple | list) and not deny:
            return replace(within, exclude_clicked=True)  # what is kept of few items stays
        allowed = np.full(len(catalog), allow is None)
        for ids, may in ((() if allow is None else allow, True), (deny, False)):
            indexes = [catalog.find(item) for item in plain_ids(ids, ordered=False)]
            known = [index for index in indexes if index is not None]
            if unknown := len(indexes) - len(known):
                logger.warning(
                    "%d items to %s are not in the catalog", unknown, "allow" if may else "deny"
                )
            allowed[known] = may
        if within is not None:
            allowed &= within.allowed
        if not allowed.any():
            raise DataError(
                "no item of the catalog is left to recommend; check allow and deny",
                mend_with=["allow", "deny"],
            )
        if within is not None:
            exclude_clicked |= within.exclude_clicked
            return replace(
                within,
                allowed=allowed,
                exclude_clicked=exclude_clicked,
                _few=None,
            )
        return None if allowed.all() and not exclude_clicked else cls(allowed, exclude_clicked)

    def mask(
        self,
        scores_MN: Tensor,
        sessions: SessionArrays,
        clicks: IntArray,
        *,
        among: IntArray | None = None,
    ) -> None:
        """Add boosts to the scores after each click [M, N]; −∞ for what may not be recommended.

        With `among` the columns are some of the items, rising, which all may be.
        """
        if self.boosts is not None:
            boosts = self.boosts if among is None else self.boosts[among]
            scores_MN += sent(boosts, scores_MN.device)
        if among is None and not self._allows_all:
            scores_MN.masked_fill_(sent(~self.allowed, scores_MN.device), -torch.inf)
        if self.exclude_clicked:
            rows, clicked = _clicked(sessions, clicks)
            if among is not None:
                places = np.searchsorted(among, clicked).clip(max=len(among) - 1)
                is_among = among[places] == clicked
                rows, clicked = rows[is_among], places[is_among]
            places_MN = sent(np.stack((rows, clicked)), scores_MN.device)
            scores_MN[tuple(places_MN)] = -torch.inf

    def passes(self, items: IntArray, sessions: SessionArrays, clicks: IntArray) -> BoolArray:
        """Say whether each of the items [M, F] may be recommended after its click."""
        passing: BoolArray = self.allowed[items]
        if self.exclude_clicked:
            size = len(self.allowed)
            rows, clicked = _clicked(sessions, clicks)
            keys = items + size * np.arange(len(items))[:, None]
            passing &= ~np.isin(keys, clicked + size * rows)
        return passing

    def reach(self, k: int, sessions: SessionArrays, clicks: IntArray) -> int:
        """Return how many of the best items to look at so that k of them may well pass."""
        clicked = clicks + 1 - sessions.starts_of(clicks) if self.exclude_clicked else np.zeros(1)
        # If the best were allowed as often as any, 1 / share of them would do on average.
        wanted = k if self._allows_all else 2 * k / self.share + 10
        return int(wanted) + int(clicked.max(initial=0))

    @cached_property
    def passing(self) -> IntArray:
        """The items that may be recommended, rising."""
        return np.flatnonzero(self.allowed)

    @property
    def is_narrow(self) -> bool:
        """Whether so few items pass that their vectors are worth taking out; see `few_of`."""
        return self.share <= _NARROW

    def few_of(self, index: ItemIndex) -> tuple[ItemIndex, IntArray]:
        """Return an exact index of the items that pass, and these; kept for the next time."""
        kept = self._few
        if kept is None or kept[0] is not index:
            kept = index, index.of_items(self.passing), self.passing
            object.__setattr__(self, "_few", kept)  # it is no part of what the filter says
        return kept[1:]

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy or a pickle has of it: all but the index of few items."""
        return {**vars(self), "_few": None}

    @cached_property
    def share(self) -> float:
        """The share of the catalog that may be recommended."""
        return np.count_nonzero(self.allowed) / len(self.allowed)

    @property
    def _allows_all(self) -> bool:
        return self.share == 1.0


def _clicked(sessions: SessionArrays, clicks: IntArray) -> tuple[IntArray, IntArray]:
    """Return the rows of `clicks`, and the items of their sessions up to and with them [e]."""
    starts = sessions.starts_of(clicks)
    places, rows = ranges(starts, clicks + 1 - starts)
    return rows, sessions.items[places]
