"""An outcome that depends on the order of clicks alone is foretold nearly as well as it can be."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

import gru4rec as g4r
from gru4rec.evaluation.outcome_metrics import auc, calibration_error

pytestmark = pytest.mark.learns

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_order_is_foretold_within_a_hundredth_of_the_best_and_counts_do_not_see_it():
    ordered_log, counts = benchmark("ordered_outcomes").ordered_log, benchmark("count_baseline")
    train, test = ordered_log(12_000, seed=1), ordered_log(3000, seed=2)
    came, known = test["bought"].to_numpy().astype(int), test["known"].to_numpy()
    best = auc(np.stack((1 - known, known), axis=1), came)
    by_counts = auc(counts.Counts().fit(train, "bought").shares(test), came)
    config = g4r.Config().replace({"training.outcome": "bought", "encoder.repeats": False})
    recommender = g4r.GRU4Rec(config, device="cpu").fit(train)
    test = test.with_columns(pl.col("session_id") + 12_000)
    table = g4r.evaluate({"m": recommender}, test, ks=[20], outcome=True)
    figures = dict(table.select("metric", "value").iter_rows())
    assert figures["auc"] > best - 0.01
    assert figures["auc"] > by_counts + 0.1
    assert figures["calibration_error"] < 0.04
    assert calibration_error(np.stack((1 - known, known), axis=1), came) < 0.02
