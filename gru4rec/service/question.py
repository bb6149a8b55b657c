"""What a request asks: clicks to take in, items to find, and which of them may be shown."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gru4rec.recommenders import Recommender
from gru4rec.serving import ItemFilter, ListRules, filter_of

ItemId = int | str


class Clicked(NamedTuple):
    """A click as it was told: its item, and what is known of it besides."""

    item: ItemId
    known: Mapping[str, Any]
    """Its `timestamp` and side inputs, as `LiveSession.click` takes them."""


class Only(NamedTuple):
    """Which items may be recommended."""

    exclude_clicked: bool = False
    allow: tuple[ItemId, ...] | None = None
    deny: tuple[ItemId, ...] = ()
    rules: ListRules | None = None

    @property
    def key(self) -> Hashable:
        """What is the same of questions that are answered together."""
        return self.exclude_clicked, self.allow, self.deny, id(self.rules)

    def filter_of(self, recommender: Recommender) -> ItemFilter | None:
        """Return the filter, None if all may be. Raise DataError if none may."""
        if self.key == _ALL.key:
            return None
        catalog = recommender.catalog
        # Unknown items are no news in a service: they are left out before a filter counts them.
        allow, deny = (
            None if ids is None else [item for item in ids if catalog.find(item) is not None]
            for ids in (self.allow, self.deny)
        )
        only = {"allow": allow, "deny": deny or (), "exclude_clicked": self.exclude_clicked}
        return filter_of(recommender, rules=self.rules, **only)


_ALL = Only()


@dataclass(frozen=True, slots=True)
class Question:
    """One request for the next items of a session."""

    session_id: str | None
    """None: of a session that is not kept, which these clicks are."""
    clicks: Sequence[Clicked] = ()
    """New ones."""
    k: int = 20
    """Items to find; 0 for none."""
    only: Only = field(default_factory=Only)
    explain: bool = False
    outcome: bool = False
