"""What every encoder of the table must do."""

import functools
import math

import numpy as np
import polars as pl
import pytest
import torch
from toys import TINY, at_once, clicks_of

import gru4rec as g4r
from gru4rec.config import Config
from gru4rec.model.encoders import ENCODERS, Packing
from gru4rec.model.encoding import session_vectors
from gru4rec.model.network import Model
from gru4rec.sessions import SessionArrays, to_arrays
from gru4rec.sessions.batching import SessionParallelWindows
from gru4rec.sessions.catalog import Catalog

# every encoder of the table, and forms of them that compute something else
FORMS = {name: {"encoder.name": name} for name in ENCODERS} | {
    "gru, reset before": {"encoder.name": "gru", "encoder.reset_gate": "before"},
}

pytestmark = pytest.mark.parametrize("name", FORMS)


def model_of(name: str, num_items: int = 30, **settings: object) -> Model:
    settings = {
        **FORMS[name],
        "encoder.hidden_size": 12,
        "training.scoring": "dot",
        **settings,
    }
    model = Model(Config().replace(settings), num_items)
    random = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=random) * 0.5)
    return model


def arrays_of(sessions: list[list[int]]) -> SessionArrays:
    lengths = [len(session) for session in sessions]
    return SessionArrays(
        pl.Series(range(len(sessions))),
        np.array([item for session in sessions for item in session], dtype=np.int64),
        np.concatenate(([0], np.cumsum(lengths))),
    )


def vectors_of(model: Model, sessions: SessionArrays, **windows: int) -> torch.Tensor:
    """Session vectors after every click, in the order of the clicks."""
    every = np.arange(len(sessions.items))
    of_clicks = torch.empty(len(every), model.encoder.output_size)
    with at_once(**windows):
        for rows, vectors in session_vectors(model, sessions, every):
            of_clicks[rows] = vectors
    return of_clicks


# around the steps of a window and the default `max_length`; more sessions than seven lanes
LENGTHS = [7, 1, 65, 2, 51, 5, 20, 1, 6, 3]


@functools.cache
def random_sessions() -> list[list[int]]:
    random = np.random.default_rng(3)
    return [random.integers(0, 30, length).tolist() for length in LENGTHS]


@functools.cache
def vectors_alone(name: str, layers: int) -> torch.Tensor:
    """The vectors of `random_sessions`, each run alone in one window."""
    model = model_of(name, **{"encoder.num_layers": layers})
    return torch.cat(
        [vectors_of(model, arrays_of([one]), lanes=1, steps=90) for one in random_sessions()]
    )


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("lanes", [1, 7, 512])
@pytest.mark.parametrize("steps", [1, 5, 64])
def test_windows_of_any_size_give_the_vectors_of_each_session_run_alone(name, layers, lanes, steps):
    model = model_of(name, **{"encoder.num_layers": layers})
    vectors = vectors_of(model, arrays_of(random_sessions()), lanes=lanes, steps=steps)
    assert torch.allclose(vectors, vectors_alone(name, layers), atol=1e-5)


def test_an_endless_session_on_many_lanes_has_the_vectors_of_one_pass(name):
    model, random = model_of(name), np.random.default_rng(4)
    endless, others = random.integers(0, 30, 700).tolist(), [[1, 2, 3], [4, 5]]
    vectors = vectors_of(model, arrays_of([others[0], endless, others[1]]), lanes=3, steps=7)
    of_one_pass = vectors_of(model, arrays_of([endless]), lanes=1, steps=700)
    assert torch.allclose(vectors[3:703], of_one_pass, atol=1e-5)


def test_of_an_endless_session_any_click_alone_has_its_vector(name):
    model, random = model_of(name), np.random.default_rng(4)
    arrays = arrays_of([[1, 2], random.integers(0, 30, 700).tolist(), [3]])
    every = vectors_of(model, arrays)
    for clicks in ([1, 701, 702], [310], [400, 320, 2]):
        of_clicks = torch.empty(len(clicks), model.encoder.output_size)
        for rows, vectors in session_vectors(model, arrays, np.array(clicks)):
            of_clicks[rows] = vectors
        assert torch.allclose(of_clicks, every[clicks], atol=1e-5)


