"""Bound what a connection may take before its request is one: time, and bytes of its head.

uvicorn bounds neither: a client that sends a head byte by byte, or one without end, would hold a
connection for ever, or fill the memory.
"""

import asyncio
import json
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gru4rec.service.settings import ServiceSettings

_MOST_HEAD = 262_144  # bytes: a query of 1,000 ids, and headers


class BoundedConfig(Config):
    """How uvicorn runs, and what connections are held to."""

    def __init__(self, *args: Any, settings: ServiceSettings, **options: Any) -> None:
        super().__init__(*args, **{**options, "http": Bounded})
        self.client_seconds = settings.client_seconds
        self.max_connections = settings.max_connections


class Bounded(HttpToolsProtocol):
    """A connection that sends a head in time; one more than there may be is closed."""

    config: BoundedConfig
    _timer: asyncio.TimerHandle | None = None
    """Runs while a head is awaited."""
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Await a head, unless there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > self.config.max_connections:
            self.transport.close()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Await nothing any more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Give up on a head without end."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._timer is not None and self._head_bytes > _MOST_HEAD:
            self._give_up()

    def on_message_begin(self) -> None:
        """Await the rest of a head."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """Leave the request its time."""
        self._stop_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, and end the connection."""
        self._stop_timer()
        body = json.dumps({"error": msg}).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _expect_head(self) -> None:
        self._stop_timer()
        self._head_bytes = 0
        self._timer = self.loop.call_later(self.config.client_seconds, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            seconds = self.config.client_seconds
            self.send_400_response(f"the head did not come whole within {seconds:g} seconds")
