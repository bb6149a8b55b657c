"""A service of a small model, asked without a network."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgi import Client

import gru4rec as g4r
from gru4rec.service import ServiceSettings


@pytest.fixture
def checkpoint(trained: g4r.GRU4Rec, tmp_path: Path) -> Path:
    trained.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def serving(checkpoint: Path) -> Iterator[Callable[..., Client]]:
    """Starts services of the checkpoint, with other settings if they are given."""
    clients: list[Client] = []

    def start(host: str = "127.0.0.1", **settings: Any) -> Client:
        settings = {"checkpoint": str(checkpoint), "access_log": False, **settings}
        client = Client(ServiceSettings(**settings), host)
        clients.append(client.__enter__())
        return client

    yield start
    for client in clients:
        client.__exit__()


@pytest.fixture
def client(serving: Callable[..., Client]) -> Client:
    return serving()
