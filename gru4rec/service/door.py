"""The door of the service: who may come in, how long it took, and every error as one line."""

import base64
import binascii
import hmac
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gru4rec.service.state import ServiceState

_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_OPEN = "/health"  # to those without a token too
_CHALLENGE = 'Basic realm="gru4rec"'  # by which a browser asks for it; a bearer is taken too
_READING = ("GET", "HEAD", "OPTIONS")
_UNKNOWN = "other"  # route of what has none


def json_response(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an answer in JSON."""
    return Response(_ENCODER.encode(body), status, headers, "application/json")


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as every one looks: its message, on one line."""
    return json_response({"error": " ".join(message.split())}, status, headers)


class Door:
    """Wraps the routes. An answer's way through here takes some microseconds."""

    def __init__(
        self, app: ASGIApp, state: ServiceState, labels: Mapping[Callable[..., Any], str]
    ) -> None:
        """Take the routes, and how each handler is called in metrics and logs."""
        self._app, self._state, self._labels = app, state, labels
        self._token = None if state.token is None else state.token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if scope["method"] not in _READING and _is_of_another_site(scope):
                refused = error_response(401, "a page of another site may not change anything here")
                await refused(scope, receive, sending)
            elif self._token is None or scope["path"] == _OPEN or self._has_token(scope):
                await self._app(scope, receive, sending)
            else:
                refused = error_response(
                    401, "this needs the token: as Authorization: Bearer TOKEN, or as a password",
                    {"WWW-Authenticate": _CHALLENGE},
                )  # fmt: skip
                await refused(scope, receive, sending)
        finally:
            self._tell(scope, status, time.perf_counter() - began)

    def _has_token(self, scope: Scope) -> bool:
        """Whether a request brings the token, as bearer or as the password of a browser."""
        assert self._token is not None
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        kind, _, token = given.partition(b" ")
        if kind.lower() == b"basic":
            try:
                token = base64.b64decode(token, validate=True).partition(b":")[2]
            except (ValueError, binascii.Error):
                return False
        elif kind.lower() != b"bearer":
            return False
        return hmac.compare_digest(token.strip(), self._token)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        """Tell the metrics of a request, and the log of those who ask."""
        named = self._labels.get(scope.get("endpoint", _UNKNOWN), _UNKNOWN)
        self._state.metrics.seconds.labels(named, str(status)).observe(seconds)
        if self._state.settings.access_log:
            line: dict[str, Any] = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "client": (scope.get("client") or ("", 0))[0],
                "method": scope["method"],
                "path": scope["path"][:500],
                "route": named,
                "status": status,
                "ms": round(1000 * seconds, 3),
            }
            with suppress(OSError, ValueError):  # a full or closed output costs no answer
                sys.stdout.write(f"{json.dumps(line)}\n")


def _is_of_another_site(scope: Scope) -> bool:
    """Whether a browser sends a request for a page of another site than this one."""
    return (b"sec-fetch-site", b"cross-site") in scope["headers"]
