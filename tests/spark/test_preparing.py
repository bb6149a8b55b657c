"""`prepare` on Spark makes the parts and the card that `prepare` makes on one machine."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from raw_logs import DATASETS, EXPECTED
from rule_effects import EFFECTS, KINDS, SOME_SPLIT, START, logs, visits
from toys import SOME_RULES

import gru4rec as g4r
from gru4rec.errors import DataError
from gru4rec.preparation import Card, Recipe
from gru4rec.spark import pieces, prepare, spans

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

PARTS = ("train", "valid", "test")
WHOLE = {"split.valid": "none", "split.test": "none"}
BY_USER = {"columns.user_col": "user_id"}
Values = dict[str, Any]
Made = tuple[dict[str, pl.DataFrame], Card]

# Examples share the one Spark session, and most are of a second or two.
few = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])


def on_one_machine(log: Any, values: Values) -> Made:
    """(the parts, the card) of a log."""
    with TemporaryDirectory() as folder:
        card = g4r.prepare(log, Path(folder) / "out", Recipe().replace(values))
        return parts_of(Path(folder) / "out"), card


def parts_of(folder: Path) -> dict[str, pl.DataFrame]:
    """The parts of a folder, be they files or folders of files."""
    paths = {name: folder / f"{name}.parquet" for name in PARTS}
    return {
        name: pl.read_parquet(f"{path}/*.parquet" if path.is_dir() else path)
        for name, path in paths.items()
        if path.exists()
    }


def on_spark(spark: "SparkSession", log: pl.DataFrame, values: Values) -> Made:
    """The same, by Spark."""
    prepared = prepare(framed(spark, log), Recipe().replace(values))
    parts = {name: pl.DataFrame(part.toArrow()) for name, part in prepared.parts.items()}
    prepared.unpersist()
    return parts, prepared.card


def framed(spark: "SparkSession", log: pl.DataFrame) -> "DataFrame":
    """The log as a frame of Spark of two partitions, its rows in their order."""
    return spark.createDataFrame(log.to_arrow()).coalesce(2)


def assert_alike(one: Made, other: Made) -> None:
    """The same parts, row for row, and the same card."""
    assert other[1] == one[1]
    assert other[0].keys() == one[0].keys()
    for name, part in one[0].items():
        assert_frame_equal(other[0][name], part, check_dtypes=False)


def outcome(make: Any, *arguments: Any) -> Made | str:
    """What is made, or the error that says why not."""
    try:
        return make(*arguments)
    except DataError as error:
        return str(error)


def assert_same_outcome(spark: "SparkSession", log: pl.DataFrame, values: Values) -> None:
    one, other = outcome(on_one_machine, log, values), outcome(on_spark, spark, log, values)
    if isinstance(one, str):
        assert other == one
    else:
        assert not isinstance(other, str), other
        assert_alike(one, other)


# Rules


@pytest.mark.parametrize("name", EFFECTS)
def test_a_rule_leaves_what_it_leaves_on_one_machine(spark, name):
    log, rules, _, more, _ = EFFECTS[name]
    asked = {f"rules.{rule}": value for rule, value in (rules | more).items()}
    assert_same_outcome(spark, log, WHOLE | asked)


@few
@given(log=logs("session_id"), rules=SOME_RULES, split=SOME_SPLIT)
def test_sessions_by_some_rules_are_those_of_one_machine(spark, log, rules, split):
    assert_same_outcome(spark, log, rules | split)


@few
@given(log=logs("user_id"), rules=SOME_RULES, split=SOME_SPLIT, bad=st.sets(st.integers(0, 24)))
def test_sessions_of_users_are_those_of_one_machine_invalid_rows_or_not(
    spark, log, rules, split, bad
):
    row = pl.int_range(pl.len())
    log = log.with_columns(pl.when(~row.is_in(list(bad))).then("item_id").alias("item_id"))
    assert_same_outcome(spark, log, BY_USER | rules | split | {"rules.drop_invalid": True})


# Pieces, and what all of them tell together


def shop(rows: int = 600) -> pl.DataFrame:
    """A log of forty sessions over a month, its rows in no order, some equal."""
    row = pl.int_range(rows)
    return pl.select(
        session_id=pl.format("s{}", row * 7919 % 40),
        item_id=(row * row * 31 + row) % 97 % 13,
        minute=row * 7919 % 40 * 977 + row * 17 % 90,
        price=(row % 5).cast(pl.Float32),
    ).select(
        "session_id",
        "item_id",
        timestamp=START + pl.duration(minutes="minute"),
        price="price",
    )


RULES = {
    "rules.gap": "30m", "rules.drop_repeats": True, "rules.min_item_clicks": 20,
    "rules.min_session_clicks": 2, "rules.where": "price < 4",
}  # fmt: skip


def test_pieces_of_a_few_rows_make_what_one_piece_does(spark, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_ROWS", 3)
    monkeypatch.setattr(pieces.mapped, "__kwdefaults__", {"whole": None, "piece_rows": 3})
    assert_same_outcome(spark, shop(), RULES)


def test_spans_on_spark_are_cut_as_those_of_the_driver(spark, monkeypatch):
    monkeypatch.setattr(spans, "_FEW", 3)
    monkeypatch.setattr(spans, "_BUCKETS", 4)
    assert_same_outcome(spark, shop(), {"split.test": "20%", "split.valid": "2d"})
    assert_same_outcome(spark, shop(), {"split.test": "1d", "split.split_by": "end"})


def test_without_times_the_rows_are_the_clock(spark):
    log = shop().drop("timestamp")
    where = {"rules.where": "price < 4", "split.valid": "33%", "split.test": "25%"}
    assert_same_outcome(spark, log, where)


def test_published_counts_are_compared_with_the_same(spark):
    published = {
        f"published.{stage}.{what}": 9
        for stage in ("read", "kept", "train", "test")
        for what in ("clicks", "sessions", "items")
    }
    assert_same_outcome(spark, shop(), published)


def test_ids_and_other_columns_of_many_types_come_along(spark):
    log = visits("a:xyz b:zx").with_columns(
        session_id=pl.Series([2.0, 2.0, 2.0, 1.0, 1.0]),
        item_id=pl.Series([b"x", b"y", b"z", b"z", b"x"]),
        timestamp=pl.col("timestamp").dt.epoch("ms"),
        tags=pl.Series([["p", "q"], [], None, ["r"], ["s"]]),
        place=pl.Series([{"city": "Gent", "zip": n} for n in range(5)]),
        day=pl.col("timestamp").dt.date(),
        sold=pl.Series([True, None, False, True, True]),
    )
    assert_same_outcome(spark, log, WHOLE)


def test_the_source_stays_as_it_is_and_nothing_is_kept_after(spark):
    def kept():
        return set(spark.sparkContext._jsc.getPersistentRDDs())

    log, before = framed(spark, KINDS), kept()
    with pytest.raises(DataError, match="cutting off"):
        prepare(log, Recipe().replace({"split.test": "99d"}))
    assert kept() == before
    prepared = prepare(log, Recipe().replace(WHOLE))
    assert len(kept() - before) == 1
    prepared.unpersist()
    assert kept() == before


# What it cannot do


@pytest.mark.parametrize(
    ("log", "values"),
    [
        (KINDS, {"columns.item_col": "nonesuch"}),
        (KINDS, {"rules.where": "no_column = 1"}),
        (KINDS, {"rules.where": "item_id = "}),
        (KINDS.drop("timestamp"), {"rules.gap": "30m"}),
        (KINDS, {"rules.min_item_clicks": 99}),
        (KINDS, {"rules.event_col": "kind", "rules.events": ["q"]}),
        (KINDS.with_columns(item_id=pl.lit(1.5)), {}),
        (KINDS.with_columns(item_id=pl.lit(b"\xff")), {}),
        (KINDS.with_columns(timestamp=pl.lit(True)), {}),
        (KINDS.head(0), {}),
    ],
)
def test_what_one_machine_refuses_is_refused_in_the_same_words(spark, log, values):
    with pytest.raises(DataError) as one:
        on_one_machine(log, values)
    with pytest.raises(DataError) as other:
        on_spark(spark, log, values)
    assert str(other.value).removeprefix("Spark cannot prepare the log: ") == str(
        one.value
    ).removeprefix("cannot read the click log: ")


def test_an_invalid_row_is_named_by_its_partition(spark):
    bad = KINDS.with_columns(item_id=pl.Series(["x", "y", None, "z", "x"]))
    with pytest.raises(DataError, match="null or empty item_id in 1 of 5 rows, first in row"):
        on_spark(spark, bad, {})


# Files


@pytest.mark.parametrize("name", EXPECTED)
def test_a_public_log_is_read_from_its_files_and_written_as_one_machine_does(spark, name, tmp_path):
    files = EXPECTED[name][0](tmp_path)
    recipe = Recipe.from_toml(DATASETS / f"{name}.toml")
    card = g4r.prepare(files, tmp_path / "one", recipe)
    prepared = prepare([str(path) for path in files], recipe, spark=spark)
    prepared.write(tmp_path / "many")
    prepared.unpersist()
    assert_alike((parts_of(tmp_path / "one"), card), (parts_of(tmp_path / "many"), prepared.card))
    for file in ("card.json", "recipe.toml"):
        assert (tmp_path / "many" / file).read_text() == (tmp_path / "one" / file).read_text()


def test_a_parquet_file_is_read_by_several_tasks_in_its_order(spark, tmp_path, monkeypatch):
    from gru4rec.spark import raw_log

    monkeypatch.setattr(raw_log, "_SLICE", 100)
    log = shop().with_columns(pl.col("item_id").cast(pl.UInt64))
    log.write_parquet(tmp_path / "log.parquet")
    recipe = Recipe().replace(RULES)
    card = g4r.prepare(tmp_path / "log.parquet", tmp_path / "one", recipe)
    prepared = prepare([tmp_path / "log.parquet"], recipe, spark=spark)
    assert prepared.card == card
    train = g4r.read_clicks(pl.DataFrame(prepared.parts["train"].toArrow()), also=None).collect()
    assert_frame_equal(train, parts_of(tmp_path / "one")["train"], check_dtypes=False)
    prepared.unpersist()


def test_a_row_of_a_file_is_named_by_its_file(spark, tmp_path):
    (tmp_path / "a.csv").write_text("session_id,item_id\n1,2\n")
    (tmp_path / "b.csv").write_text("session_id,item_id\n1,2\n2,\n")
    with pytest.raises(DataError, match=r"null or empty item_id in 1 of 3 rows, .* row 2 of b.csv"):
        prepare([tmp_path / "a.csv", tmp_path / "b.csv"], spark=spark)


def test_an_older_folder_is_replaced_only_with_force(spark, out):
    prepared = prepare(framed(spark, shop()))
    prepared.write(out)
    with pytest.raises(DataError, match="force"):
        prepared.write(out)
    prepared.write(out, force=True)
    prepared.unpersist()
    assert {path.name for path in out.iterdir()} == {
        "train.parquet", "valid.parquet", "test.parquet", "card.json", "recipe.toml",
    }  # fmt: skip
    assert g4r.read_clicks(out / "train.parquet").collect().height
