"""Session-based recommendation with GRU4Rec: from a click log to the next items."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gru4rec.baselines import (
        SKNN,
        STAN,
        VMISKNN,
        VSKNN,
        VSTAN,
        ItemKNN,
        Markov,
        Popularity,
        RecentPopularity,
        SequentialRules,
        SessionPopularity,
    )
    from gru4rec.clicks import read_clicks
    from gru4rec.config import Config, EncoderConfig, TrainingConfig
    from gru4rec.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        DeviceError,
        DivergenceError,
        Gru4RecError,
        MissingExtraError,
        NotFittedError,
        StoppedError,
    )
    from gru4rec.evaluation import evaluate
    from gru4rec.fusion import Fusion
    from gru4rec.gru4rec import GRU4Rec
    from gru4rec.loading import load
    from gru4rec.preparation import prepare
    from gru4rec.recipe import Recipe
    from gru4rec.recommender import Recommender
    from gru4rec.session_store import SessionStore
    from gru4rec.shrinking import shrink
    from gru4rec.split import split_by_time, split_last
    from gru4rec.synthetic import generate_clicks
    from gru4rec.tuning import tune

# Imported on first use: torch and faiss take seconds, and `gru4rec --help` needs neither.
_HOMES = {
    "gru4rec.baselines": (
        "ItemKNN",
        "Markov",
        "Popularity",
        "RecentPopularity",
        "SKNN",
        "STAN",
        "SequentialRules",
        "SessionPopularity",
        "VMISKNN",
        "VSKNN",
        "VSTAN",
    ),
    "gru4rec.clicks": ("read_clicks",),
    "gru4rec.config": ("Config", "EncoderConfig", "TrainingConfig"),
    "gru4rec.errors": (
        "CheckpointError",
        "ConfigError",
        "DataError",
        "DeviceError",
        "DivergenceError",
        "Gru4RecError",
        "MissingExtraError",
        "NotFittedError",
        "StoppedError",
    ),
    "gru4rec.evaluation": ("evaluate",),
    "gru4rec.fusion": ("Fusion",),
    "gru4rec.gru4rec": ("GRU4Rec",),
    "gru4rec.loading": ("load",),
    "gru4rec.preparation": ("prepare",),
    "gru4rec.recipe": ("Recipe",),
    "gru4rec.recommender": ("Recommender",),
    "gru4rec.session_store": ("SessionStore",),
    "gru4rec.shrinking": ("shrink",),
    "gru4rec.split": ("split_by_time", "split_last"),
    "gru4rec.synthetic": ("generate_clicks",),
    "gru4rec.tuning": ("tune",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__version__ = version("gru4rec")

__all__ = [
    "SKNN",
    "STAN",
    "VMISKNN",
    "VSKNN",
    "VSTAN",
    "CheckpointError",
    "Config",
    "ConfigError",
    "DataError",
    "DeviceError",
    "DivergenceError",
    "EncoderConfig",
    "Fusion",
    "GRU4Rec",
    "Gru4RecError",
    "ItemKNN",
    "Markov",
    "MissingExtraError",
    "NotFittedError",
    "Popularity",
    "RecentPopularity",
    "Recipe",
    "Recommender",
    "SequentialRules",
    "SessionPopularity",
    "SessionStore",
    "StoppedError",
    "TrainingConfig",
    "evaluate",
    "generate_clicks",
    "load",
    "prepare",
    "read_clicks",
    "shrink",
    "split_by_time",
    "split_last",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'gru4rec' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
