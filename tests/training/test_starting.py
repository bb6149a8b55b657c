"""Items that start from given vectors: their rows, the others', and a training that goes on."""

import itertools
import math

import numpy as np
import polars as pl
import pytest
import torch
from toys import TINY

import gru4rec as g4r
from gru4rec.exporting import item_table
from gru4rec.model import Model
from gru4rec.sessions import InitialVectors
from gru4rec.training.starting import projected, start_from

ITEMS = 12


def model_of(**settings):
    asked = {name.replace("__", "."): value for name, value in settings.items()}
    config = g4r.Config().replace(
        {**TINY, "training.scoring": "dot", "training.loss": "cross_entropy", **asked}
    )
    model = Model(config, ITEMS)
    model.initialize(torch.Generator().manual_seed(3))
    return model


def some_vectors(width, given=(1, 4, 7)):
    vectors = np.zeros((ITEMS, width), dtype=np.float32)
    vectors[list(given)] = np.random.default_rng(1).normal(0, 50, (len(given), width))
    return InitialVectors(vectors)


def cosines(vectors):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit @ unit.T


def test_named_rows_have_the_directions_given_and_the_length_of_a_draw():
    model, drawn, initial = model_of(), model_of(), some_vectors(16)
    start_from(model, initial)
    table = model.output_table.numpy()
    given = initial.are_given
    # 16 components uniform ±√(6 / 28): a mean square of 2/28 each.
    lengths = np.linalg.norm(table[given], axis=1)
    np.testing.assert_allclose(lengths, math.sqrt(16 * 2 / 28), rtol=1e-6)
    unit = initial.vectors[given] / np.linalg.norm(initial.vectors[given], axis=1, keepdims=True)
    np.testing.assert_allclose(table[given] / lengths[:, None], unit, atol=1e-6)
    assert np.array_equal(table[~given], drawn.output_table.numpy()[~given])
    usual = np.square(drawn.output_table.numpy()).sum(1).mean()
    assert math.sqrt(usual) == pytest.approx(lengths[0], rel=0.1)


@pytest.mark.parametrize(
    ("settings", "moved"),
    [
        ({"encoder__embedding": "separate"}, True),
        ({"encoder__embedding": "separate", "encoder__embedding_size": 5}, False),
        ({"encoder__embedding": "onehot"}, False),
    ],
    ids=str,
)
def test_inputs_start_there_too_where_they_are_of_the_same_size(settings, moved):
    model, drawn, initial = model_of(**settings), model_of(**settings), some_vectors(16)
    start_from(model, initial)
    given = initial.are_given
    inputs, before = model.input_table.numpy(), drawn.input_table.numpy()
    assert np.array_equal(inputs[given], model.output_table.numpy()[given]) == moved
    assert np.array_equal(inputs, before) != moved
    assert np.array_equal(inputs[~given], before[~given])
    for name, weight in model.state_dict().items():
        if "table" not in name:
            assert torch.equal(weight, drawn.state_dict()[name])


def test_shorter_vectors_keep_their_angles_and_longer_ones_about():
    random = np.random.default_rng(2)
    short = random.normal(size=(20, 8)).astype(np.float32)
    np.testing.assert_allclose(cosines(projected(short, 30)), cosines(short), atol=1e-6)
    assert np.array_equal(projected(short, 8).argmax(1), short.argmax(1))
    long = random.normal(size=(20, 400)).astype(np.float32)
    long[10:] = long[:10] + 0.2 * long[10:]  # pairs that lie near each other
    far = np.abs(cosines(projected(long, 128)) - cosines(long))
    assert far.max() < 0.35  # some four times √(1/128)
    near = cosines(projected(long, 128))
    assert (near[:10].argsort(1)[:, -2] == np.arange(10, 20)).all()


def test_huge_and_tiny_vectors_are_directions_too():
    vectors = np.array([[3e38, 3e38], [1e-38, -1e-38]], dtype=np.float32)
    table = np.zeros((ITEMS, 2), dtype=np.float32)
    table[:2] = vectors
    model = model_of(encoder__hidden_size=2)
    start_from(model, InitialVectors(table))
    one = math.sqrt(2 / 14)
    expected = [[one, one], [one, -one]]
    np.testing.assert_allclose(model.output_table[:2], expected, rtol=1e-5)


@pytest.fixture(scope="module")
def clicks() -> pl.DataFrame:
    return g4r.generate_clicks(sessions=60, items=40, categories=3, seed=1)


@pytest.fixture(scope="module")
def table(clicks) -> pl.DataFrame:
    ids = clicks["item_id"].unique().sort().head(25)
    vectors = np.random.default_rng(0).normal(size=(len(ids), 24))
    return pl.DataFrame({"item_id": ids, "v": vectors.tolist()})


SETTINGS = {**TINY, "training.lanes": 4, "training.epochs": 3}


def fit(clicks, settings=SETTINGS, **how):
    return g4r.GRU4Rec(g4r.Config().replace(settings), device="cpu").fit(clicks, **how)


def weights_of(recommender):
    return {name: w.tolist() for name, w in recommender.model.state_dict().items()}


def test_without_learning_the_vectors_are_there(clicks, table):
    still = {**SETTINGS, "training.learning_rate": 0.0, "training.smoothing": 0.0}
    recommender = fit(clicks, still, initial_vectors=table)
    items = item_table(recommender).join(table, on="item_id", maintain_order="left")
    ours, given = (np.array(items[name].to_list()) for name in ("vector", "v"))
    assert np.abs(cosines(ours) - cosines(given)).max() < 0.9  # 24 components in 16
    assert np.corrcoef(cosines(ours).ravel(), cosines(given).ravel())[0, 1] > 0.6
    assert recommender.meta.counts["initial_vectors"] == 25
    assert "initial_vectors" not in fit(clicks, still).meta.counts


def test_another_start_is_another_model_and_the_same_start_the_same(clicks, table):
    first, again = (fit(clicks, initial_vectors=table) for _ in range(2))
    assert weights_of(first) == weights_of(again)
    assert weights_of(first) != weights_of(fit(clicks))


def test_every_run_of_a_training_starts_there(clicks, table):
    settings = {**SETTINGS, "encoder.repeats": True, "training.teachers": 1}
    fit(clicks, settings, initial_vectors=table)


def test_the_own_vectors_of_a_model_are_a_start(clicks):
    before = fit(clicks)
    still = {**SETTINGS, "training.learning_rate": 0.0, "training.scoring": "cosine"}
    after = fit(clicks, still, initial_vectors=item_table(fit(clicks, still)))
    np.testing.assert_allclose(
        np.array(item_table(after)["vector"].to_list()),
        np.array(item_table(fit(clicks, still))["vector"].to_list()),
        atol=1e-6,
    )
    assert weights_of(before) != weights_of(after)


def test_a_training_that_was_interrupted_goes_on_to_the_same_weights(clicks, table, tmp_path):
    asked = itertools.count(1)
    with pytest.raises(g4r.StoppedError):
        fit(clicks, initial_vectors=table, keep=tmp_path / "m", stopping=lambda: next(asked) >= 5)
    with pytest.raises(g4r.CheckpointError, match="learns from another log"):
        fit(clicks, keep=tmp_path / "m", resume=True)
    other = table.with_columns(v=pl.col("v").list.reverse())
    with pytest.raises(g4r.CheckpointError, match="learns from another log"):
        fit(clicks, initial_vectors=other, keep=tmp_path / "m", resume=True)
    resumed = fit(clicks, initial_vectors=table, keep=tmp_path / "m", resume=True)
    assert weights_of(resumed) == weights_of(fit(clicks, initial_vectors=table))
