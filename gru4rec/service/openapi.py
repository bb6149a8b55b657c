"""Describe the routes as OpenAPI does, and as a page for people."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gru4rec.service.operations import ANSWER_QUERY, OPERATIONS, Operation
from gru4rec.service.settings import ServiceSettings

_ID: Mapping[str, Any] = {"oneOf": [{"type": "integer"}, {"type": "string"}]}
_IDS = {"type": "array", "items": _ID}
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_TEXT, _COUNT, _TRUTH = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
_MAYBE_TEXT = {"type": ["string", "null"]}

_STATUSES = {
    400: "The body is no JSON, or did not come whole.",
    401: "The token is missing or wrong.",
    404: "There is no such thing.",
    413: "The body or a list is too large.",
    422: "A value cannot be taken.",
    503: "It cannot be had at the moment.",
}


def parameters(settings: ServiceSettings) -> dict[str, dict[str, Any]]:
    """Return what each parameter of a query is, and what it is for."""
    k = {"type": "integer", "minimum": 0, "maximum": settings.max_k, "default": settings.k}
    ids = {"type": "array", "items": _TEXT, "maxItems": settings.max_items}
    of = {
        "k": (k, "Items to recommend."),
        "exclude_clicked": (_TRUTH, "Leave out the items of the session."),
        "allow": (ids, "Recommend only these; repeat the parameter for more."),
        "deny": (ids, "Recommend none of these; repeat the parameter for more."),
        "rules": (_TEXT, "Name of a set of rules that the list keeps."),
        "explain": (_TRUTH, "Say why: a reason for each item, what each click did for the best."),
        "outcome": (_TRUTH, "Say how likely each outcome of the session is."),
        "search": (_TEXT, "Words that title or id must have."),
        "item": (ids, "Tell of these instead; repeat the parameter for more."),
    }
    return {name: {"schema": schema, "description": text} for name, (schema, text) in of.items()}


def schemas(settings: ServiceSettings) -> dict[str, dict[str, Any]]:
    """Return what bodies and answers are."""
    asked = {name: each["schema"] for name, each in parameters(settings).items()}
    items = {**_IDS, "maxItems": settings.max_items}
    return {
        "Clicks": {
            "description": "One item, or items in their order, and what is known of the clicks: "
            "their time and the model's side inputs, one for all or a list as long as the items. "
            "What the query may say may stand here too.",
            "type": "object",
            "oneOf": [{"required": ["item_id"]}, {"required": ["items"]}],
            "properties": {
                "item_id": _ID,
                "items": items,
                "time": {"description": "Seconds since 1970, or ISO text."},
                **{
                    name: asked[name]
                    for name in ANSWER_QUERY
                },
            },
            "example": {"item_id": "A"},
        },
        "Recommendations": _object(
            session_id=_MAYBE_TEXT, items=_IDS, scores=_NUMBERS, reason=_MAYBE_TEXT, unknown=_COUNT,
            passed=_COUNT, explain={"type": "object"},
            outcome={"type": "object", "additionalProperties": {"type": "number"}},
        ),
        "Session": _object(
            session_id=_TEXT, items=_IDS, unknown=_COUNT,
            times={"type": "array", "items": {"type": ["number", "null"]}},
        ),
        "Similar": _object(item_id=_ID, items=_IDS, scores=_NUMBERS),
        "Items": _object(
            items={
                "type": "array",
                "items": _object(item_id=_ID, title=_MAYBE_TEXT, image=_MAYBE_TEXT),
            }
        ),
        "Model": _object(
            fingerprint=_TEXT, recommender=_TEXT, items=_COUNT, trained=_TEXT, loaded=_TEXT,
            rules={"type": "array", "items": _TEXT}, refused=_MAYBE_TEXT,
        ),
        "Health": _object(status=_TEXT),
        "Ready": _object(ready=_TRUTH, fingerprint=_TEXT, refused=_MAYBE_TEXT),
        "Error": _object(error=_TEXT),
    }  # fmt: skip


def document(settings: ServiceSettings, version: str) -> dict[str, Any]:
    """Return the whole document of OpenAPI."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        described = _described(operation, settings)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    described_token = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "gru4rec", "version": version},
        "paths": paths,
        "components": {
            "schemas": schemas(settings),
            **({"securitySchemes": {"token": described_token}} if settings.token_file else {}),
        },
        **({"security": [{"token": []}]} if settings.token_file else {}),
    }


def page(settings: ServiceSettings, version: str) -> str:
    """Return the page that describes the routes."""
    return _PAGE.format(
        version=html.escape(version),
        operations="\n".join(_section(operation, settings) for operation in OPERATIONS),
        schemas="\n".join(
            f"<h3 id={name}>{name}</h3><pre>{html.escape(json.dumps(schema, indent=1))}</pre>"
            for name, schema in schemas(settings).items()
        ),
    )


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _described(operation: Operation, settings: ServiceSettings) -> dict[str, Any]:
    of_path = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    known = parameters(settings)
    of_query = [{"name": name, "in": "query", **known[name]} for name in operation.query]
    answers: dict[str, Any] = {str(operation.status): _answered("Done.", operation.answer)}
    statuses = {*operation.refuses, *([401] if settings.token_file else [])}
    answers |= {str(status): _answered(_STATUSES[status], "Error") for status in sorted(statuses)}
    described = {
        "operationId": operation.handler,
        "summary": operation.summary,
        "parameters": of_path + of_query,
        "responses": answers,
    }
    if operation.body is not None:
        content = {"application/json": {"schema": _reference(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answered(description: str, schema: str | None) -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(schema)}} if schema else None
    return {"description": description, **({"content": content} if content else {})}


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _section(operation: Operation, settings: ServiceSettings) -> str:
    """Return what the page says of one route."""
    known = parameters(settings)

    def lines() -> Iterator[str]:
        yield f"<section><h3><b>{operation.method}</b> <code>{operation.path}</code></h3>"
        yield f"<p>{html.escape(operation.summary)}</p><dl>"
        for name in operation.query:
            yield f"<dt><code>{name}</code></dt><dd>{html.escape(known[name]['description'])}</dd>"
        if operation.body:
            yield f"<dt>body</dt><dd><a href='#{operation.body}'>{operation.body}</a></dd>"
        answer = operation.answer
        linked = f": <a href='#{answer}'>{answer}</a>" if answer else ""
        yield f"<dt>{operation.status}</dt><dd>done{linked}</dd>"
        for status in operation.refuses:
            yield f"<dt>{status}</dt><dd>{html.escape(_STATUSES[status])}</dd>"
        yield "</dl></section>"

    return "\n".join(lines())


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>gru4rec: the routes of the service</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="docs.css"></head><body><main>
<h1>gru4rec {version}: the routes of the service</h1>
<p>JSON in and out. Errors are <code>{{"error": "one line"}}</code>. For programs:
<a href="openapi.json">openapi.json</a>. To try it out: <a href="./">the page</a>.</p>
{operations}
<h2>Bodies and answers</h2>
{schemas}
</main></body></html>
"""
