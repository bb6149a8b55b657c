"""The peers a model must beat: recommenders without a neural net."""

from collections.abc import Callable, Mapping

from gru4rec.baselines.markov import Markov
from gru4rec.baselines.popularity import Popularity
from gru4rec.errors import choose
from gru4rec.recommender import Recommender

BASELINES: Mapping[str, Callable[[], Recommender]] = {"popularity": Popularity, "markov": Markov}


def make_baseline(name: str) -> Recommender:
    """The baseline of that name, not yet fitted. Raises ConfigError for an unknown name."""
    return choose("baseline", name, BASELINES)()


__all__ = ["BASELINES", "Markov", "Popularity", "make_baseline"]
