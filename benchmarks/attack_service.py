"""Attack a service: random requests, bad clients, kills, a Redis that goes, models that change.

    python benchmarks/attack.py --only service --number 10000

The number is that of random requests; of the slow trials there are a few. A Redis or Valkey must be
installed, or its trials are left out.
"""

import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import gru4rec as g4r
from gru4rec.service.operations import OPERATIONS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from served import Process, served

Trial = tuple[str, str, Callable[[], str]]

_ALLOWED = {200, 204, 400, 401, 404, 413, 422, 503}
_SWAPS, _KILLS = 20, 5
_PATHS = [operation.path for operation in OPERATIONS] + ["/", "/nope", "//", "/sessions//clicks"]


def _value(draw: random.Random, depth: int = 0) -> object:
    kinds = ["id", "text", "int", "float", "null", "list", "object", "deep"]
    kind = draw.choice(kinds if depth < 3 else kinds[:5])
    of_kind: dict[str, Callable[[], object]] = {
        "id": lambda: f"c0{draw.randrange(3)}-{draw.randrange(60):04d}",
        "text": lambda: "".join(map(chr, draw.choices(range(0xD7FF), k=draw.randrange(300)))),
        "int": lambda: draw.choice([0, -1, 5, 2**31, 2**63, 10**40]),
        "float": lambda: draw.choice([0.5, -0.0, 1e308, float("nan"), float("inf")]),
        "null": lambda: draw.choice([None, True, False]),
        "list": lambda: [_value(draw, depth + 1) for _ in range(draw.randrange(6))],
        "object": lambda: {draw.choice(["items", "x"]): _value(draw, depth + 1)},
        "deep": lambda: json.loads("[" * 50 + "]" * 50),
    }
    return of_kind[kind]()