def test_no_vector_sees_the_future(name):
    model = model_of(name)
    one, other = [3, 1, 4, 1, 5], [3, 1, 4, 9, 2]
    first, second = (vectors_of(model, arrays_of([s])) for s in (one, other))
    assert torch.equal(first[:3], second[:3])
    assert not torch.allclose(first[3:], second[3:])


def test_lanes_do_not_influence_each_other(name):
    model = model_of(name)
    kept = [7, 7, 2]
    first = vectors_of(model, arrays_of([kept, [1, 2, 3]]), lanes=2, steps=2)
    second = vectors_of(model, arrays_of([kept, [9, 8, 7]]), lanes=2, steps=2)
    assert torch.equal(first[:3], second[:3])


def test_a_session_after_another_in_its_lane_starts_afresh(name):
    model = model_of(name)
    alone = vectors_of(model, arrays_of([[4, 5]]))
    after = vectors_of(model, arrays_of([[1, 2, 3], [4, 5]]), lanes=1, steps=2)
    assert torch.allclose(after[3:], alone, atol=1e-6)


def test_every_parameter_receives_gradient(name):
    model = model_of(name, **{"encoder.num_layers": 2})
    sessions = arrays_of([[1, 2, 3], [4, 5, 6]])
    (batch,) = SessionParallelWindows(sessions.offsets[:-1], sessions.lengths, lanes=2, steps=3)
    inputs = model.input_table[torch.from_numpy(sessions.items[batch.clicks])]
    vectors, _ = model.encoder(inputs, Packing.of(batch.layout), model.encoder.initial_state(2))
    vectors.square().sum().backward()
    for parameter_name, parameter in model.encoder.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().max() > 0, parameter_name


@pytest.mark.parametrize("length", [1, 2, 100])
def test_a_session_of_any_length_is_learned_from(name, length):
    log = clicks_of([[number % 30 for number in range(length + 1)], [1, 2]])
    recommender = g4r.GRU4Rec(
        g4r.Config().replace({**TINY, **FORMS[name], "encoder.max_length": 20}), device="cpu"
    ).fit(log)
    assert all(math.isfinite(epoch["loss"]) for epoch in recommender.meta.history)
    assert recommender.recommend([[n % 30 for n in range(length)]], k=3).height == 3


def test_a_saved_recommender_gives_the_same_answers_and_so_does_a_live_session(name, log, tmp_path):
    config = g4r.Config().replace({**TINY, **FORMS[name], "training.epochs": 1})
    recommender = g4r.GRU4Rec(config, device="cpu").fit(log)
    recommender.save(tmp_path / "model")
    loaded = g4r.load(tmp_path / "model", device="cpu")
    items = recommender.catalog.item_ids.head(40).to_list()
    prefixes = [items[:1], items[3:7], items[::-1]]
    expected = recommender.recommend(prefixes, k=5)
    assert loaded.recommend(prefixes, k=5).equals(expected)
    for number, prefix in enumerate(prefixes):
        session = recommender.start_session()
        for item in prefix:
            session.click(item)
        found = session.recommend(k=5)
        batch = expected.filter(session_id=number)
        assert found["item_id"].to_list() == batch["item_id"].to_list()
        assert found["score"].to_list() == pytest.approx(batch["score"].to_list(), abs=1e-4)


def test_nothing_is_dropped_without_a_generator_and_layer_dropout_needs_one(name):
    model = model_of(name, **{"encoder.layer_dropout": 0.9, "encoder.num_layers": 2})
    sessions = arrays_of([[1, 2, 3, 4]])
    assert torch.equal(vectors_of(model, sessions), vectors_of(model, sessions))


def test_the_catalog_and_arrays_come_from_the_log_as_it_is(name, log):
    model = model_of(name, num_items=60)
    catalog = Catalog.of(log.lazy())
    sessions = to_arrays(log.lazy(), catalog)
    assert torch.isfinite(vectors_of(model, sessions)).all()
