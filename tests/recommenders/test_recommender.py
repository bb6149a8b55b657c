"""What every recommender must do, and what GRU4Rec adds."""

import logging
from pathlib import Path

import numpy as np
import polars as pl
import polars.testing
import pytest
import torch
from toys import TINY, at_once, clicks_of, ranks_of_targets

import gru4rec as g4r
from gru4rec.evaluation.outcomes import outcomes_of
from gru4rec.recommenders.baselines import BASELINES
from gru4rec.serving.selection import top_k
from gru4rec.sessions import SessionArrays, from_lists, to_arrays
from gru4rec.sessions.catalog import Catalog
from gru4rec.training.training_log import TrainingLog

NAMES = ["gru4rec", "gru4rec dot", "ensemble", "fusion", "fusion reciprocal_ranks", *BASELINES]


def fitted(name: str, log: pl.DataFrame) -> g4r.Recommender:
    if name in BASELINES:
        return BASELINES[name]().fit(log)
    if "fusion" in name:
        how = "reciprocal_ranks" if "ranks" in name else "probabilities"
        return g4r.Fusion([fitted("gru4rec", log), fitted("vstan", log)], how=how)
    if name == "ensemble":
        return g4r.Ensemble([fitted("gru4rec", log), fitted("gru4rec dot", log)])
    scoring = {"training.scoring": "dot" if "dot" in name else "cosine"}
    return g4r.GRU4Rec(g4r.Config().replace({**TINY, **scoring}), device="cpu").fit(log)


@pytest.fixture(scope="module", params=NAMES)
def recommender(request, log) -> g4r.Recommender:
    return fitted(request.param, log)


def best_by_scores(recommender: g4r.Recommender, sessions: list[list[str]], k: int) -> list[list]:
    """Item ids of the top k from the scores of all items, for sessions with known items."""
    arrays = from_lists(sessions, recommender.catalog)
    best = np.empty((len(sessions), k), dtype=np.int64)
    for rows, scores in recommender.score(arrays, arrays.offsets[1:] - 1):
        best[rows] = top_k(scores, k).numpy()
    return [recommender.catalog.item_ids.gather(items).to_list() for items in best]


def items_by_session(table: pl.DataFrame) -> list[list]:
    return table.group_by("session_id", maintain_order=True).agg("item_id")["item_id"].to_list()


PREFIXES = [["c00-0001", "c00-0003"], ["c02-0055"], ["c01-0030", "c01-0029", "c01-0028"]]


def test_recommendations_are_the_best_of_the_scores(recommender):
    table = recommender.recommend(PREFIXES, k=10)
    assert items_by_session(table) == best_by_scores(recommender, PREFIXES, 10)


@pytest.mark.parametrize("clicks", [1, 8, 9, 60])
def test_next_items_are_those_of_the_table(recommender, log, clicks):
    session = log["item_id"].head(clicks).to_list()
    table = recommender.recommend([["unknown", *session]], k=10)
    ids, scores = recommender.next_items(["unknown", *session], 10)
    assert ids == table["item_id"].to_list()
    assert scores == pytest.approx(table["score"].to_list(), abs=1e-4)


def test_the_table_has_its_columns_in_order_and_ranks_from_one(recommender):
    table = recommender.recommend(PREFIXES, k=4)
    assert table.columns == ["session_id", "rank", "item_id", "score"]
    assert table["session_id"].to_list() == [0] * 4 + [1] * 4 + [2] * 4
    assert table["rank"].to_list() == [1, 2, 3, 4] * 3
    falling = table.group_by("session_id").agg(pl.col("score").diff().max())
    assert falling["score"].max() <= 0


def test_a_log_keeps_its_session_ids_their_type_and_order(recommender, log):
    clicks = log.filter(pl.col("session_id").is_in([44, 7, 150])).sort(
        "session_id", descending=True
    )
    table = recommender.recommend(clicks, k=3)
    assert table["session_id"].unique(maintain_order=True).to_list() == [150, 44, 7]
    assert table.schema["session_id"] == log.schema["session_id"]
    assert table.schema["item_id"] == log.schema["item_id"]


