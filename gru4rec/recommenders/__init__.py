"""Whatever has fit and recommend: GRU4Rec, baselines, fusions; and their checkpoints."""

from typing import TYPE_CHECKING

from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.recommenders.baselines import BASELINES, make_baseline
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
    from gru4rec.recommenders.best import Best, fit_best
    from gru4rec.recommenders.checkpoint import fingerprint_of
    from gru4rec.recommenders.ensemble import Ensemble
    from gru4rec.recommenders.fusion import Fusion
    from gru4rec.recommenders.gru4rec import GRU4Rec
    from gru4rec.recommenders.indexed import Indexed
    from gru4rec.recommenders.loading import load
    from gru4rec.recommenders.recommender import Recommender

__all__ = [
    "BASELINES",
    "SKNN",
    "STAN",
    "VMISKNN",
    "VSKNN",
    "VSTAN",
    "Baseline",
    "Best",
    "Ensemble",
    "Fusion",
    "GRU4Rec",
    "Indexed",
    "ItemKNN",
    "Markov",
    "Popularity",
    "RecentPopularity",
    "Recommender",
    "SequentialRules",
    "SessionPopularity",
    "fingerprint_of",
    "fit_best",
    "load",
    "make_baseline",
]

__getattr__, __dir__ = lazy_face(__name__)
