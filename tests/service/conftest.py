"""A service of a small model, asked without a network, and a Redis for its sessions."""

import shutil
import signal
import socket
import subprocess
import threading
import time
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


class Server:
    """A Redis or Valkey of its own, which keeps what it has in a file."""

    def __init__(self, program: str, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._command = [program, "--port", str(self.port), "--dir", str(folder),
                         "--appendonly", "yes", "--save", ""]  # fmt: skip
        self.start()

    @property
    def address(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the server of sessions does not listen")

    def pause(self, seconds: float) -> None:
        """Let it answer nothing for some time."""
        self._process.send_signal(signal.SIGSTOP)
        threading.Timer(seconds, self._process.send_signal, [signal.SIGCONT]).start()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        pytest.skip("neither valkey-server nor redis-server is installed")
    server = Server(program, tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis(server) -> Iterator[object]:
    """A client of the server, which is emptied first."""
    import redis

    with redis.Redis.from_url(server.address) as client:
        client.flushall()
        yield client