def test_k_above_the_catalog_returns_the_whole_catalog(recommender):
    table = recommender.recommend([PREFIXES[0], ["unknown"]], k=1000)
    size = len(recommender.catalog)
    assert table.height == 2 * size
    assert table["item_id"].n_unique() == size


def test_a_session_of_unknown_items_gets_popular_items_and_it_is_said(recommender, caplog):
    with caplog.at_level(logging.WARNING, logger="gru4rec"):
        table = recommender.recommend([["nobody", "knows"], []], k=5)
    popular = recommender.catalog.item_ids.head(5).to_list()
    assert items_by_session(table) == [popular, popular]
    assert "skipped 2 clicks" in caplog.text
    assert "2 sessions have no known item" in caplog.text


def test_unknown_items_are_passed_over(recommender):
    known = recommender.recommend([PREFIXES[0]], k=5)
    mixed = recommender.recommend([["zz", PREFIXES[0][0], "yy", PREFIXES[0][1]]], k=5)
    assert mixed.equals(known)


@pytest.mark.parametrize("k", [0, -3])
def test_k_below_one_is_refused(recommender, k):
    with pytest.raises(g4r.DataError, match="k must be at least 1"):
        recommender.recommend(PREFIXES, k=k)


def test_no_sessions_give_no_rows(recommender):
    assert recommender.recommend([], k=5).height == 0


def test_ranks_from_scores_are_the_places_in_the_recommendations(recommender, log):
    arrays = to_arrays(log.head(200).lazy(), recommender.catalog).with_targets()
    found = ranks_of_targets(recommender, arrays, ties="standard")
    lists = []
    for begin, end in zip(arrays.offsets[:-1], arrays.offsets[1:], strict=True):
        session = recommender.catalog.item_ids.gather(arrays.items[begin:end]).to_list()
        lists += [(session[:i], session[i]) for i in range(1, len(session))]
    table = recommender.recommend([prefix for prefix, _ in lists], k=1000)
    for rank, ids, scores, (_, target) in zip(
        found.tolist(),
        items_by_session(table),
        table.group_by("session_id", maintain_order=True).agg("score")["score"].to_list(),
        lists,
        strict=True,
    ):
        place = ids.index(target)
        higher = sum(score > scores[place] + 1e-4 for score in scores)
        near = sum(abs(score - scores[place]) <= 1e-4 for score in scores)
        assert higher + 1 <= rank <= higher + near


def test_int_ids_stay_ints():
    log = clicks_of([[10, 20, 30], [20, 30], [10, 30]])
    for name in NAMES:
        table = fitted(name, log).recommend([[10]], k=2)
        assert table.schema["item_id"] == pl.Int64


def test_fit_leaves_the_callers_frame_as_it_was(log):
    few = log.head(150)
    before = few.clone()
    for name in NAMES:
        fitted(name, few)
    assert few.equals(before)


def test_a_log_where_no_session_has_two_clicks_is_refused():
    with pytest.raises(g4r.DataError, match="no session has two clicks"):
        g4r.GRU4Rec().fit(clicks_of([["a"], ["b"]]))


@pytest.mark.parametrize(
    "sessions", [[["a", "a"]], [["a", "b"]], [["a"], ["a", "b", "a", "b"]], [["x", "y", "z"]] * 3]
)
def test_the_smallest_logs_train_with_the_default_settings(sessions):
    recommender = g4r.GRU4Rec(device="cpu").fit(clicks_of(sessions))
    table = recommender.recommend([[sessions[-1][0]]], k=2)
    assert table["score"].is_finite().all()


def test_a_second_fit_decides_its_settings_anew():
    recommender = g4r.GRU4Rec(g4r.Config().replace({"training.epochs": 1}), device="cpu")
    small, large = clicks_of([["a", "b"]]), clicks_of([["a", "b", "c"] * 200] * 84)
    assert recommender.fit(small).config.training.hidden_dropout == 0.5
    assert recommender.fit(large).config.training.hidden_dropout == 0.4  # 50 316 pairs
    assert recommender.config.training.epochs == 1


