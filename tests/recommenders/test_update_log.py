"""What an update learns from: new clicks, older ones beside them, and what they count."""

import numpy as np
import polars as pl
import pytest
from toys import clicks_of
from updates import fitted, same_weights

import gru4rec as g4r
from gru4rec.serving.index import ItemIndex
from gru4rec.sessions import SideInputs
from gru4rec.training import UpdateLog


def test_older_sessions_are_learned_beside_the_new_ones(parts):
    alone = fitted(parts[0]).update(parts[1])
    beside = fitted(parts[0]).update(parts[1], replay=parts[0], replay_share=0.5)
    none = fitted(parts[0]).update(parts[1], replay=parts[0], replay_share=0.0)
    assert same_weights(alone, none)
    assert not same_weights(alone, beside)
    assert beside.catalog.support.sum() == alone.catalog.support.sum()


def test_supports_fade_by_their_half_life(parts):
    recommender = fitted(parts[0])
    old, before = recommender.catalog.support, parts[0]["timestamp"].max()
    passed = (parts[1]["timestamp"].max() - before).total_seconds()
    recommender.update(parts[1], half_life=f"{round(passed)}s")
    counts = parts[1].group_by("item_id").len()
    new = dict(counts.iter_rows())
    ids = recommender.catalog.item_ids[: len(old)]
    fading = 0.5 ** (passed / round(passed))  # a half, nearly
    for item, n, now in zip(ids, old.tolist(), recommender.catalog.support.tolist(), strict=False):
        assert abs(now - new.get(item, 0) - max(1, n * fading)) < 1  # rounded by chance
    with pytest.raises(g4r.DataError, match="needs times"):
        recommender.update(parts[2].drop("timestamp"), half_life="7d")
    with pytest.raises(g4r.DataError, match="soon"):
        recommender.update(parts[2], half_life="soon")


def test_small_supports_fade_too_however_often_they_are_updated():
    catalog = g4r.Popularity().fit(clicks_of([["a"] * 100, ["b"] * 100])).catalog
    nothing = clicks_of([["a"], ["b"]]).lazy()
    for number in range(336):  # two half-lives
        catalog = catalog.grown(nothing, fading=0.5 ** (1 / 168), seed=number)
    clicks = 336 / 2 * 0.75 / np.log(2) * 0.5  # what one click an hour leaves, about
    assert catalog.support.tolist() == pytest.approx([25 + 1.5 * clicks] * 2, rel=0.5)
    assert max(catalog.support) < 250


def test_replayed_sessions_are_none_of_the_new_ones(parts):
    renamed = parts[0].with_columns(
        session_id=pl.lit("older-") + pl.col("session_id").cast(pl.String)
    )
    log = UpdateLog.read(
        parts[1],
        catalog=fitted(parts[0]).catalog,
        side_inputs=SideInputs({}),
        seen=None,
        replay=pl.concat([renamed, parts[1].cast({"session_id": pl.String})]),
        replay_share=99.0,
    )
    number = renamed.group_by("session_id").len().filter(pl.col("len") > 1).height
    assert len(log.learned) == number + len(log.new)
    assert log.learned.session_ids[:number].str.starts_with("older-").all()
    assert log.learned.items[log.learned.offsets[number] :].tolist() == log.new.items.tolist()
    assert log.seen.known(log.new) != []


@pytest.mark.parametrize("share", [-1.0, float("nan"), float("inf")])
def test_a_share_that_is_none_is_refused(parts, share):
    with pytest.raises(g4r.ConfigError, match="replay_share"):
        fitted(parts[0]).update(parts[1], replay=parts[0], replay_share=share)


def test_sessions_of_a_store_go_on_with_the_updated_model(parts, tmp_path):
    recommender = fitted(parts[0])
    store = g4r.SessionStore(recommender)
    store.click_many(["s"] * 2, ["c00-0000", "c01-0020"])
    store.save(tmp_path / "sessions.parquet")
    recommender.update(parts[2])
    store = g4r.SessionStore(recommender)
    store.restore(tmp_path / "sessions.parquet")
    found = store.recommend_many(["s"], 5)["item_id"].to_list()
    assert found == recommender.next_items(["c00-0000", "c01-0020"], 5)[0]


@pytest.mark.parametrize(("factory", "exact"), [("IVF64,Flat", True), ("HNSW16", False)])
def test_an_index_of_too_few_items_for_its_kind_is_exact(factory, exact, caplog):
    vectors = np.random.default_rng(0).normal(size=(4000, 8)).astype(np.float32)
    index = ItemIndex.build(vectors, factory).rebuilt(vectors[:50])
    assert (len(index), index.is_exact) == (50, exact)
    assert ("too few for the kind" in caplog.text) == exact
    assert (
        index.search(vectors[:1], 5)[1].tolist()
        == ItemIndex.build(vectors[:50]).search(vectors[:1], 5)[1].tolist()
    )


@pytest.mark.parametrize("factory", ["Flat", "HNSW16_SQ8", "IVF4,Flat", "IVF4,SQ8"])
def test_an_index_is_rebuilt_of_the_same_kind(factory):
    random = np.random.default_rng(0)
    old, new = (random.normal(size=(n, 8)).astype(np.float32) for n in (300, 400))
    index = ItemIndex.build(old, factory)
    index.set_effort(64)
    again = index.rebuilt(new)
    fresh = ItemIndex.build(new, factory)
    fresh.set_effort(64)
    assert (again.structure, len(again)) == (index.structure, 400)
    queries = random.normal(size=(5, 8)).astype(np.float32)
    for mine, expected in zip(again.search(queries, 5), fresh.search(queries, 5), strict=True):
        assert mine.tolist() == expected.tolist()
