"""Ask an application without a network: what a server would hand it, and what it sends."""

import asyncio
import json
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, unquote, urlencode

import gru4rec as g4r
from gru4rec.service.app import app_of
from gru4rec.service.settings import ServiceSettings
from gru4rec.service.state import ServiceState


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Client:
    """An application that runs in a loop of its own; `with` starts and stops it."""

    def __init__(self, settings: ServiceSettings, host: str = "127.0.0.1") -> None:
        self.state = ServiceState(settings)
        self.app, self._host, self._runner = app_of(self.state), host, asyncio.Runner()
        self._is_open = False

    def __enter__(self) -> Self:
        if not self._is_open:
            self._lifespan = self.app.router.lifespan_context(self.app)
            self.run(self._lifespan.__aenter__())
            self._is_open = True
        return self

    def __exit__(self, *error: object) -> None:
        if self._is_open:
            self.run(self._lifespan.__aexit__(None, None, None))
            self._runner.close()
            self._is_open = False

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        return self.run(self.asking(method, path, body, **options))

    def get(self, path: str, **query: Any) -> Reply:
        return self.ask("GET", path, query=query)

    def post(self, path: str, body: Any = None, **query: Any) -> Reply:
        return self.ask("POST", path, body, query=query)

    def together(self, requests: Iterable[tuple[str, str, Any]]) -> list[Reply]:
        async def gathered() -> list[Reply]:
            return await asyncio.gather(*(self.asking(*request) for request in requests))

        return self.run(gathered())

    async def asking(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        content = content.encode() if isinstance(content, str) else content
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": quote(path, safe="/%").encode(),
            "root_path": "",
            "query_string": urlencode(query or {}, doseq=True).encode(),
            "headers": [
                (name.lower().encode(), value.encode()) for name, value in (headers or {}).items()
            ],
            "client": (self._host, 1),
            "server": ("127.0.0.1", 8000),
        }
        await self.app(scope, receive, send)
        start, *bodies = sent
        named = {name.decode(): value.decode() for name, value in start["headers"]}
        content = b"".join(message.get("body", b"") for message in bodies)
        return Reply(start["status"], named, content)


def items_of(table: Any) -> list[Any]:
    """The items of a table of recommendations."""
    items: list[Any] = table["item_id"].to_list()
    return items


def recommended(recommender: g4r.Recommender, session: Sequence[object], k: int) -> list[Any]:
    """What the recommender itself recommends after the items of a session."""
    return items_of(recommender.recommend([list(session)], k))
