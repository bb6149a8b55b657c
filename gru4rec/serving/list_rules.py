"""Rules for the lists that a shop shows: what may stand in one, what is favoured, how it varies."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from weakref import WeakKeyDictionary

import numpy as np

from gru4rec.arraytypes import IntArray
from gru4rec.clicks import ClickSource
from gru4rec.errors import ConfigError, DataError, choose
from gru4rec.serving.answering import Answering
from gru4rec.serving.arrangement import Arrangement
from gru4rec.serving.filters import ItemFilter
from gru4rec.serving.index import ItemIndex
from gru4rec.serving.item_columns import index_of, kinds_by, rows_of, vectors_of, where_true
from gru4rec.sessions import Catalog
from gru4rec.settings import read_toml
from gru4rec.untrusted import brief, fits, shown

logger = logging.getLogger(__name__)

_HIGHEST = 80.0  # of a boost: e^80 is still a float32


_KINDS: Mapping[str, Any] = {
    "allow_where": str | None, "allow": Sequence[int | str] | None, "deny": Sequence[int | str],
    "exclude_clicked": bool, "boosts": Mapping[str, float], "diversity": float,
    "at_most": int | None, "per": str | None,
}  # fmt: skip
_SAID = {
    "allow_where": "a predicate as text", "allow": "a list of item ids", "deny": "a list of ids",
    "exclude_clicked": "true or false", "boosts": 'numbers by predicates, { "price < 10" = 0.5 }',
    "diversity": "a number", "at_most": "a whole number", "per": "the name of a column",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ListRules:
    """What a list of recommended items is to be; without an argument nothing is asked.

    They apply in this order: `allow`, `deny`, `allow_where` and `exclude_clicked` say which items
    may be shown; `boosts` add to scores; `diversity` puts the 200 best in another order; `at_most`
    so many items of a kind are taken. A list has k items wherever k may be shown.

    Raise ConfigError for a value that is none.
    """

    allow_where: str | None = None
    """A SQL predicate over the columns of the table of items; a NULL in it is false."""
    allow: Sequence[object] | None = None
    """Ids of the only items to be shown."""
    deny: Sequence[object] = ()
    """Ids of items not to be shown."""
    exclude_clicked: bool = False
    """Whether the items of the session are left out."""
    boosts: Mapping[str, float] = field(default_factory=dict)
    """By a predicate like `allow_where`, what is added to the scores of items. Scores of a model
    are logarithms of odds: .7 makes an item about twice as likely. Of popular items, and of the
    scores of baselines, see `best_items`."""
    diversity: float = 0.0
    """From 0 to 1: how much an item unlike those before it is preferred; see `arrangement`."""
    at_most: int | None = None
    """Items of one kind in a list."""
    per: str | None = None
    """The column of the table of items that says the kind; items without one are not counted."""
    items_table: ClickSource | None = field(default=None, repr=False, compare=False)
    """Columns `item_id` and whatever predicates and `per` name. An item without a row has NULL in
    all of them. Left out, it is what the recommender keeps of the table that it learned by."""
    _bound: WeakKeyDictionary[Answering, tuple[Catalog, ItemIndex | None, ItemFilter]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            if not fits(_plain(getattr(self, name)), kind):
                raise ConfigError(
                    f"{name} of rules cannot be {shown(getattr(self, name))}; give {_SAID[name]}",
                    mend_with=[name],
                )
        if not 0 <= self.diversity <= 1:
            raise ConfigError(
                f"diversity lies between 0 and 1, got {self.diversity}", mend_with=["diversity"]
            )
        one_alone = (self.at_most is None) != (self.per is None)
        if one_alone or (self.at_most is not None and self.at_most < 1):
            raise ConfigError(
                f"got {self.at_most} and {shown(self.per)}: at_most (1 or more) and per (a column) "
                "go together",
                mend_with=["at_most", "per"],
            )
        if any(abs(boost) > _HIGHEST or math.isnan(boost) for boost in self.boosts.values()):
            raise ConfigError(f"boosts lie between −80 and 80, got {shown(dict(self.boosts))}")

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle has of it: all but what was made for recommenders."""
        return {name: value for name, value in vars(self).items() if name != "_bound"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in {**state, "_bound": WeakKeyDictionary()}.items():
            object.__setattr__(self, name, value)

    @property
    def reads_table(self) -> bool:
        """Whether they ask for what only a table of items tells."""
        return bool(self.allow_where is not None or self.boosts or self.per is not None)

    def on(self, recommender: Answering) -> ItemFilter:
        """Return these rules as a filter of the items of a recommender.

        What they read of the table is read here, once for all lists. Raise DataError if it cannot
        be, if no item may be shown, and for `diversity` of a recommender that has no item vectors.
        """
        index = index_of(recommender)
        catalog, known, bound = self._bound.get(recommender, (None, None, None))
        if bound is None or catalog is not recommender.catalog or known is not index:
            bound = self._made(recommender, index)
            self._bound[recommender] = recommender.catalog, index, bound
        return bound

    def _made(self, recommender: Answering, index: ItemIndex | None) -> ItemFilter:
        catalog = recommender.catalog
        allowed = ItemFilter.of(catalog, allow=self.allow, deny=self.deny)
        mask = np.ones(len(catalog), dtype=bool) if allowed is None else allowed.allowed
        boosts, kinds = None, None
        if self.reads_table:
            table = rows_of(self.items_table, recommender)
            if self.allow_where is not None:
                mask = mask & where_true(table, self.allow_where, "allow_where")
            if self.boosts:
                boosts = np.zeros(len(catalog), dtype=np.float32)
                for where, boost in self.boosts.items():
                    boosts[where_true(table, where, "boosts")] += np.float32(boost)
                np.clip(boosts, -_HIGHEST, _HIGHEST, out=boosts)  # so that e^boost is a number
            if self.per is not None:
                kinds = kinds_by(table, self.per)
        if not mask.any():
            raise DataError(
                f"the rules let none of the {len(catalog)} items of the catalog pass; check "
                "allow_where, allow and deny",
                mend_with=["allow_where", "allow", "deny"],
            )
        logger.info("rules: %d of %d items may be shown", np.count_nonzero(mask), len(catalog))
        arrangement = None
        if self.diversity or self.at_most is not None:
            if self.diversity and index is None:
                raise DataError(
                    "diversity needs vectors of items, and this recommender has none; leave it out",
                    mend_with=["diversity"],
                )
            vectors = vectors_of(recommender)
            most = None if kinds is None else _most_of(kinds[mask], self.at_most or 0)
            arrangement = Arrangement(self.diversity, vectors, self.at_most, kinds, most)
        made = ItemFilter(mask, self.exclude_clicked, boosts, arrangement)
        if index is not None and made.is_narrow:
            made.few_of(index)  # now, and not while somebody waits
        return made

    @classmethod
    def from_dict(cls, rules: Mapping[str, Any], *, items_table: ClickSource | None = None) -> Self:
        """Return the rules of plain values, by the names of the fields.

        Raise ConfigError for an unknown name, and as the class does.
        """
        for name in rules:
            choose("rule", name, _KINDS)
        return cls(**rules, items_table=items_table)

    @classmethod
    def from_toml(
        cls, path: str | Path, name: str | None = None, *, items_table: ClickSource | None = None
    ) -> "ListRules":
        """Return a set of rules of a TOML file by its name; of one set without. See `rule_sets`.

        Raise ConfigError as that does, for an unknown name, and without one if there are several.
        """
        sets = rule_sets(path, items_table=items_table)
        if name is None and len(sets) > 1:
            raise ConfigError(
                f"{path} has several sets of rules; choose one of {', '.join(sets)} by rule_set",
                mend_with=["rule_set"],
            )
        return choose("set of rules", name or next(iter(sets)), sets)


def filter_of(
    recommender: Answering, *, rules: ListRules | None = None, **only: Any
) -> ItemFilter | None:
    """Return the filter of rules and of what `ItemFilter.of` takes; None if all items may be shown.

    Raise DataError as both do.
    """
    within = None if rules is None else rules.on(recommender)
    return ItemFilter.of(recommender.catalog, within=within, **only)


def rule_sets(path: str | Path, *, items_table: ClickSource | None = None) -> dict[str, ListRules]:
    """Return the sets of rules of a TOML file, a section each, by name.

    A file of rules without sections is one set, which has the name of the file. Raise ConfigError
    if it cannot be read, names a rule that is none, or has no set.
    """
    sets = read_toml(path)
    if sets and sets.keys() <= _KINDS.keys():
        sets = {Path(path).stem: sets}
    if not sets or not all(isinstance(rules, Mapping) for rules in sets.values()):
        raise ConfigError(f"{path} has no sets of rules; give each a section, such as [front-page]")
    made = {}
    for name, rules in sets.items():
        try:
            made[name] = ListRules.from_dict(rules, items_table=items_table)
        except ConfigError as error:
            raise ConfigError(f"rules [{brief(name, most=50)}] of {path}: {error}") from error
    return made


def _most_of(kinds: IntArray, at_most: int) -> int:
    """Return how many items a list can have, by the kinds of all that may be shown."""
    counts = np.bincount(kinds + 1)  # −1 stands for no kind
    return int(counts[0] + np.minimum(counts[1:], at_most).sum())


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: lists in place of other sequences."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
