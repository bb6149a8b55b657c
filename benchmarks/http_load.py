"""Ask a service at a given rate, however long its answers take: an open loop.

Requests leave at even times over connections that are kept open; where all of them wait for an
answer, another one is opened. So a slow answer delays no later request, and is counted as slow.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_MOST = 256  # connections


@dataclass
class Load:
    """What came of a load."""

    seconds: list[float] = field(default_factory=list)
    """Time of each answer, from when its request left."""
    failures: int = 0
    """Answers of another status than 200, and requests without one."""
    took: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.took

    def percentiles(self, *which: float) -> list[float]:
        """Milliseconds."""
        return (1e3 * np.percentile(np.array(self.seconds), which)).tolist()


class Connection(asyncio.Protocol):
    """One that answers requests in turn."""

    def __init__(self) -> None:
        self._read = b""
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self.transport: Any = transport

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """Send a request, and return the status that will come; 0 for none."""
        self._read, self._answer = b"", asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Wait for the whole answer."""
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if found and self._answer is not None:
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
            if len(body) >= length and not self._answer.done():
                self._answer.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell that no answer will come."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(0)


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def load(
    host: str, port: int, requests: Iterator[bytes], *, rate: float, seconds: float
) -> Load:
    """Send requests at a rate for so many seconds, and wait for their answers."""
    loop = asyncio.get_running_loop()
    idle: list[Connection] = []
    tasks: set[asyncio.Task[None]] = set()
    opened, result = 0, Load()

    async def ask(content: bytes) -> None:
        nonlocal opened
        began = time.perf_counter()
        while idle and idle[-1].transport.is_closing():  # it was idle for too long
            idle.pop()
            opened -= 1
        if idle:
            connection = idle.pop()
        elif opened < _MOST:
            opened += 1
            _, connection = await loop.create_connection(Connection, host, port)
        else:
            result.failures += 1
            return
        if await connection.ask(content) == 200:
            result.seconds.append(time.perf_counter() - began)
        else:
            result.failures += 1
        if connection.transport.is_closing():
            opened -= 1
        else:
            idle.append(connection)

    began, sent = time.perf_counter(), 0
    while (now := time.perf_counter() - began) < seconds:
        while sent < now * rate:
            task = loop.create_task(ask(next(requests)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        await asyncio.sleep(max(0.0, sent / rate - (time.perf_counter() - began)))
    if tasks:
        await asyncio.wait(tasks, timeout=30)
    result.took = time.perf_counter() - began
    for connection in idle:
        connection.transport.close()
    return result
