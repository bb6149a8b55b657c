"""Answers on Spark are those of `Recommender.recommend` on the same clicks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import gru4rec as g4r
from gru4rec.errors import CheckpointError, DataError
from gru4rec.recommenders import BASELINES, Recommender
from gru4rec.spark import Answers, recommend

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

BY = ["session_id", "rank"]


@pytest.fixture(scope="module")
def kinds(log: pl.DataFrame, trained: g4r.GRU4Rec) -> dict[str, Recommender]:
    """A recommender of each kind."""
    ensemble = g4r.Ensemble([trained, trained])
    fusion = g4r.Fusion([trained, g4r.VSTAN().fit(log)], weights=[0.5, 0.5])
    baselines = {name: kind().fit(log) for name, kind in BASELINES.items()}
    return {"gru4rec": trained, "ensemble": ensemble, "fusion": fusion, **baselines}


@pytest.fixture(scope="module")
def shop(trained: g4r.GRU4Rec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a small model."""
    folder = tmp_path_factory.mktemp("shop") / "model"
    trained.save(folder)
    return folder


@pytest.fixture(scope="module")
def visits(log: pl.DataFrame) -> pl.DataFrame:
    """Some sessions of the log, their clicks in no order; one of unknown items alone."""
    some = log.filter(pl.col("session_id").rle_id() % 3 == 0)
    unknown = some.head(2).with_columns(
        item_id=pl.lit("nonesuch"), session_id=pl.col("session_id").max() + 10_000
    )
    return pl.concat([some, unknown]).sample(fraction=1, shuffle=True, seed=1)


@pytest.fixture(scope="module")
def frame(spark: "SparkSession", visits: pl.DataFrame) -> "DataFrame":
    """The same as a frame of Spark, in two partitions."""
    return spark.createDataFrame(visits.to_arrow()).coalesce(2).cache()


def same(answers: "DataFrame", expected: pl.DataFrame) -> None:
    """Spark answers the same, in some order of sessions."""
    found = pl.DataFrame(answers.toArrow())
    assert found["session_id"].rle_id().n_unique() == expected["session_id"].n_unique()
    assert_frame_equal(found.sort(BY), expected.sort(BY), check_dtypes=False)


@pytest.mark.parametrize("kind", ["gru4rec", "ensemble", "fusion", *BASELINES])
def test_a_recommender_of_any_kind_answers_as_on_one_machine(kind, kinds, frame, visits, tmp_path):
    kinds[kind].save(tmp_path / "model")
    same(recommend(frame, tmp_path / "model", 3), g4r.load(tmp_path / "model").recommend(visits, 3))


def test_filters_rules_and_reasons_hold_on_spark_too(shop, frame, visits, log):
    items = sorted(log["item_id"].unique().to_list())
    rules = g4r.ListRules(diversity=0.2)
    asked: dict[str, Any] = {
        "exclude_clicked": True, "allow": items[:40], "deny": {items[3]}, "rules": rules,
        "explain": True,
    }  # fmt: skip
    same(recommend(frame, shop, 5, **asked), g4r.load(shop).recommend(visits, 5, **asked))


def test_columns_of_any_name_times_of_any_unit_and_invalid_rows(spark, shop, visits):
    ours = {"session_id": "visit", "item_id": "sku", "timestamp": "at"}
    named = visits.with_columns(pl.col("timestamp").dt.epoch("ms")).rename(ours)
    bad = named.with_columns(sku=pl.when(pl.int_range(pl.len()) != 4).then("sku"), other=pl.lit(1))
    frame = spark.createDataFrame(bad.to_arrow())
    columns = {"session_col": "visit", "item_col": "sku", "time_col": "at"}
    with pytest.raises(DataError, match="null or empty item_id in 1 of"):
        recommend(frame, shop, 3, **columns)
    clicks = g4r.read_clicks(bad, **columns, drop_invalid=True)
    expected = g4r.load(shop).recommend(clicks, 3)
    same(recommend(frame, shop, 3, **columns, drop_invalid=True), expected)


def test_side_inputs_are_read_from_the_frame(spark, log, tiny, visits, tmp_path):
    shelf = pl.col("item_id").str.slice(0, 3).alias("shelf")
    config = tiny.replace({"encoder.inputs": ["shelf", "hour"], "training.epochs": 1})
    g4r.GRU4Rec(config, device="cpu").fit(log.with_columns(shelf)).save(tmp_path / "model")
    visits = visits.with_columns(shelf)
    expected = g4r.load(tmp_path / "model").recommend(visits, 3)
    frame = spark.createDataFrame(visits.to_arrow())
    same(recommend(frame, tmp_path / "model", 3), expected)


def test_a_new_checkpoint_at_the_same_place_answers_from_then_on(frame, kinds, visits, tmp_path):
    for kind in ("popularity", "markov"):
        kinds[kind].save(tmp_path / "model", force=True)
        same(recommend(frame, tmp_path / "model", 3), kinds[kind].recommend(visits, 3))


@pytest.mark.parametrize("asked", [{"k": 0}, {"allow": ["nonesuch"]}, {"item_col": "nonesuch"}])
def test_what_one_machine_refuses_is_refused_before_anything_runs(shop, frame, visits, asked):
    with pytest.raises(DataError):
        recommend(frame, shop, **asked)


def test_a_path_is_no_frame(shop):
    with pytest.raises(DataError, match=r"'clicks.parquet' is no frame of Spark; give one"):
        recommend("clicks.parquet", shop)


def test_a_checkpoint_that_is_not_there_is_refused(frame, tmp_path):
    with pytest.raises(CheckpointError):
        recommend(frame, tmp_path / "nonesuch")


def test_the_callable_answers_tables_of_whole_sessions_anywhere(shop, visits):
    answers = Answers(checkpoint=shop, k=4, exclude_clicked=True)
    table = answers(visits.to_arrow())
    expected = g4r.load(shop).recommend(visits, 4, exclude_clicked=True)
    assert_frame_equal(pl.DataFrame(table), expected)
    assert answers.recommender() is answers.recommender()
    assert answers.__name__ == "answers"  # engines that wrap functions ask for one
