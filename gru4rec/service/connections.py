"""Bound what a connection may take: time to send and to take answers, and bytes of its head.

uvicorn bounds none of these: a client that sends a head byte by byte, or one without end, or takes
no answer, would hold a connection for ever, or fill the memory.
"""

import asyncio
import json
from collections.abc import Callable
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
    """A connection that is let go where uvicorn would wait; one more than there may be is closed.

    One timer runs at a time: while a head is awaited, or while an answer is not taken. A body has
    its time where it is read, an idle connection that of uvicorn.
    """

    config: BoundedConfig
    _timer: asyncio.TimerHandle | None = None
    _awaits_head = False
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
        if self._awaits_head and self._head_bytes > _MOST_HEAD:
            self._give_up_head()
        elif not self._awaits_head and not self._is_at_work and not self.transport.is_closing():
            self._expect_head()  # of what came after an answer and is no request yet

    def on_message_begin(self) -> None:
        """Await the rest of a head."""
        super().on_message_begin()
        self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the head; those that follow a body are of no use, and have no end."""
        if self._awaits_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Leave the request its time."""
        self._awaits_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Close a connection whose request was answered before it came whole."""
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._end()

    def pause_writing(self) -> None:
        """Give a client that takes no answer its time."""
        super().pause_writing()
        self._start_timer(self.transport.abort)

    def resume_writing(self) -> None:
        """Go on once it does."""
        super().resume_writing()
        self._stop_timer()

    def timeout_keep_alive_handler(self) -> None:
        """Let an idle connection go, also one that has not taken its last answer."""
        super().timeout_keep_alive_handler()
        self._end()

    def shutdown(self) -> None:
        """Let the connection go once its answer has been sent."""
        super().shutdown()
        if not self._is_at_work:
            self._end()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, and end the connection, after the answer that is under way."""
        if self._is_at_work:
            self.cycle.keep_alive = False
            return
        body = json.dumps({"error": msg}).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._end()

    @property
    def _is_at_work(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        self._awaits_head, self._head_bytes = True, 0
        self._start_timer(self._give_up_head)

    def _give_up_head(self) -> None:
        seconds = self.config.client_seconds
        if not self.transport.is_closing():
            self.send_400_response(f"the head did not come whole within {seconds:g} seconds")

    def _end(self) -> None:
        """Close the connection; what the client has not taken in its time is dropped."""
        self._awaits_head = False
        self.transport.close()
        self._start_timer(self.transport.abort)

    def _start_timer(self, then: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self.config.client_seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
