"""Which items may be recommended: allow and deny lists, and those of the session itself."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gru4rec.arrays import IntArray, SessionArrays, ranges
from gru4rec.catalog import Catalog
from gru4rec.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ItemFilter:
    """The items that may be recommended; all others score −∞."""

    allowed: npt.NDArray[np.bool_]
    """By item index [N]."""
    exclude_clicked: bool = False
    """Whether the items of the session so far are left out too."""

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        *,
        allow: Iterable[object] | None = None,
        deny: Iterable[object] = (),
        exclude_clicked: bool = False,
    ) -> Self | None:
        """The filter of lists of item ids; None if it lets all pass.

        Unknown ids are logged and passed over. Raises DataError if nothing is left to recommend.
        """
        allowed = np.full(len(catalog), allow is None)
        for ids, may in ((() if allow is None else allow, True), (deny, False)):
            if isinstance(ids, str):
                raise DataError(f"items to allow or deny are a list of ids, got {ids!r}")
            indexes = [catalog.find(item) for item in ids]
            known = [index for index in indexes if index is not None]
            if unknown := len(indexes) - len(known):
                logger.warning(
                    "%d items to %s are not in the catalog", unknown, "allow" if may else "deny"
                )
            allowed[known] = may
        if not allowed.any():
            raise DataError("no item of the catalog is left to recommend; check --allow and --deny")
        return None if allowed.all() and not exclude_clicked else cls(allowed, exclude_clicked)

    def masked(self, scores_MN: Tensor, sessions: SessionArrays, clicks: IntArray) -> Tensor:
        """Scores after each click [M, N], −∞ for the items that may not be recommended."""
        banned = torch.from_numpy(~self.allowed).to(scores_MN.device)
        masked = scores_MN.masked_fill(banned, -torch.inf)
        if self.exclude_clicked:
            starts = sessions.starts_of(clicks)
            places, rows = ranges(starts, clicks + 1 - starts)
            clicked = torch.from_numpy(np.stack((rows, sessions.items[places])))
            masked[tuple(clicked.to(masked.device))] = -torch.inf
        return masked
