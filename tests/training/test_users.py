"""A model that reads the earlier sessions of a user learns what only they tell."""

import numpy as np
import polars as pl
import pytest
from toys import TINY

import gru4rec as g4r


def log_of(users: int, *, first: int = 0) -> pl.DataFrame:
    """Two sessions of each user, of one of four kinds: kind of the first, then "x", and again."""
    kinds = np.random.default_rng(first).integers(4, size=users)
    rows = []
    for user, kind in enumerate(kinds, start=first):
        rows += [(user, 2 * user, f"k{kind}"), (user, 2 * user, "x")]
        rows += [(user, 2 * user + 1, "x"), (user, 2 * user + 1, f"k{kind}")]
    return pl.DataFrame(rows, schema=["user", "session_id", "item_id"], orient="row")


@pytest.fixture(scope="module", params=["gru", "narm"])
def of_users(request: pytest.FixtureRequest) -> g4r.GRU4Rec:
    settings = {
        **TINY,
        "encoder.name": request.param,
        "encoder.user_column": "user",
        "training.epochs": 12,
    }
    return g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(log_of(300))


def recall(recommender: g4r.GRU4Rec, log: pl.DataFrame, **asked: object) -> float:
    table = g4r.evaluate(
        {"m": recommender}, log, ks=[1], metrics=["recall"], intervals=False, **asked
    )
    return table.filter(metric="recall")["value"].item()


def test_the_second_session_is_known_by_the_first(of_users):
    test = log_of(100, first=1000)
    assert recall(of_users, test) > 0.95
    second = test.filter(pl.col("session_id") % 2 == 1)
    assert recall(of_users, second) < 0.6  # one of four kinds, by chance
    assert recall(of_users, second, history=test.filter(pl.col("session_id") % 2 == 0)) > 0.95


def test_positions_count_the_clicks_of_the_session_itself(of_users):
    table = g4r.evaluate({"m": of_users}, log_of(50, first=2000), ks=[1], by=["position", "length"])
    slices = table.filter(metric="recall", num_targets=100)["slice"].to_list()
    assert slices == ["all", "position 1", "length 2"]


def test_validation_goes_on_from_the_sessions_that_are_learned():
    log = log_of(300)
    second = log.filter(pl.col("session_id") % 2 == 1)
    first = log.filter(pl.col("session_id") % 2 == 0)
    extra = log_of(300, first=5000)  # pairs of sessions to learn from
    settings = {**TINY, "encoder.user_column": "user", "training.epochs": 12}
    fitted = g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(
        pl.concat([first, extra]), valid=second
    )
    assert fitted.meta.metrics["mrr@20"] > 0.95


def test_an_update_reads_users_too(of_users):
    news = log_of(50, first=9000)
    with pytest.raises(g4r.DataError, match="lacks a column 'user'"):
        of_users.update(news.drop("user"))
    of_users.update(news)
    assert recall(of_users, log_of(100, first=1000)) > 0.9


def test_the_column_is_no_setting_of_several_processes_and_has_its_name_kept(of_users, tmp_path):
    of_users.save(tmp_path / "model")
    loaded = g4r.load(tmp_path / "model", device="cpu")
    assert loaded.config.encoder.user_column == "user"
    log = log_of(20, first=3000)
    assert loaded.recommend(log, 3).equals(of_users.recommend(log, 3))


def test_a_history_without_users_is_refused_in_one_line(of_users):
    with pytest.raises(g4r.DataError, match="history has no column 'user'"):
        g4r.evaluate({"m": of_users}, log_of(5), history=log_of(5).drop("user"))


def test_a_fusion_reads_users_whatever_the_order_of_its_parts(of_users):
    log = log_of(300)
    vstan = g4r.VSTAN().fit(log)
    test = log_of(50, first=4000)
    settings = {**TINY, "encoder.user_column": "user", "training.epochs": 4}
    model = g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(log)
    alone = recall(model, test)
    assert recall(g4r.Fusion([vstan, model], weights=[0, 1]), test) == pytest.approx(alone)
    assert recall(g4r.Fusion([model, vstan], weights=[1, 0]), test) == pytest.approx(alone)


def test_slices_and_categories_are_of_the_session_itself(of_users):
    from gru4rec.evaluation.outcomes import outcomes_of

    test = log_of(50, first=2000)
    outcomes = outcomes_of(of_users, of_users.reader.arrays(test.lazy()))
    assert outcomes.lengths.sum() == len(outcomes.clicked) == test.height
    assert set(outcomes.since) == {0}  # no session has an item twice


def test_a_command_answers_as_the_library_does(of_users, tmp_path, capfd):
    from gru4rec.cli import main

    of_users.save(tmp_path / "model")
    log = log_of(20, first=3000)
    log.write_parquet(tmp_path / "log.parquet")
    asked = [str(tmp_path / "model"), str(tmp_path / "log.parquet"), "-k", "3"]
    main(["recommend", *asked, "-o", str(tmp_path / "out.parquet")], standalone_mode=False)
    assert pl.read_parquet(tmp_path / "out.parquet").equals(of_users.recommend(log, 3))
    assert "no column" not in capfd.readouterr().err
