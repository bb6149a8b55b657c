"""One click of one session gives what the encoder gives, with the weights that the model has."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import gru4rec as g4r
from gru4rec.model import running_queries, states_after
from gru4rec.model.network import Model
from gru4rec.model.one_click import row_after_click
from gru4rec.sessions import NO_SIDE_INPUTS, RunningSession, SideInputs

ITEMS, SESSIONS = 12, 3


def model_of(seed: int = 0, sides: SideInputs = NO_SIDE_INPUTS, **settings: object) -> Model:
    base = {"encoder.hidden_size": 8, "training.scoring": "dot", "training.scale": 10.0}
    model = Model(g4r.Config().replace({**base, **settings}), ITEMS, sides)
    random = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():  # as large as those of a model that has learned
        width = parameter.shape[-1] if parameter.dim() > 1 else 1
        parameter.data.copy_(torch.randn(parameter.shape, generator=random) / width**0.5)
    return model


def rows_by_torch(model: Model, clicks: list[int]) -> list[np.ndarray]:
    """The row after each click, read beside other sessions: by torch."""
    rows, sides, found = [None] * SESSIONS, np.empty((SESSIONS, 0), dtype=np.int64), []
    for item in clicks:
        items = np.array([item, *range(1, SESSIONS)])
        rows = states_after(model, rows, items, sides)
        found.append(rows[0])
    return found


@given(
    layers=st.integers(1, 3),
    size=st.sampled_from([1, 2, 7, 16, 33]),
    reset_gate=st.sampled_from(["after", "before"]),
    embedding=st.sampled_from(["shared", "separate", "onehot"]),
    half=st.booleans(),
    clicks=st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=6),
    seed=st.integers(0, 99),
)
def test_it_gives_the_rows_that_torch_gives(
    layers, size, reset_gate, embedding, half, clicks, seed
):
    model = model_of(
        seed,
        **{
            "encoder.num_layers": layers,
            "encoder.hidden_size": size,
            "encoder.reset_gate": reset_gate,
            "encoder.embedding": embedding,
            **({"encoder.embedding_size": 5} if embedding == "separate" else {}),
        },
    )
    if half:
        model.input_table.data = model.input_table.data.half()
    row = None
    for item, expected in zip(clicks, rows_by_torch(model, clicks), strict=True):
        row = row_after_click(model, row, item)
        assert row.dtype == np.float32
        assert row == pytest.approx(expected, abs=1e-6)


def test_gates_that_are_shut_or_open_wide_are_no_overflow():
    model = model_of()
    for parameter in model.encoder.parameters():
        parameter.data *= 1000
    assert np.isfinite(row_after_click(model, None, 3)).all()


def in_place(model: Model, other: Model) -> None:
    for mine, new in zip(model.parameters(), other.parameters(), strict=True):
        mine.data.copy_(new.data)


def other_data(model: Model, other: Model) -> None:
    for mine, new in zip(model.parameters(), other.parameters(), strict=True):
        mine.data = new.data.clone()


def other_parameters(model: Model, other: Model) -> None:
    model.load_state_dict(copy.deepcopy(other.state_dict()), assign=True)


@pytest.mark.parametrize("change", [in_place, other_data, other_parameters])
def test_weights_that_change_count_from_the_next_click_on(change):
    model, other = model_of(seed=1), model_of(seed=2)
    row = row_after_click(model, None, 3)
    change(model, other)
    (before,) = rows_by_torch(other, [3])
    assert row != pytest.approx(before, abs=1e-3)
    assert row_after_click(model, None, 3) == pytest.approx(before, abs=1e-6)


def test_what_it_does_not_know_is_left_to_torch():
    known = SideInputs({"kind": ["a", "b"]})
    assert row_after_click(model_of(**{"encoder.name": "lstm"}), None, 3) is None
    assert row_after_click(model_of(sides=known), None, 3) is None
    assert row_after_click(model_of().to("meta"), None, 3) is None


@pytest.mark.parametrize("name", ["gru", "sasrec"])
@pytest.mark.parametrize("scoring", ["cosine", "dot"])
def test_queries_of_running_sessions_are_those_of_their_vectors(scoring, name):
    model = model_of(**{"training.scoring": scoring, "encoder.name": name})
    clicks = [[1, 2], [3], [4, 4, 5]]
    sessions = [RunningSession(items, [], [None] * len(items)) for items in clicks]
    expected = []
    for session in sessions:
        for item in session.items:
            (session.state,) = states_after(
                model, [session.state], np.array([item]), np.empty((1, 0), dtype=np.int64)
            )
        alone = running_queries(model, [session], NO_SIDE_INPUTS)
        if session.state is not None:
            vector = torch.from_numpy(session.state[None, -8:])
            assert alone == pytest.approx(model.query_vectors(vector).numpy(), abs=1e-5)
        expected.append(alone[0])
    found = running_queries(model, sessions, NO_SIDE_INPUTS)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.stack(expected), abs=1e-5)


def test_the_query_of_a_vector_of_zeros_is_zeros():
    model = model_of(**{"training.scoring": "cosine"})
    session = RunningSession([1], [], [None], state=np.zeros(16, dtype=np.float32))
    assert not running_queries(model, [session], NO_SIDE_INPUTS).any()
