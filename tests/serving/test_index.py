"""The index answers as brute force does, ties and all."""

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gru4rec.errors import CheckpointError
from gru4rec.serving.index import ItemIndex


def brute_force(vectors: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    scores = queries @ vectors.T
    return np.lexsort((np.broadcast_to(np.arange(len(vectors)), scores.shape), -scores), axis=1)[
        :, :k
    ]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("k", [1, 20, 99])
def test_it_equals_brute_force(k):
    vectors, queries = normal(100, 8), normal(7, 8, seed=1)
    scores, items = ItemIndex.build(vectors).search(queries, k)
    expected = brute_force(vectors, queries, k)
    assert items.tolist() == expected.tolist()
    found = np.take_along_axis(queries @ vectors.T, items, axis=1)
    assert np.allclose(scores, found, atol=1e-4)


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=40),
    st.integers(1, 45),
)
def test_of_equal_scores_the_lower_item_index_comes_first_at_the_last_place_too(rows, k):
    vectors = np.array(rows, dtype=np.float32)  # small whole numbers: sums are exact, ties abound
    queries = np.array([[1, 0], [1, 1], [0, -2], [0, 0]], dtype=np.float32)
    index, expected = ItemIndex.build(vectors), brute_force(vectors, queries, k).tolist()
    assert index.search(queries, k)[1].tolist() == expected
    assert [index.search(query[None], k)[1][0].tolist() for query in queries] == expected


@pytest.mark.parametrize("count", [1, 3, 20])
@pytest.mark.parametrize("factory", ["IVF4,Flat", "IVF4,SQ8"])
def test_items_of_one_vector_score_alike_wherever_they_stand(factory, count):
    # 37 vectors, seven times each: a matrix product rounds the rows of a block in its own way
    vectors = np.concatenate([normal(37, 100)] * 7)
    index = ItemIndex.build(vectors, factory)
    index.set_effort(4)
    scores, items = index.search(normal(count, 100, seed=1), len(vectors))
    for of_query, found in zip(scores.reshape(-1, 7), items.reshape(-1, 7), strict=True):
        assert len(set(of_query.tolist())) == 1
        assert np.diff(found).tolist() == [37] * 6


@pytest.mark.parametrize("effort", [1, 4])
@pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat", "IVF4,SQ8", "HNSW8"])
def test_a_query_alone_finds_what_it_finds_among_others(factory, effort):
    vectors, queries = normal(200, 8), normal(30, 8, seed=1)
    index = ItemIndex.build(vectors, factory)
    index.set_effort(effort)
    for k in (1, 20, 150):  # for the last, lists of an index have too few
        scores, items = index.search(queries, k)
        alone = [index.search(query[None], k) for query in queries]
        assert [found[1][0].tolist() for found in alone] == items.tolist()
        assert np.allclose([found[0][0] for found in alone], scores, atol=1e-6)


def test_k_above_the_catalog_gives_every_item_once_and_never_minus_one():
    _, items = ItemIndex.build(normal(5, 3)).search(normal(2, 3, seed=1), 50)
    assert [sorted(row) for row in items.tolist()] == [[0, 1, 2, 3, 4]] * 2


def test_it_survives_its_file(tmp_path):
    index, queries = ItemIndex.build(normal(30, 4)), normal(3, 4, seed=1)
    index.save(tmp_path / "index.faiss")
    again = ItemIndex.load(tmp_path / "index.faiss")
    assert (len(again), again.width) == (30, 4)
    assert again.search(queries, 5)[1].tolist() == index.search(queries, 5)[1].tolist()
    assert faiss.read_index(str(tmp_path / "index.faiss")).ntotal == 30


@pytest.mark.parametrize(
    "factory", ["Flat", "SQ8", "HNSW8", "IVF4,Flat", "IVF4,SQfp16", "IVF4,PQ2x4", "PCA2,IVF4,SQ8"]
)
def test_any_index_that_can_be_built_survives_its_file_and_the_limits_of_reading(factory, tmp_path):
    vectors = normal(200, 4)
    before = [getattr(faiss, name)() for name in dir(faiss) if name.startswith("get_deserial")]
    index = ItemIndex.build(vectors, factory)
    index.save(tmp_path / "index.faiss")
    again = ItemIndex.load(tmp_path / "index.faiss").with_vectors(vectors)
    assert again.search(vectors[:9], 5)[1].tolist() == index.search(vectors[:9], 5)[1].tolist()
    after = [getattr(faiss, name)() for name in dir(faiss) if name.startswith("get_deserial")]
    assert after == before


def test_a_graph_that_leads_to_items_it_does_not_hold_is_refused(tmp_path):
    index = faiss.index_factory(4, "HNSW8", faiss.METRIC_INNER_PRODUCT)
    index.add(normal(30, 4))
    links = faiss.vector_to_array(index.hnsw.neighbors)
    links[0] = 30
    faiss.copy_array_to_vector(links, index.hnsw.neighbors)
    faiss.write_index(index, str(tmp_path / "index.faiss"))
    with pytest.raises(CheckpointError, match="index"):
        ItemIndex.load(tmp_path / "index.faiss")


def test_a_file_that_is_no_index_is_refused(tmp_path):
    (tmp_path / "index.faiss").write_bytes(b"no index at all")
    with pytest.raises(CheckpointError, match="index"):
        ItemIndex.load(tmp_path / "index.faiss")
