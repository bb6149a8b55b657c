"""Many running sessions: the answers of the batch, within limits, through saves and threads."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from toys import TINY, clicks_of

import gru4rec as g4r
from gru4rec.model.encoders import ENCODERS
from gru4rec.recommenders import BASELINES

ITEMS = [f"c0{c}-{c * 20 + i:04d}" for c in range(3) for i in range(3)]


class Clock:
    """Time that passes when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module", params=[*ENCODERS, "vstan", "fusion"])
def recommender(request, log) -> g4r.Recommender:
    if request.param == "vstan":
        return g4r.VSTAN().fit(log)
    if request.param == "fusion":
        config = g4r.Config().replace(TINY)
        return g4r.Fusion([g4r.GRU4Rec(config, device="cpu"), g4r.Markov()]).fit(log)
    config = g4r.Config().replace({**TINY, "encoder.name": request.param, "encoder.max_length": 4})
    return g4r.GRU4Rec(config, device="cpu").fit(log)


def same(table: pl.DataFrame, expected: pl.DataFrame) -> None:
    columns = ["session_id", "rank", "item_id"]
    assert table.select(columns).rows() == expected.select(columns).rows()
    assert table["score"].to_list() == pytest.approx(expected["score"].to_list(), abs=1e-4)


def random_clicks(count: int, sessions: int) -> tuple[list[int], list[str]]:
    random = np.random.default_rng(0)
    return random.integers(0, sessions, count).tolist(), random.choice(ITEMS, count).tolist()


def test_the_answer_is_that_of_the_batch_for_the_same_clicks(recommender):
    ids, items = random_clicks(60, 7)
    store = g4r.SessionStore(recommender)
    for start in range(0, 60, 20):  # several clicks of a session in one call
        store.click_many(ids[start : start + 20], items[start : start + 20])
    batch = [[item for one, item in zip(ids, items, strict=True) if one == s] for s in range(7)]
    for options in ({}, {"exclude_clicked": True}, {"allow": ITEMS}, {"deny": ITEMS[:4]}):
        found = store.recommend_many(range(7), 5, **options)
        same(found, recommender.recommend(batch, 5, **options))


def test_a_live_session_answers_as_the_batch_does(recommender):
    clicks, session = [], recommender.start_session()
    for item in [*ITEMS, "unknown", *ITEMS[::-1]]:
        clicks.append(item)
        assert session.click(item) == (item != "unknown")
        batch = recommender.recommend([clicks], 5, exclude_clicked=True).drop("session_id")
        live = session.recommend(5, exclude_clicked=True)
        assert live["item_id"].to_list() == batch["item_id"].to_list()
        assert live["score"].to_list() == pytest.approx(batch["score"].to_list(), abs=1e-4)


def test_sessions_survive_their_file(recommender, tmp_path):
    ids, items = random_clicks(60, 7)
    store = g4r.SessionStore(recommender)
    store.click_many(ids, items)
    store.click_many(["7"], [ITEMS[0]])  # a text beside the numbers
    store.save(tmp_path / "sessions.parquet")
    again = g4r.SessionStore(recommender)
    again.restore(tmp_path / "sessions.parquet")
    assert len(again) == 8
    for one in (store, again):
        one.click_many([3, 4], [ITEMS[1], ITEMS[2]])
    same(again.recommend_many(range(7), 5), store.recommend_many(range(7), 5))
    same(again.recommend_many(["7"], 5), store.recommend_many(["7"], 5))


def test_the_recommender_has_a_store_of_its_own_that_a_fit_empties(tiny, log):
    recommender = g4r.GRU4Rec(tiny, device="cpu").fit(log)
    recommender.click_many(["ann", "bob"], ITEMS[:2])
    found = recommender.recommend_many(["ann", "bob"], 3)
    assert found["session_id"].to_list() == ["ann"] * 3 + ["bob"] * 3
    batch = recommender.recommend([[ITEMS[0]], [ITEMS[1]]], 3)
    same(found.with_columns(batch["session_id"]), batch)
    kept = recommender.sessions
    recommender.fit(clicks_of([["a", "b"], ["b", "c"]]))
    assert len(recommender.sessions) == 0
    with pytest.raises(g4r.DataError, match="fitted again"):
        kept.click_many(["ann"], ["a"])
    with pytest.raises(g4r.DataError, match="fitted again"):
        kept.recommend_many(["ann"])
    with pytest.raises(g4r.NotFittedError):
        g4r.GRU4Rec().click_many(["ann"], ["a"])


def test_a_full_store_gives_up_the_session_that_was_not_clicked_for_longest(trained, caplog):
    store = g4r.SessionStore(trained, most=2)
    store.click_many([1, 2, 1, 3], ITEMS[:4])
    assert [each in store for each in (1, 2, 3)] == [True, False, True]
    assert (len(store), store.num_displaced) == (2, 1)
    assert "full" in caplog.text
    popular = trained.catalog.item_ids.head(2).to_list()
    assert store.recommend_many([2], 2)["item_id"].to_list() == popular
    same(
        store.recommend_many([1], 3),
        trained.recommend([[ITEMS[0], ITEMS[2]]], 3).with_columns(session_id=pl.lit(1)),
    )