def test_scores_that_are_not_read_to_the_end_leave_no_mode_behind(trained):
    arrays = from_lists(PREFIXES, trained.catalog)
    next(trained.score(arrays, arrays.offsets[1:] - 1))
    assert not torch.is_inference_mode_enabled()


def test_metrics_are_the_same_for_1_7_and_512_lanes(trained, log):
    arrays = to_arrays(log.lazy(), trained.catalog).with_targets()
    expected = ranks_of_targets(trained, arrays)
    for lanes in (1, 7, 512):
        with at_once(lanes=lanes, steps=5):
            assert torch.equal(ranks_of_targets(trained, arrays), expected)


def test_index_scores_agree_with_matrix_products(trained):
    table = trained.recommend(PREFIXES, k=60)
    arrays = from_lists(PREFIXES, trained.catalog)
    scores = torch.cat([part for _, part in trained.score(arrays, arrays.offsets[1:] - 1)])
    for session, _, item, score in table.iter_rows():
        assert scores[session][trained.catalog.find(item)].item() == pytest.approx(score, abs=1e-4)


def test_what_is_saved_and_loaded_recommends_the_same(recommender, log, tmp_path):
    recommender.save(tmp_path / "model")
    loaded = g4r.load(tmp_path / "model", device="cpu")
    prefixes = log.head(300)
    assert type(loaded) is type(recommender)
    assert type(type(recommender).load(tmp_path / "model")) is type(recommender)
    assert loaded.recommend(prefixes).equals(recommender.recommend(prefixes))
    with pytest.raises(g4r.CheckpointError, match="exists"):
        recommender.save(tmp_path / "model")
    recommender.save(tmp_path / "model", force=True)


def test_ranks_counted_from_scores_are_those_read_from_lists(recommender, log):
    sessions = recommender.reader.arrays(g4r.read_clicks(log.head(400)))
    size = len(recommender.catalog)
    counted = outcomes_of(recommender, sessions, count_ties=True, depth=size)
    read = outcomes_of(recommender, sessions, depth=size, through_index=True)
    differ = counted.tied == 0
    assert differ.any()
    # An index works scores out in another order: nearly equal ones may change places.
    off = (counted.ranks - read.ranks).abs()[torch.from_numpy(differ)]
    assert (off == 0).double().mean() > 0.99
    assert off.max() <= 1
    places = np.argmax(counted.best == counted.item[:, None], axis=1) + 1
    assert (places == counted.ranks.numpy())[differ].all()


@pytest.mark.parametrize("chunk", [1, 1 << 10])
def test_metrics_do_not_depend_on_how_many_scores_are_held_at_once(
    recommender, log, chunk, monkeypatch
):
    test, metrics = log.head(100), ["recall", "mrr", "ndcg", "popularity", "coverage", "tie_rate"]
    expected = g4r.evaluate({"r": recommender}, test, metrics=metrics)
    monkeypatch.setattr("gru4rec.serving.chunks._FEWEST_ROWS", 1)
    with at_once(scores=chunk):
        found = g4r.evaluate({"r": recommender}, test, metrics=metrics)
    polars.testing.assert_frame_equal(found, expected, rel_tol=1e-9)


def test_metrics_do_not_depend_on_the_number_of_threads(recommender, log):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = g4r.evaluate({"r": recommender}, log.head(200), intervals=False)
        torch.set_num_threads(2)
        together = g4r.evaluate({"r": recommender}, log.head(200), intervals=False)
    finally:
        torch.set_num_threads(before)
    assert alone.equals(together)


def test_a_file_of_a_checkpoint_that_is_missing_or_damaged_is_named(recommender, tmp_path):
    recommender.save(tmp_path / "model")
    for file in filter(Path.is_file, (tmp_path / "model").rglob("*")):
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(g4r.CheckpointError, match=file.name):
            g4r.load(tmp_path / "model")
        file.write_bytes(content[:-1] if file.suffix != ".json" else b"[]")
        with pytest.raises(g4r.CheckpointError, match=r"damaged|cannot read"):
            g4r.load(tmp_path / "model")
        file.write_bytes(content)
    g4r.load(tmp_path / "model")


