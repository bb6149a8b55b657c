"""A backtest that is interrupted goes on where it stopped, to the same figures."""

import json
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from toys import TINY

import gru4rec as g4r
from gru4rec.evaluation import backtest, forget_steps

CONFIG = g4r.Config().replace({**TINY, "training.epochs": 1})
ASKED = {"train": "2d", "every": "1d", "baselines": ["markov"], "config": CONFIG, "device": "cpu"}


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    """Sessions that begin over six days; on the fifth there is none of two clicks."""
    log = g4r.generate_clicks(sessions=240, items=30, categories=2, seed=6)
    starts = pl.col("timestamp").min().over("session_id")
    day = (pl.col("session_id").rank("dense") * 6 // 241).cast(pl.Int64)
    moved = log.with_columns(
        timestamp=starts.min() + pl.duration(days=day) + (pl.col("timestamp") - starts)
    )
    since = pl.col("timestamp") - pl.col("timestamp").min()
    on_fifth = since.is_between(timedelta(days=4), timedelta(days=5), closed="left")
    return moved.filter(~on_fifth | pl.col("session_id").is_first_distinct())


class Crash(Exception):
    """Stands for a crash."""


def run(
    log: pl.DataFrame,
    *,
    stop: tuple[int, str] | None = None,
    told: list[tuple[int, str]] | None = None,
    **asked,
) -> pl.DataFrame:
    """The table of a backtest, but for the seconds; at `stop`, a step and a way, it crashes."""

    def on_step(step, way):
        if told is not None:
            told.append((step.number, way))
        if (step.number, way) == stop:
            raise Crash

    return pl.concat(backtest(log, on_step=on_step, **{**ASKED, **asked})).drop("seconds")


@pytest.fixture(scope="module")
def uninterrupted(log) -> pl.DataFrame:
    return run(log)


@pytest.fixture
def keep(tmp_path) -> Path:
    return tmp_path / "kept"


def interrupt(log: pl.DataFrame, keep: Path, *, at: tuple[int, str] = (3, "full"), **asked) -> None:
    """Leave a backtest that stopped at a step and a way."""
    with pytest.raises(Crash):
        run(log, keep=keep, stop=at, **asked)


@pytest.fixture(scope="module")
def stopped(log, tmp_path_factory) -> Path:
    """What a backtest has kept that stopped after its first step; for reading only."""
    keep = tmp_path_factory.mktemp("stopped") / "kept"
    interrupt(log, keep, at=(2, "stale"))
    return keep


def test_a_step_without_a_target_is_among_them(uninterrupted):
    assert uninterrupted["step"].unique().sort().to_list() == [1, 2, 4]


@pytest.mark.parametrize("way", ["stale", "update", "full"])
def test_each_way_alone_goes_on_too(log, keep, uninterrupted, way):
    interrupt(log, keep, at=(3, way), ways=[way], baselines=[])
    rows = run(log, keep=keep, resume=True, ways=[way], baselines=[])
    assert rows.equals(uninterrupted.filter(way=way))


@pytest.mark.parametrize("at", [(1, "full"), (2, "stale"), (3, "full"), (4, "update"), (4, "full")])
def test_it_goes_on_to_the_same_figures(log, keep, uninterrupted, at):
    interrupt(log, keep, at=at)
    told: list[tuple[int, str]] = []
    assert run(log, keep=keep, resume=True, told=told).equals(uninterrupted)
    assert told[0] == (at[0], "stale")  # what was done is not done again


def test_it_may_be_interrupted_again_and_again(log, keep, uninterrupted):
    interrupt(log, keep, at=(2, "update"))
    for at in ((3, "update"), (3, "markov"), (4, "markov")):
        interrupt(log, keep, at=at, resume=True)
    assert run(log, keep=keep, resume=True).equals(uninterrupted)


def test_a_table_that_was_not_written_can_be_had_again(log, keep, uninterrupted):
    run(log, keep=keep)
    told: list[tuple[int, str]] = []
    assert run(log, keep=keep, resume=True, told=told).equals(uninterrupted)
    assert told == []
    forget_steps(keep)
    assert not keep.exists()


def test_seconds_are_those_that_were_spent(log, keep):
    interrupt(log, keep, at=(2, "stale"))
    first = next(backtest(log, keep=keep, resume=True, **ASKED))
    assert (first.filter(way="update")["seconds"] > 0).all()
    assert first.equals(pl.read_parquet(keep / "backtest-done" / "rows.parquet"))


def test_only_what_is_needed_is_kept(log, keep):
    interrupt(log, keep, ways=["full"])
    assert [path.name for path in keep.iterdir()] == ["backtest-done"]
    forget_steps(keep)
    interrupt(log, keep, ways=["stale"], baselines=["sr", "markov"], at=(2, "markov"))
    assert sorted(path.name for path in keep.iterdir()) == ["backtest-done", "backtest-first"]
    assert sorted(path.name for path in (keep / "backtest-done").iterdir()) == [
        "backtest.json", "rows.parquet",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"every": "12h"}, "has every = '1d', asked is '12h'"),
        ({"train": "1d"}, "has train = '2d', asked is '1d'"),
        ({"test": "2d"}, "has test = '1d', asked is '2d'"),
        ({"ways": ["full"]}, r"has ways = \['stale', 'update', 'full'\], asked is \['full'\]"),
        ({"baselines": []}, r"has baselines = \['markov'\], asked is \[\]"),
        ({"ks": [5]}, r"has ks = \[20\], asked is \[5\]"),
        ({"config": CONFIG.replace({"seed": 7})}, "has seed = 0, asked is 7"),
    ],
)
def test_other_settings_are_refused(log, stopped, changed, said):
    with pytest.raises(g4r.CheckpointError, match=said):
        next(backtest(log, keep=stopped, resume=True, **{**ASKED, **changed}))


