"""Session-based recommendation with GRU4Rec: from a click log to the next items."""

from importlib.metadata import version
from typing import TYPE_CHECKING

from gru4rec.clicks import watch_forks
from gru4rec.faces import lazy_face

if TYPE_CHECKING:
    from gru4rec.clicks import generate_clicks, read_clicks, split_by_time, split_last
    from gru4rec.config import Config, EncoderConfig, TrainingConfig
    from gru4rec.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        DeviceError,
        DivergenceError,
        ForkedError,
        Gru4RecError,
        LostRankError,
        MissingExtraError,
        NotFittedError,
        StoppedError,
    )
    from gru4rec.evaluation import evaluate
    from gru4rec.exporting import export_onnx
    from gru4rec.preparation import Recipe, prepare
    from gru4rec.recommenders import (
        SKNN,
        STAN,
        VMISKNN,
        VSKNN,
        VSTAN,
        Ensemble,
        Fusion,
        GRU4Rec,
        ItemKNN,
        Markov,
        Popularity,
        RecentPopularity,
        Recommender,
        SequentialRules,
        SessionPopularity,
        load,
    )
    from gru4rec.serving import ListRules, SessionStore
    from gru4rec.training import MLflow, TensorBoard, Tracker, WandB
    from gru4rec.tuning import shrink, tune

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
    "Ensemble",
    "ForkedError",
    "Fusion",
    "GRU4Rec",
    "Gru4RecError",
    "ItemKNN",
    "ListRules",
    "LostRankError",
    "MLflow",
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
    "TensorBoard",
    "Tracker",
    "TrainingConfig",
    "WandB",
    "evaluate",
    "export_onnx",
    "generate_clicks",
    "load",
    "prepare",
    "read_clicks",
    "shrink",
    "split_by_time",
    "split_last",
    "tune",
]

__getattr__, __dir__ = lazy_face(__name__)

watch_forks()