def test_use_before_fit_says_what_to_do():
    for make in (g4r.GRU4Rec, *BASELINES.values()):
        for use in (
            lambda r: r.recommend([["a"]]),
            lambda r: g4r.evaluate({"r": r}, clicks_of([["a", "b"]])),
        ):
            with pytest.raises(g4r.NotFittedError, match="call fit first"):
                use(make())
    with pytest.raises(g4r.NotFittedError, match="call fit first"):
        g4r.GRU4Rec().start_session()


def test_a_fit_that_fails_leaves_the_recommender_as_it_was(tiny):
    recommender = g4r.GRU4Rec(tiny, device="cpu").fit(clicks_of([["a", "b"], ["b", "c"]]))
    before = recommender.recommend([["a"]])
    with pytest.raises(g4r.DataError):
        recommender.fit(clicks_of([["x", "y"]]), valid=clicks_of([["q", "r"]]))
    with pytest.raises(KeyboardInterrupt):
        recommender.fit(clicks_of([["x", "y"]] * 3), on_progress=interrupt)
    assert recommender.recommend([["a"]]).equals(before)


def interrupt(progress: object) -> None:
    raise KeyboardInterrupt


def test_a_flat_list_of_items_is_refused_with_an_example(trained):
    with pytest.raises(g4r.DataError, match=r"list of sessions"):
        trained.recommend([10, 20])


@pytest.mark.parametrize("item", [1.7, True])
def test_fractions_and_truth_values_are_no_items(item):
    recommender = g4r.Popularity().fit(clicks_of([[1, 2]]))
    with pytest.raises(g4r.DataError, match="ids are integers or text"):
        recommender.recommend([[item]])


def test_a_large_validation_part_is_measured_on_a_sample():
    # 30,000 targets; learning from 40,000 pairs among 30,000 items costs as much as 10,000 targets
    sessions = SessionArrays(
        pl.Series(range(15_000)),
        np.zeros(45_000, dtype=np.int64),
        np.arange(0, 45_001, 3),
    )
    catalog = Catalog(pl.Series(range(30_000)), np.ones(30_000, dtype=np.int64))

    def measured_on(held_out: SessionArrays, pairs: int) -> SessionArrays | None:
        learned = SessionArrays(
            pl.Series([0]), np.zeros(pairs + 1, dtype=np.int64), np.array([0, pairs + 1])
        )
        return TrainingLog(catalog, learned, held_out, None).cheap_to_measure()

    some = measured_on(sessions, 40_000)
    assert some is not None
    assert len(some.items) - len(some) == 10_000
    assert measured_on(some, 40_000) is some
    assert measured_on(sessions, 4_000_000) is sessions


def test_a_log_in_pieces_is_answered_as_it_is_whole(recommender, log, monkeypatch):
    clicks = log.filter(pl.col("session_id") < 40).sort("session_id", maintain_order=True)
    clicks = clicks.with_columns(
        item_id=pl.when(pl.col("session_id") % 7 == 3).then(pl.lit("?")).otherwise("item_id")
    )
    whole = recommender.recommend(clicks, 4, explain=True)
    monkeypatch.setattr("gru4rec.sessions.reader.SHARD_ROWS", 20)
    monkeypatch.setattr("gru4rec.serving.answers._ROWS_AT_ONCE", 12)
    pieces = list(recommender.recommend_in_pieces(clicks, 4, explain=True))
    assert max(piece.height for piece in pieces) == 12
    assert len(pieces) > 13
    polars.testing.assert_frame_equal(pl.concat(pieces), whole, abs_tol=1e-4)


def test_an_explained_answer_says_how_it_came_about(recommender):
    sessions = [["c00-0001", "?", "c00-0002"], ["?", "!"], []]
    table = recommender.recommend(sessions, 2, explain=True)
    assert table.columns == ["session_id", "rank", "item_id", "score", "reason", "unknown"]
    assert table["reason"].to_list() == ["model"] * 2 + ["popularity"] * 4
    assert table["unknown"].to_list() == [1, 1, 2, 2, 0, 0]
    plain = recommender.recommend(sessions, 2)
    assert table.drop("reason", "unknown").equals(plain)
