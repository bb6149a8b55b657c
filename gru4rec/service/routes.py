"""Answer each route of the service."""

import asyncio
import json
from collections.abc import Mapping
from importlib.resources import files
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from gru4rec.errors import Gru4RecError
from gru4rec.recommenders import Recommender
from gru4rec.service.answering import Answer
from gru4rec.service.asked import object_of
from gru4rec.service.bodies import body_of
from gru4rec.service.door import json_response
from gru4rec.service.explaining import explanation
from gru4rec.service.question import Question
from gru4rec.service.refusal import Refusal
from gru4rec.service.similar import similar
from gru4rec.service.state import ServiceState
from gru4rec.serving import outcomes_of_running

_MOST_SEARCHED = 200  # characters of a search
_WITHOUT_HISTORY = {"Gru4rec-Sessions": "unavailable"}
_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' http: https: data:; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Handlers:
    """The handlers of the routes, by the names that `operations.OPERATIONS` has."""

    def __init__(self, state: ServiceState, openapi: Mapping[str, Any], docs: str) -> None:
        self._state = state
        self._openapi, self._docs = json.dumps(openapi), docs

    async def click(self, request: Request) -> Response:
        """Add clicks to a session, and recommend."""
        return await self._answer(request, request.path_params["session_id"], takes_clicks=True)

    async def recommendations(self, request: Request) -> Response:
        """Recommend to a session as it is."""
        return await self._answer(request, request.path_params["session_id"], takes_clicks=False)

    async def recommend(self, request: Request) -> Response:
        """Recommend after items that are no session."""
        return await self._answer(request, None, takes_clicks=True)

    async def _answer(
        self, request: Request, session_id: str | None, *, takes_clicks: bool
    ) -> Response:
        state = self._state
        _refuse_slashes(request, session_id)
        body = object_of(await body_of(request, state.settings))
        question = state.reader.question(
            _query(request), body, session_id=session_id, takes_clicks=takes_clicks
        )
        if question.outcome:
            _check_outcome(state.recommender)  # before a click is taken
        answer = await state.ask(question)
        reply = _reply(session_id, answer)
        if question.outcome:
            reply["outcome"] = _outcome(answer)
        if question.explain:
            async with state.slow:
                reply["explain"] = await asyncio.to_thread(explanation, answer)
        return json_response(reply, headers=None if answer.has_history else _WITHOUT_HISTORY)

    async def session(self, request: Request) -> Response:
        """Tell the clicks of a session."""
        session_id = await self._session_id(request)
        session = await self._state.sessions.session(session_id)
        if session is None:
            raise Refusal(404, f"no session {session_id!r}")
        return json_response(
            {
                "session_id": session_id,
                "items": list(session.items),
                "times": list(session.times),
                "unknown": session.unknown,
            }
        )

    async def end(self, request: Request) -> Response:
        """Forget a session."""
        session_id = await self._session_id(request)
        if not await self._state.sessions.end(session_id):
            raise Refusal(404, f"no session {session_id!r}")
        return Response(status_code=204)

    async def _session_id(self, request: Request) -> str:
        """Return the id of a request, once the clicks that came before it are taken in."""
        session_id: str = request.path_params["session_id"]
        _refuse_slashes(request, session_id)
        self._state.reader.check_id(session_id, "a session")
        await self._state.ask(Question(session_id, k=0))
        return session_id

    async def similar(self, request: Request) -> Response:
        """Find the items that are most like an item."""
        state, item_id = self._state, request.path_params["item_id"]
        _refuse_slashes(request, item_id)
        k, recommender = state.reader.k_of(_query(request)), state.recommender
        state.reader.check_id(item_id, "an item")
        index = recommender.catalog.find(item_id)
        if index is None:
            raise Refusal(404, f"no item {item_id!r} in the catalog")
        async with state.slow:
            items, scores = await asyncio.to_thread(similar, recommender, index, k)
        return json_response(
            {"item_id": recommender.catalog.ids_of([index])[0], "items": items, "scores": scores}
        )

    async def items(self, request: Request) -> Response:
        """Find items by words of their titles and ids, or tell of those that are named."""
        state, query = self._state, _query(request)
        if named := query.pop("item", []):
            if query or len(named) > state.settings.max_items:
                raise Refusal(
                    422, f"give search, or item up to {state.settings.max_items:,} times alone"
                )
            return json_response({"items": state.items.of(named)})
        text = " ".join(query.pop("search", []))
        if len(text) > _MOST_SEARCHED:
            raise Refusal(422, f"a search has {_MOST_SEARCHED} characters at most")
        k = state.reader.k_of(query, "search", "item")
        async with state.slow:
            return json_response({"items": await asyncio.to_thread(state.items.search, text, k)})

    async def model(self, request: Request) -> Response:
        """Tell what is served."""
        return json_response(self._state.description())

    async def reload(self, request: Request) -> Response:
        """Take the checkpoint that is in the folder now."""
        state = self._state
        if state.token is None and not _is_near(request):
            raise Refusal(401, "without a token only this machine may reload")
        try:
            await state.watch.reload()
        except Gru4RecError as error:
            raise Refusal(503, f"the older model is still served: {error}") from error
        return json_response(state.description())

    async def health(self, request: Request) -> Response:
        """Tell that the process answers."""
        return json_response({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Tell that a model answers, and whether a newer one does not."""
        watch = self._state.watch
        return json_response(
            {"ready": True, "fingerprint": watch.served.fingerprint, "refused": watch.refused}
        )

    async def metrics(self, request: Request) -> Response:
        """Tell the figures, as Prometheus reads them."""
        text = self._state.metrics.text()
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def openapi(self, request: Request) -> Response:
        """Describe the routes, as OpenAPI does."""
        return Response(self._openapi, media_type="application/json")

    async def docs(self, request: Request) -> Response:
        """Describe the routes, for people."""
        return Response(self._docs, headers=_SECURITY, media_type="text/html")

    async def page(self, request: Request) -> Response:
        """Show the page, or a file of it."""
        name = request.url.path.lstrip("/") or "index.html"
        kind = _KINDS[name.rpartition(".")[2]]
        content = (files("gru4rec.service") / "page" / name).read_bytes()
        return Response(content, headers=_SECURITY, media_type=kind)


def _reply(session_id: str | None, answer: Answer) -> dict[str, Any]:
    """Return the body of an answer."""
    found = answer.found
    passed = {} if answer.passed is None else {"passed": answer.passed}
    return {
        "session_id": session_id,
        "items": found.items,
        "scores": found.scores,
        "reason": found.reason or None,
        "unknown": found.unknown,
        **passed,
    }


def _outcome(answer: Answer) -> dict[str, float]:
    """Return how likely each outcome of the session is."""
    recommender = answer.recommender
    _check_outcome(recommender)  # it may have come meanwhile
    (found,) = outcomes_of_running(recommender, [answer.session])
    return dict(zip(recommender.outcome_classes.names, found.values(), strict=True))


def _check_outcome(recommender: Recommender) -> None:
    """Refuse to tell the outcome by a model that knows none."""
    if not len(recommender.outcome_classes):
        raise Refusal(422, "the model was not trained with an outcome of sessions; leave it out")


def _refuse_slashes(request: Request, given: str | None) -> None:
    """Refuse a path with slashes in its id, unless they are escaped: it is meant for no route."""
    if given is not None and "/" in given:
        path = request.scope["raw_path"].decode("ascii", "replace")
        if quote(given, safe="") not in path.replace("%2f", "%2F"):
            raise Refusal(404, f"no route {request.method} {request.url.path}; see /docs")


def _query(request: Request) -> dict[str, list[str]]:
    """Return the values of each parameter."""
    query: dict[str, list[str]] = {}
    if request.scope["query_string"]:
        for name, value in request.query_params.multi_items():
            query.setdefault(name, []).append(value)
    return query


def _is_near(request: Request) -> bool:
    """Whether a request comes from this machine."""
    try:
        return request.client is None or ip_address(request.client.host).is_loopback
    except ValueError:
        return False
