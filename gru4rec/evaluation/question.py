"""What is asked of every recommender, and refused before anything is measured."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gru4rec.clicks import ClickSource
from gru4rec.config import TrainingConfig
from gru4rec.errors import ConfigError, DataError, choose
from gru4rec.evaluation.list_metrics import ItemFacts
from gru4rec.evaluation.measurements import (
    METRICS,
    OF_CATEGORIES,
    OF_LISTS,
    OF_VECTORS,
    REWARD,
    TIE_RATE,
)
from gru4rec.evaluation.slices import SLICES
from gru4rec.metrics import TIES
from gru4rec.recommenders import Recommender
from gru4rec.serving import ItemFilter, ListRules, kinds_of, vectors_of


@dataclass(frozen=True)
class Candidate:
    """What has rows of its own in the table: a recommender as it is, or under a set of rules."""

    name: str
    recommender: str
    """The name of its recommender."""
    item_filter: ItemFilter | None = None


@dataclass(frozen=True)
class Question:
    """What `evaluate` is asked; see there."""

    ks: Sequence[int]
    ties: str
    metrics: Sequence[str]
    by: Sequence[str]
    against: str | None
    through_index: bool
    rules: Mapping[str, ListRules]
    items_table: ClickSource | None
    category: str | None
    events: TrainingConfig | None = None
    """The settings that say which types of events are targets; None for those of a training."""

    @property
    def depth(self) -> int:
        """How many items of lists are looked at; 0 if ranks alone will do."""
        needs_lists = self.through_index or self.rules or OF_LISTS & set(self.metrics)
        return max(self.ks) if needs_lists else 0

    def check(self, recommenders: Mapping[str, Recommender]) -> None:
        """Raise ConfigError or DataError for what cannot be answered, or says nothing."""
        if not recommenders or not self.metrics:
            raise DataError("nothing to evaluate: give at least one recommender and one metric")
        if not self.ks:
            raise DataError("nothing to evaluate: give a k of at least 1")
        choose("tie rule", self.ties, TIES)
        for metric in self.metrics:
            choose("metric", metric, dict.fromkeys(METRICS))
        for name in self.by:
            choose("slice", name, SLICES)
        if REWARD in self.metrics and not self.events_asked(recommenders).rewards:
            raise ConfigError(
                "the metric reward needs rewards by the type of an event; give them",
                mend_with=["reward", "event_col"],
            )
        if "event" in self.by and not self.events_asked(recommenders).event_column:
            raise ConfigError(
                "slices by event need event_col, the column of the types of events",
                mend_with=["event_col"],
            )
        has_ties = self.ties != "conservative" or TIE_RATE in self.metrics
        if has_ties and (self.through_index or self.rules):
            raise ConfigError(
                "through an index and under rules there are no ties: of equal scores one stands "
                "first; leave out ties and tie_rate"
            )
        self._check_category()
        names = [name for name, _, _ in self._named(recommenders)]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ConfigError(
                f"two rows of the table would be {min(doubled)!r}; give a set of rules another name"
            )
        if self.against is not None:
            choose("recommender to compare with", self.against, dict.fromkeys(names))

    def events_asked(self, recommenders: Mapping[str, Recommender]) -> TrainingConfig:
        """Return the settings that say what targets weigh: those given, or of the first training.

        It is the first recommender that was trained with types of events.
        """
        if self.events is not None:
            return self.events
        trained = (recommender.model_settings.training for recommender in recommenders.values())
        return next((one for one in trained if one.event_column), TrainingConfig())

    def _check_category(self) -> None:
        reads = ", ".join(sorted(OF_CATEGORIES))
        needs = bool(OF_CATEGORIES & set(self.metrics))
        if needs and self.category is None:
            raise ConfigError(
                f"the metrics {reads} need category, the name of a column of the table of items",
                mend_with=["category"],
            )
        given = {"category": self.category, "items_table": self.items_table}
        idle = [name for name, value in given.items() if value is not None and not needs]
        if idle:
            raise ConfigError(
                f"no metric of {reads} is asked for, and no other reads {' and '.join(idle)}",
                mend_with=idle,
            )

    def candidates(self, recommenders: Mapping[str, Recommender]) -> Iterator[Candidate]:
        """Yield each recommender as it is, then under each set of rules.

        Raise DataError or ConfigError for rules that cannot be applied to one.
        """
        for row, name, rules in self._named(recommenders):
            try:
                item_filter = None if rules is None else rules.on(recommenders[name])
            except (DataError, ConfigError) as error:
                raise type(error)(f"{row}: {error}", mend_with=error.mend_with) from error
            yield Candidate(row, name, item_filter)

    def facts_of(self, name: str, recommender: Recommender) -> ItemFacts:
        """Return what the metrics read of the items of a recommender.

        Raise DataError if it has no vectors and a metric needs some, or if there is no table that
        can be read, ConfigError if it lacks the column.
        """
        vectors = vectors_of(recommender) if OF_VECTORS & set(self.metrics) else None
        if vectors is None and OF_VECTORS & set(self.metrics):
            raise DataError(
                f"{' and '.join(OF_VECTORS)} needs vectors of items, and {name} has none; leave "
                "out the metric or the recommender"
            )
        kinds = None
        if self.category is not None:
            kinds = kinds_of(recommender, self.items_table, self.category)
        return ItemFacts(recommender.catalog.support, vectors, kinds)

    def _named(
        self, recommenders: Mapping[str, Recommender]
    ) -> Iterator[tuple[str, str, ListRules | None]]:
        """Yield the name of each candidate, that of its recommender, and its rules."""
        for name in recommenders:
            yield name, name, None
            for rule, rules in self.rules.items():
                yield under(name, rule), name, rules


def under(recommender: str, rules: str) -> str:
    """Return the name that a recommender has in the table under a set of rules."""
    return f"{recommender}, {rules}"
