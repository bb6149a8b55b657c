"""`import gru4rec` gives exactly what `__all__` names, and nothing heavy before it is used."""

import subprocess
import sys

import gru4rec
from gru4rec.recommenders.loading import kinds


def test_every_public_name_is_there():
    for name in gru4rec.__all__:
        assert getattr(gru4rec, name) is not None


def test_all_is_what_is_public_once_each():
    assert len(set(gru4rec.__all__)) == len(gru4rec.__all__)
    assert set(gru4rec.__all__) <= set(dir(gru4rec))


OF_0_1_0 = [
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
OF_A_RECOMMENDER = [
    "fit",
    "recommend",
    "recommend_in_pieces",
    "recommend_many",
    "click_many",
    "next_items",
    "start_session",
    "sessions",
    "save",
    "load",
]


def test_nothing_public_is_lost():
    assert set(OF_0_1_0) <= set(gru4rec.__all__)
    for kind in kinds().values():
        assert set(OF_A_RECOMMENDER) <= set(dir(kind))
    assert {"decide", "item_vectors"} <= set(dir(gru4rec.GRU4Rec))
    assert {"save", "restore", "end"} <= set(dir(gru4rec.SessionStore))


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(gru4rec, "no_such_name")


def test_every_public_name_says_what_it_is():
    for name in gru4rec.__all__:
        assert (getattr(gru4rec, name).__doc__ or "").strip(), name


def test_importing_the_package_imports_neither_torch_nor_faiss_nor_polars():
    code = (
        "import gru4rec, sys; print([m for m in ('torch', 'faiss', 'polars') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
