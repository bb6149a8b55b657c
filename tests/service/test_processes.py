"""`gru4rec serve` as a process: how it begins, ends, and bears clients that misbehave."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from served import served

pytestmark = pytest.mark.process
A, B = "c00-0000", "c00-0001"


def test_it_serves_until_it_is_told_to_stop_and_saves_its_sessions(checkpoint, tmp_path):
    file = str(tmp_path / "sessions.parquet")
    with served(checkpoint, "--sessions", file) as service:
        assert service.ask("POST", "/sessions/s/clicks", {"item_id": A})[0] == 200
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=60) == 0
    with served(checkpoint, "--sessions", file) as service:
        assert service.ask("GET", "/sessions/s")[1]["items"] == [A]
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(timeout=60) == 0


def test_a_request_under_way_is_answered_before_it_ends(checkpoint):
    with served(checkpoint) as service:
        with socket.create_connection((service.host, service.port)) as client:
            head = b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 22\r\n\r\n"
            client.sendall(head + b'{"items":')
            time.sleep(0.3)
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            client.sendall(b'["c00-0000"]}')
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert service.process.wait(timeout=60) == 0


def asked(service, content: bytes, rest: bytes = b"") -> bytes:
    """What a connection gets that sends this, after a while the rest, and then no more."""
    with socket.create_connection((service.host, service.port), timeout=30) as client:
        client.sendall(content)
        if rest:
            time.sleep(0.2)
            client.sendall(rest)
        answer = b""
        with suppress(ConnectionResetError):  # if not all of it was read
            while piece := client.recv(65_536):
                answer += piece
        return answer


def test_a_signal_that_comes_at_once_is_obeyed(checkpoint):
    with served(checkpoint) as service:
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=60) == 0


def memory(service) -> float:
    """Resident MiB."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_fields_after_a_body_take_no_memory(checkpoint):
    with served(checkpoint, "--client-seconds", "2") as service:
        service.ask("GET", "/health")
        before = memory(service)
        with socket.create_connection((service.host, service.port)) as client:
            chunked = b"GET /health HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
            with suppress(OSError):
                client.sendall(chunked)
                for number in range(300):
                    client.sendall(b"".join(b"x-%d-%d: %s\r\n" % (number, n, b"y" * 900)
                                            for n in range(200)))  # fmt: skip
        assert memory(service) < before + 30


@pytest.mark.parametrize("rest", [b"\r\n", b"GET /health HTTP/1.1\r\nhost: x\r\n"])
def test_a_connection_that_says_no_more_is_let_go(checkpoint, rest):
    with served(checkpoint, "--client-seconds", "1") as service:
        answer = asked(service, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n", rest)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"did not come whole within 1 seconds" in answer


def test_clients_that_misbehave_are_let_go_and_others_are_answered(checkpoint):
    with served(checkpoint, "--client-seconds", "1", "--max-connections", "20") as service:
        head = b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 22\r\n\r\n"
        assert b"did not come within 1 seconds" in asked(service, head + b'{"items"')
        assert b"did not come whole within 1 seconds" in asked(service, b"GET /health HT")
        assert b"did not come whole within 1 seconds" in asked(service, b"")
        assert b'{"error": "Invalid' in asked(service, b"nonsense\r\n\r\n")
        large = b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
        assert b"1,000,000 bytes at most" in asked(service, large + b"x" * 100_000)
        endless = b"GET /health?" + b"x" * 600_000
        answer = asked(service, endless)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400")  # if it was still listened to
        address = (service.host, service.port)
        many = [socket.create_connection(address) for _ in range(30)]
        time.sleep(0.2)
        closed = 0
        for client in many:
            client.settimeout(0.2)
            with suppress(TimeoutError):
                closed += client.recv(1) == b""
            client.close()
        assert closed >= 10
        time.sleep(0.2)
        assert service.ask("POST", "/recommend", {"items": [A]})[0] == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "99999"], "port must be at most 65,535"),
        (["--host", "0.0.0.0"], "--token-file"),
        (["--workers", "2"], "workers need sessions that they share"),
        (["--token-file", "/no/such/file"], "cannot read the token"),
        (["--host", "192.0.2.1", "--no-token"], "cannot listen at 192.0.2.1"),
        (["--items-table", "/no/such.parquet"], "/no/such.parquet"),
    ],
)
def test_what_cannot_be_served_is_one_line(checkpoint, options, message):
    command = [sys.executable, "-m", "gru4rec", "serve", str(checkpoint), *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert message in line
    assert "Traceback" not in result.stderr


def test_a_port_in_use_is_said(checkpoint):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "gru4rec", "serve", str(checkpoint), "--port", port]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 2
    assert f"cannot listen at 127.0.0.1, port {port}" in result.stderr
    assert len(result.stderr.splitlines()) == 1