def _random_request(draw: random.Random) -> bytes:
    """A request that is nearly one, or none at all."""
    if draw.random() < 0.1:
        return draw.randbytes(draw.randrange(400)) + b"\r\n\r\n"
    fields = ["items", "item_id", "k", "time", "allow", "deny", "explain", "exclude_clicked", "x"]
    body = json.dumps({draw.choice(fields): _value(draw) for _ in range(draw.randrange(4))})
    path = draw.choice(_PATHS)
    for name in ("session_id", "item_id"):
        given = draw.choice(["s", "c00-0001", "%00", "%ff", "a%2Fb", "x" * 300, "..", "é"])
        path = path.replace(f"{{{name}}}", given)
    query = draw.choice(["", "?k=3", "?k=-1", "?k=x&k=y", "?allow=c00-0001", "?%", "?explain=1"])
    method = draw.choice(["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "BREW"])
    content = body.encode() if draw.random() < 0.9 else draw.randbytes(draw.randrange(200))
    head = f"{method} {path}{query} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(content)}\r\n"
    return head.encode("latin-1", "replace") + b"connection: close\r\n\r\n" + content


def _exchange(service: Process, content: bytes, seconds: float = 20.0) -> bytes:
    """What a connection gets that sends this."""
    with socket.create_connection((service.host, service.port), timeout=seconds) as client:
        with suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(content)
        answer = b""
        with suppress(ConnectionResetError):
            while piece := client.recv(65_536):
                answer += piece
        return answer


def _one_line(service: Process, content: bytes, allowed: set[int] = _ALLOWED) -> str:
    """Send what may be no request: the answer is one of those allowed, an error one line."""
    try:
        answer = _exchange(service, content)
    except TimeoutError:
        return f"no end of {content[:80]!r}"
    status = int(answer[9:12]) if answer[:5] == b"HTTP/" else 0
    if status not in allowed:
        return f"{status} for {content[:300]!r}"
    body = answer.partition(b"\r\n\r\n")[2]
    is_read = status >= 400 and not content.startswith(b"HEAD") and body
    return "no error in JSON" if is_read and [*json.loads(body)] != ["error"] else ""


def _is_well(service: Process, most_mib: float) -> str:
    """Whether the service answers, has said nothing of errors of its own, and has not grown."""
    if service.ask("POST", "/recommend", {"items": ["c00-0001"]})[0] != 200:
        return "it does not answer"
    if any("Traceback" in line for line in service.said):
        return "".join(service.said)[-2000:]
    mib = _memory(service)
    return f"it has {mib:.0f} MiB, {most_mib:.0f} at first" if mib > 1.3 * most_mib else ""


def _memory(service: Process) -> float:
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _click(service: Process, session: str, item: str, *, k: int = 0) -> int:
    """The status of a click's answer; 0 if there was none."""
    try:
        return service.ask("POST", f"/sessions/{session}/clicks", {"item_id": item, "k": k})[0]
    except OSError:
        return 0


def _killed(model: Path, sessions: str, items: list[str], *, in_file: bool) -> str:
    """Kill -9 a service twice; what was promised is there when it begins again.

    Of sessions in a file those of the last save are, so the first time it is asked to stop.
    """
    promised: list[str] = []
    for turn in range(2):
        with served(model, "--sessions", sessions) as service:
            answered = [item for item in items if _click(service, "s", item) == 200]
            if not (in_file and turn):
                promised += answered
            service.process.send_signal(signal.SIGTERM if in_file and not turn else signal.SIGKILL)
            service.process.wait()
    with served(model, "--sessions", sessions) as service:
        _, told = service.ask("GET", "/sessions/s")
    kept = told.get("items", [])
    return "" if kept == promised else f"{len(promised)} clicks were promised, {len(kept)} are kept"


def _swapped(model: Path, others: list[g4r.Recommender], items: list[str]) -> str:
    """Change the model again and again while clicks go on: none fails, none is lost."""
    failed, counts, done = [0], [0, 0, 0], threading.Event()
    with served(model) as service:

        def go_on(number: int) -> None:
            while not done.is_set():
                for item in items:
                    status = _click(service, str(number), item)
                    counts[number] += status == 200
                    failed[0] += status != 200

        visitors = [threading.Thread(target=go_on, args=(number,)) for number in range(3)]
        for visitor in visitors:
            visitor.start()
        refused = 0
        for turn in range(_SWAPS):
            others[turn % len(others)].save(model, force=True)
            refused += service.ask("POST", "/model/reload")[0] != 200
        done.set()
        for visitor in visitors:
            visitor.join()
        kept = [len(service.ask("GET", f"/sessions/{n}")[1]["items"]) for n in range(3)]
    most = [min(count, 1000) for count in counts]
    if failed[0] or refused:
        return f"{failed[0]} of {sum(counts)} clicks failed, {refused} of {_SWAPS} changes"
    return "" if all(map(int.__ge__, kept, most)) else f"clicked {counts}, kept {kept}"


def _away(model: Path, program: str, folder: Path, items: list[str]) -> str:
    """Stop the Redis of a service and start it again: answers go on, and so does the session."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [program, "--port", port, "--dir", str(folder), "--appendonly", "yes"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    redis = subprocess.Popen(command, **quiet)
    time.sleep(1)
    try:
        with served(model, "--sessions", f"redis://127.0.0.1:{port}") as service:
            statuses = [_click(service, "s", item) for item in items]
            redis.terminate()
            redis.wait()
            statuses += [_click(service, "s", item, k=5) for item in items]
            refused = {_click(service, "s", item) for item in items}  # which are not kept
            redis = subprocess.Popen(command, **quiet)
            time.sleep(3)
            statuses += [_click(service, "s", item) for item in items]
            _, told = service.ask("GET", "/sessions/s")
    finally:
        redis.terminate()
        redis.wait()
    if set(statuses) != {200} or refused != {503}:
        return f"answers {statuses}, {refused} where there was nothing but to keep a click"
    return "" if told.get("items") == items * 2 else f"kept {told}"


def _disk_full(model: Path, folder: Path, items: list[str]) -> str:
    """Save sessions where there is no room: the older file stays, and the service goes on."""
    file = folder / "full" / "sessions.parquet"
    file.parent.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(file.parent)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return ""  # only root may; counted as held, since nothing was lost
    try:
        with served(model, "--sessions", str(file)) as service:
            _click(service, "s", items[0])
            service.process.send_signal(signal.SIGTERM)
            service.process.wait()
        before = file.read_bytes()
        with served(model, "--sessions", str(file)) as service:
            for number in range(3000):
                name = random.Random(number).randbytes(60).hex()
                _click(service, name, items[number % len(items)])
            service.process.send_signal(signal.SIGTERM)
            code = service.process.wait()
        said = "".join(service.said)
        if code or "not saved" not in said:
            return f"ended with {code}, said {said[-300:]}"
        return "" if file.read_bytes() == before else "the older file is gone"
    finally:
        subprocess.run(["umount", str(file.parent)], check=False)


def trials(*, number: int = 10_000, seed: int = 1) -> Iterator[Trial]:
    """Yield (kind, name, trial), `number` random requests; a trial returns "" if it holds."""
    log = g4r.generate_clicks(sessions=400, items=60, categories=3, seed=1)
    config = g4r.Config().replace({"encoder.hidden_size": 16, "training.epochs": 1})
    models = [g4r.GRU4Rec(config.replace({"seed": n}), device="cpu").fit(log) for n in range(2)]
    items = log["item_id"].unique().sort().head(20).to_list()
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), Path(name) / "model"
        models[0].save(model)
        with served(model, "--client-seconds", "1") as service:
            for place in range(300):  # warm
                _one_line(service, _random_request(random.Random(f"warm {place}")))
            at_first = _memory(service)
            for place in range(number):
                content = _random_request(random.Random(f"{seed} {place}"))
                allowed = _ALLOWED | {0} if content[:3].isalpha() is False else _ALLOWED
                yield (
                    "random request",
                    str(place),
                    lambda c=content, a=allowed: _one_line(service, c, a),
                )
            head = b"POST /recommend HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
            bad = {
                "10 MB body": (head % 10_000_000 + b"x" * 10_000_000, {0, 413}),
                "half a body": (head % 100 + b'{"items":', {400}),
                "half a head": (b"POST /recommend HTT", {400}),
                "nothing": (b"", {400}),
                "endless head": (b"GET /?" + b"x" * 2_000_000, {0, 400}),
            }
            for kind, (content, statuses) in bad.items():
                for place in range(20):
                    yield kind, str(place), lambda c=content, s=statuses: _one_line(service, c, s)
            yield "service afterwards", "", lambda: _is_well(service, at_first)
        for place in range(_KILLS):
            file = str(folder / f"{place}.parquet")
            yield (
                "killed, sessions in a file", str(place),
                lambda file=file: _killed(model, file, items, in_file=True),
            )  # fmt: skip
        yield "model changed 20 times under load", "", lambda: _swapped(model, models, items)
        yield "disk full at saving", "", lambda: _disk_full(model, folder, items)
        program = shutil.which("valkey-server") or shutil.which("redis-server")
        if program is None:
            return
        yield "Redis stopped and back", "", lambda: _away(model, program, folder, items)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        with subprocess.Popen(
            [program, "--port", port, "--save", ""], stdout=subprocess.DEVNULL
        ) as redis:
            time.sleep(1)
            for place in range(_KILLS):
                address = f"redis://127.0.0.1:{port}/{place}"
                yield (
                    "killed, sessions in Redis", str(place),
                    lambda address=address: _killed(model, address, items, in_file=False),
                )  # fmt: skip
            redis.terminate()