def test_a_session_that_was_not_clicked_for_long_is_over(trained, clock):
    store = g4r.SessionStore(trained, minutes=30, clock=clock)
    store.click_many([1, 2], ITEMS[:2])
    clock.now += 20 * 60
    store.click_many([2], ITEMS[:1])
    clock.now += 20 * 60
    assert [each in store for each in (1, 2)] == [False, True]
    assert store.end(2)
    assert not store.end(2)
    assert len(store) == 0


def test_limits_hold_when_sessions_are_restored(trained, clock, tmp_path):
    store = g4r.SessionStore(trained, clock=clock)
    for each in range(5):
        store.click_many([each], ITEMS[:1])
        clock.now += 60
    store.save(tmp_path / "s.parquet")
    small = g4r.SessionStore(trained, most=2, clock=clock)
    small.click_many([9, 0], ITEMS[:2])
    small.restore(tmp_path / "s.parquet")
    assert [each in small for each in (0, 9, 4)] == [True, True, False]
    late = g4r.SessionStore(trained, minutes=3.5, clock=clock)
    late.restore(tmp_path / "s.parquet")
    assert [each in late for each in range(5)] == [False, False, True, True, True]


@pytest.mark.parametrize("limits", [{"most": 0}, {"minutes": 0}, {"minutes": float("nan")}])
def test_limits_that_hold_no_session_are_refused(trained, limits):
    with pytest.raises(g4r.ConfigError, match="room for a session"):
        g4r.SessionStore(trained, **limits)


@pytest.mark.parametrize(
    ("ids", "items", "known", "message"),
    [
        ([1, 2], ITEMS[:1], {}, "lists of"),
        ([1], ITEMS[:1], {"timestamp": []}, "lists of"),
        ([1, None], ITEMS[:2], {}, "no session id"),
        ([1, True], ITEMS[:2], {}, "no session id"),
        ([1, "\ud800"], ITEMS[:2], {}, "no session id"),
        ("ab", ITEMS[:2], {}, "a list of ids"),
        ([1, 2], [ITEMS[0], 1.5], {}, "no item id"),
        ([1, 2], ITEMS[:2], {"color": ["red", "blue"]}, "no side input"),
        ([1, 2], ITEMS[:2], {"timestamp": [None, "noon"]}, "must be a datetime"),
    ],
)
def test_bad_clicks_are_refused_whole(trained, ids, items, known, message):
    store = g4r.SessionStore(trained)
    store.click_many([1], [ITEMS[3]])
    before = store.recommend_many([1, 2], 4)
    with pytest.raises(g4r.DataError, match=message):
        store.click_many(ids, items, **known)
    assert store.recommend_many([1, 2], 4).equals(before)
    assert len(store) == 1


def test_arrays_and_columns_are_taken_as_lists_are(trained):
    ids, items = [3, 4, 3], ITEMS[:3]
    expected = g4r.SessionStore(trained)
    expected.click_many(ids, items)
    for make in (np.array, pl.Series, tuple):
        store = g4r.SessionStore(trained)
        store.click_many(make(ids), make(items))
        assert store.recommend_many(make([3, 4])).equals(expected.recommend_many([3, 4]))


def test_bad_questions_are_refused(trained):
    store = g4r.SessionStore(trained)
    with pytest.raises(g4r.DataError, match="k must be at least 1"):
        store.recommend_many([1], 0)
    with pytest.raises(g4r.DataError, match="must all be integers or all text"):
        store.recommend_many([1, "one"])
    assert store.recommend_many([]).columns == ["session_id", "rank", "item_id", "score"]


def test_a_file_that_is_none_is_refused_and_one_that_stands_there_survives(trained, tmp_path):
    store = g4r.SessionStore(trained)
    store.click_many([1], ITEMS[:1])
    (tmp_path / "junk").write_bytes(b"junk")
    pl.DataFrame({"session_id": ["1"]}).write_parquet(tmp_path / "other.parquet")
    row = {"session_id": "[", "clicked": 1.0, "last_time": None, "items": [["x"]], "times": [[]]}
    pl.DataFrame(row).write_parquet(tmp_path / "ids.parquet")
    pl.DataFrame({**row, "session_id": "[1]"}).write_parquet(tmp_path / "lists.parquet")
    for name in ("junk", "other.parquet", "ids.parquet", "lists.parquet", "missing"):
        with pytest.raises(g4r.DataError, match="cannot read the sessions"):
            store.restore(tmp_path / name)
    assert len(store) == 1
    with pytest.raises(g4r.DataError, match="cannot write"):
        store.save(tmp_path)


