"""The peers a model must beat: recommenders without a neural net."""

from collections.abc import Mapping

from gru4rec.errors import choose
from gru4rec.recommenders.baselines.baseline import Baseline
from gru4rec.recommenders.baselines.item_to_item import ItemKNN, Markov, SequentialRules
from gru4rec.recommenders.baselines.popularity import (
    Popularity,
    RecentPopularity,
    SessionPopularity,
)
from gru4rec.recommenders.baselines.session_knn import SKNN
from gru4rec.recommenders.baselines.stan import STAN, VSTAN
from gru4rec.recommenders.baselines.vs_knn import VMISKNN, VSKNN

_ALL: tuple[type[Baseline], ...] = (
    Popularity, RecentPopularity, SessionPopularity, Markov, SequentialRules, ItemKNN, SKNN, VSKNN,
    STAN, VSTAN, VMISKNN,
)  # fmt: skip

BASELINES: Mapping[str, type[Baseline]] = {baseline.name: baseline for baseline in _ALL}
"""By name; a new one is a class and an entry above."""


def make_baseline(name: str) -> Baseline:
    """Return the baseline of that name, not yet fitted. Raise ConfigError for an unknown name."""
    return choose("baseline", name, BASELINES)()


__all__ = [
    "BASELINES", "SKNN", "STAN", "VMISKNN", "VSKNN", "VSTAN", "Baseline", "ItemKNN", "Markov",
    "Popularity", "RecentPopularity", "SequentialRules", "SessionPopularity", "make_baseline",
]  # fmt: skip