@pytest.mark.parametrize("column", ["session_id", "item_id", "timestamp"])
def test_another_log_is_refused(log, stopped, column):
    other = {"session_id": pl.lit(-1), "item_id": pl.lit("new")}
    other["timestamp"] = pl.col("timestamp") + timedelta(seconds=1)
    is_last = pl.int_range(pl.len()) == pl.len() - 1
    changed = log.with_columns(pl.when(is_last).then(other[column]).otherwise(column).alias(column))
    with pytest.raises(g4r.CheckpointError, match="is of another log; give the same log"):
        run(changed, keep=stopped, resume=True)


def test_without_resume_nothing_is_thrown_away(log, stopped):
    with pytest.raises(
        g4r.CheckpointError, match="go on from it with resume, or start afresh"
    ) as error:
        run(log, keep=stopped)
    assert error.value.mend_with == ("resume", "force")


def test_resume_without_a_folder_is_refused(log):
    with pytest.raises(g4r.ConfigError, match="resume needs the folder of keep"):
        run(log, resume=True)


def test_where_nothing_was_interrupted_it_starts_afresh(log, keep, caplog):
    caplog.set_level("INFO")
    interrupt(log, keep, at=(1, "update"))
    interrupt(log, keep, at=(1, "update"), resume=True)
    assert "no interrupted backtest" in caplog.text


def test_a_folder_of_something_else_is_left_alone(log, keep):
    keep.mkdir()
    (keep / "thesis.tex").write_text("x")
    for go in (lambda: run(log, keep=keep), lambda: forget_steps(keep)):
        with pytest.raises(g4r.CheckpointError, match="no folder of an interrupted backtest"):
            go()
    assert (keep / "thesis.tex").read_text() == "x"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("backtest-done/backtest.json", b"{"),
        ("backtest-done/backtest.json", b'{"step": "two", "models": [], "asked": {}}'),
        ("backtest-done/rows.parquet", b"PAR1"),
        ("backtest-first/weights.safetensors", b""),
        ("backtest-done/updated/meta.json", None),
    ],
)
def test_what_is_damaged_is_one_line(log, keep, file, content):
    interrupt(log, keep)
    if content is None:
        (keep / file).unlink()
    else:
        (keep / file).write_bytes(content)
    with pytest.raises(g4r.CheckpointError) as error:
        run(log, keep=keep, resume=True)
    assert "\n" not in str(error.value)


def test_rows_of_another_table_are_refused(log, keep):
    interrupt(log, keep)
    rows = pl.read_parquet(keep / "backtest-done" / "rows.parquet")
    rows.drop("low").write_parquet(keep / "backtest-done" / "rows.parquet")
    with pytest.raises(g4r.CheckpointError, match=r"rows\.parquet has the columns"):
        run(log, keep=keep, resume=True)


def test_settings_can_be_read_by_a_person(log, keep):
    interrupt(log, keep)
    state = json.loads((keep / "backtest-done" / "backtest.json").read_text())
    assert state["step"] == 2
    assert state["models"] == ["backtest-first", "updated"]
    assert state["asked"]["training.epochs"] == 1