def test_another_recommender_takes_the_sessions_over(tiny, log, trained, tmp_path):
    """A model that was trained again knows other items; those it has not are left out."""
    store = g4r.SessionStore(trained)
    store.click_many([1, 1, 2], [ITEMS[0], ITEMS[8], ITEMS[8]])
    store.save(tmp_path / "s.parquet")
    newer = g4r.GRU4Rec(tiny, device="cpu").fit(log.filter(pl.col("item_id") != ITEMS[8]))
    taken = g4r.SessionStore(newer)
    taken.restore(tmp_path / "s.parquet")
    same(
        taken.recommend_many([1, 2], 4),
        newer.recommend([[], [ITEMS[0]], []], 4).filter(pl.col("session_id") > 0),
    )


def test_side_inputs_and_times_are_read_and_kept(tmp_path):
    start = datetime(2026, 3, 1, 9)
    log = g4r.generate_clicks(sessions=300, items=30, categories=2, seed=2).with_columns(
        event=pl.int_range(pl.len()).mod(3).cast(pl.String)
    )
    config = g4r.Config().replace({**TINY, "encoder.inputs": ["gap", "hour", "event"]})
    recommender = g4r.GRU4Rec(config, device="cpu").fit(log)
    items = recommender.catalog.item_ids.head(4).to_list()
    times = [start + timedelta(minutes=m) for m in (0, 1, 30, 31)]
    events = ["0", "2", "strange", "1"]
    batch = pl.DataFrame({"session_id": 1, "item_id": items, "timestamp": times, "event": events})
    store = g4r.SessionStore(recommender)
    store.click_many([1, 1], items[:2], timestamp=times[:2], event=events[:2])
    store.save(tmp_path / "s.parquet")
    again = g4r.SessionStore(recommender)
    again.restore(tmp_path / "s.parquet")
    for one in (store, again):
        one.click_many([1, 1], items[2:], timestamp=times[2:], event=events[2:])
        same(one.recommend_many([1], 6), recommender.recommend(batch, 6))
    bare = recommender.recommend([items], 6)
    assert store.recommend_many([1], 6)["score"].to_list() != bare["score"].to_list()


def in_threads(work: Callable[[int], object], count: int = 4) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_clicks_on_one_session_from_threads_are_all_taken_in(trained):
    """Every thread clicks the same item, so the order does not matter and the count does."""
    store, live = g4r.SessionStore(trained), trained.start_session()

    def work(number: int) -> None:
        for _ in range(25):
            store.click_many(["shared", str(number)], [ITEMS[0], ITEMS[number]])
            store.recommend_many(["shared", str(number)], 3)
            live.click(ITEMS[0])
            live.recommend(3)

    in_threads(work)
    hundred = trained.recommend([[ITEMS[0]] * 100], 5)
    same(store.recommend_many(["shared"], 5).with_columns(session_id=pl.lit(0)), hundred)
    assert live.recommend(5)["score"].to_list() == pytest.approx(hundred["score"].to_list())
    for number in range(4):
        alone = trained.recommend([[ITEMS[number]] * 25], 5)
        same(store.recommend_many([str(number)], 5).with_columns(session_id=pl.lit(0)), alone)


@pytest.mark.parametrize("name", ["vstan", "vmis_knn", "stan"])
def test_neighbour_methods_answer_threads_alike(name, log):
    recommender = BASELINES[name]().fit(log)
    expected = [recommender.next_items(ITEMS[number : number + 3], 10) for number in range(4)]

    def work(number: int) -> None:
        for _ in range(30):
            assert recommender.next_items(ITEMS[number : number + 3], 10) == expected[number]

    in_threads(work)


def test_an_error_of_the_encoder_leaves_every_session_as_it_was(tiny, log, monkeypatch):
    recommender = g4r.GRU4Rec(tiny, device="cpu").fit(log)
    store, live = g4r.SessionStore(recommender), recommender.start_session()
    store.click_many([1], ITEMS[:1])
    live.click(ITEMS[0])

    def fail(*args: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(type(recommender), "next_states", fail)
        with pytest.raises(MemoryError):
            store.click_many([1, 2], ITEMS[1:3])
        with pytest.raises(MemoryError):
            live.click(ITEMS[1])
    assert 2 not in store
    expected = recommender.recommend([[ITEMS[0]]], 5)
    same(store.recommend_many([1], 5).with_columns(session_id=pl.lit(0)), expected)
    assert live.recommend(5)["item_id"].to_list() == expected["item_id"].to_list()


def test_threads_that_save_to_one_path_leave_a_whole_file(trained, tmp_path):
    store = g4r.SessionStore(trained)
    store.click_many(list(range(20)), ITEMS[:1] * 20)

    def work(number: int) -> None:
        for _ in range(20):
            store.save(tmp_path / "s.parquet")

    in_threads(work)
    again = g4r.SessionStore(trained)
    again.restore(tmp_path / "s.parquet")
    assert len(again) == 20
    assert [file.name for file in tmp_path.iterdir()] == ["s.parquet"]
