"""Start `gru4rec serve` as a process, and ask it over the network of this machine."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

_ADDRESS = re.compile(r"http://([\d.]+):(\d+)")


@dataclass
class Process:
    """A service that runs."""

    process: subprocess.Popen[str]
    host: str = ""
    port: int = 0
    said: list[str] = field(default_factory=list)
    """The lines of its standard error so far."""

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}"

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """The status and the JSON of an answer; a connection of its own for each."""
        connection = HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            content = answer.read()
            is_json = answer.headers.get_content_type() == "application/json"
            return answer.status, json.loads(content) if is_json else content
        finally:
            connection.close()

    def read(self) -> None:
        """Read what it says until it has said all."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)


@contextmanager
def served(checkpoint: Path, *options: str) -> Iterator[Process]:
    """A service of a checkpoint at a free port, from when it listens until the block ends."""
    command = [sys.executable, "-m", "gru4rec", "serve", str(checkpoint), "--port", "0", *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    started = Process(process)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            started.said.append(line)
            if found := _ADDRESS.search(line):
                started.host, started.port = found[1], int(found[2])
                break
        else:
            raise RuntimeError("".join(started.said))
        reader = threading.Thread(target=started.read)
        reader.start()
        yield started
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if started.port:
            reader.join()
        process.stderr.close()
