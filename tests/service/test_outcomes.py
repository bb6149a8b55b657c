"""The service tells how likely the outcome of a session is, if it is asked and knows one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from asgi import Client
from outcome_logs import LEARNS_OUTCOME, outcome_log

import gru4rec as g4r


@pytest.fixture(scope="module")
def foretells() -> g4r.GRU4Rec:
    return g4r.GRU4Rec(g4r.Config().replace(LEARNS_OUTCOME), device="cpu").fit(outcome_log())


@pytest.fixture
def checkpoint(foretells: g4r.GRU4Rec, tmp_path: Path) -> Path:
    foretells.save(tmp_path / "model")
    return tmp_path / "model"


def test_every_way_to_ask_tells_the_classes(client: Client, foretells: g4r.GRU4Rec) -> None:
    told = foretells.outcomes([["a", "c"]])["outcome"].item()
    expected = pytest.approx({"false": 1 - told, "true": told}, abs=1e-6)
    clicked = client.post("/sessions/s/clicks", {"items": ["a", "c"], "outcome": True}, k=0)
    assert clicked.json["outcome"] == expected
    assert client.get("/sessions/s/recommendations", outcome="true").json["outcome"] == expected
    alone = client.post("/recommend", {"items": ["a", "c"]}, outcome="true")
    assert alone.json["outcome"] == expected
    assert "outcome" not in client.get("/sessions/s/recommendations").json


def test_before_a_known_click_the_shares_of_the_log_are_told(client: Client) -> None:
    reply = client.get("/sessions/never/recommendations", outcome="true")
    assert reply.json["outcome"] == pytest.approx({"false": 4 / 9, "true": 5 / 9})


def test_a_model_without_an_outcome_refuses_the_question(
    serving: Callable[..., Client], trained: g4r.GRU4Rec, tmp_path: Path
) -> None:
    trained.save(tmp_path / "plain")
    client = serving(checkpoint=str(tmp_path / "plain"))
    for path in ("/recommend", "/sessions/s/clicks"):
        reply = client.post(path, {"items": ["c00-0000"], "outcome": True})
        assert reply.status == 422
        assert "was not trained with an outcome" in reply.json["error"]
    assert client.get("/sessions/s").status == 404  # the click that was refused is not there
